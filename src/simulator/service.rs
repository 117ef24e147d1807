//! From a request to its answer: counting, faults, the gateway's checks, the operation.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::DATE;
use hyper::{Request, Response};
use tokio::time::{Instant, sleep};

use super::body::{Body, response, truncated};
use super::devices::Devices;
use super::faults::{AnswerForm, FaultOutcome, Faults};
use super::issuer::{self, CredentialEndpoint, CredentialIssuer, IdentityInfo};
use super::keys::KeyStore;
use super::operation;
use super::reply::{self, ApiAnswer, Origin};
use super::request::ApiRequest;
use super::seeded_random::SeededRandom;
use super::stalling_stream::Stalls;
use super::stats::Recorder;
use super::traffic::Arrival;
use super::vendor_error::VendorError;
use super::{admin, connection};
use crate::clock::{Clock, Timestamp};
use crate::presence::Operation;

/// The connection is to be reset, without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is reset")]
pub(super) struct Reset;

/// Longer bodies are not read: no operation has parameters of that length.
const MAX_BODY: usize = 1 << 20;

/// The stand-in, without its socket.
pub(super) struct ApiService {
    pub(super) seed: u64,
    pub(super) clock: Clock,
    /// The URL of the API.
    pub(super) endpoint: String,
    pub(super) keys: KeyStore,
    pub(super) issuer: CredentialIssuer,
    /// How often the token of the identity provider was rotated.
    pub(super) rotated: AtomicU64,
    pub(super) devices: Devices,
    pub(super) faults: ArcSwap<Faults>,
    /// What goes wrong with the services that give credentials.
    pub(super) credential_faults: ArcSwap<Faults>,
    pub(super) recorder: Recorder,
}

impl ApiService {
    /// Answers one request from `address`, or says that its connection is to be reset.
    pub(super) async fn answer(
        &self,
        address: IpAddr,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Reset> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY)
            .collect()
            .await
            .map_err(|_| Reset)?
            .to_bytes();
        let call = ApiRequest::new(head, body);
        match call.path().strip_prefix(admin::PREFIX) {
            Some(resource) => Ok(admin::answer(self, resource, &call)),
            None => match CredentialEndpoint::of(&call) {
                Some(asked) => self.issue(asked, &call).await,
                None => self.answer_call(address, &call).await,
            },
        }
    }

    pub(super) fn identity(&self) -> IdentityInfo {
        self.issuer
            .identity(&self.endpoint, self.rotated.load(Ordering::Relaxed))
    }

    /// Answers one request for credentials. Neither quotas nor their block are for these services.
    async fn issue(
        &self,
        asked: CredentialEndpoint,
        call: &ApiRequest,
    ) -> Result<Response<Body>, Reset> {
        let number = self.recorder.capture(call);
        let faults = self.credential_faults.load_full();
        let decision = faults.decide(self.seed, number);
        sleep(decision.delay).await;
        let form = match decision.outcome {
            FaultOutcome::Answered(form) => form,
            FaultOutcome::Reset => return Err(Reset),
            FaultOutcome::Hang => std::future::pending().await,
        };
        let server_time = skewed(self.clock.now(), faults.clock_skew);
        let request_id = self.request_id(number);
        let host = call.header("host").unwrap_or_default();
        let origin = Origin {
            request_id: &request_id,
            host: &host,
        };
        let rotated = self.rotated.load(Ordering::Relaxed);
        let at = issuer::IssueContext {
            keys: &self.keys,
            recorder: &self.recorder,
            now: server_time,
            origin,
            rotated,
        };
        let mut answer = self.issuer.answer(asked, call, &at);
        if let (200, AnswerForm::Refused(refusal)) = (answer.0, &form) {
            answer = issuer::refused(refusal.clone(), &at.origin);
        }
        let (status, kind, text) = answer;
        let mut response = match form {
            AnswerForm::Whole | AnswerForm::Refused(_) => response(status, kind, text),
            AnswerForm::Truncated => truncated(status, kind, &text),
            AnswerForm::Undecodable => response(200, kind, reply::UNDECODABLE),
            AnswerForm::BadGateway => response(502, reply::HTML, reply::BAD_GATEWAY),
        };
        let date = httpdate::fmt_http_date(server_time.to_system_time());
        response
            .headers_mut()
            .insert(DATE, date.parse().expect("made of visible characters"));
        Ok(response)
    }

    async fn answer_call(
        &self,
        address: IpAddr,
        call: &ApiRequest,
    ) -> Result<Response<Body>, Reset> {
        let (number, arrival) = self.recorder.arrive(address, call);
        let Arrival::Admitted(line) = arrival else {
            self.recorder.count_answer("blocked");
            return Err(Reset);
        };
        let faults = self.faults.load_full();
        let decision = faults.decide(self.seed, number);
        let form = match decision.outcome {
            FaultOutcome::Answered(form) => form,
            FaultOutcome::Reset => {
                self.recorder.count_answer("reset");
                return Err(Reset);
            }
            FaultOutcome::Hang => {
                self.recorder.count_answer("hang");
                line.cancelled().await;
                return Err(Reset);
            }
        };
        let (ending, response) = self.respond(call, number, &faults, &form);
        if !decision.delay.is_zero() {
            tokio::select! {
                biased;
                () = line.cancelled() => {
                    self.recorder.count_answer("blocked");
                    return Err(Reset);
                }
                () = sleep(decision.delay) => {}
            }
        }
        self.recorder.count_answer(ending);
        Ok(response)
    }

    /// How the call ends, in a word, and what its caller gets.
    fn respond(
        &self,
        call: &ApiRequest,
        number: u64,
        faults: &Faults,
        form: &AnswerForm,
    ) -> (Cow<'static, str>, Response<Body>) {
        let server_time = skewed(self.clock.now(), faults.clock_skew);
        let mut answer = self.reply(call, number, faults, server_time);
        if let (Ok(_), AnswerForm::Refused(refusal)) = (&answer, form) {
            answer = Err(refusal.clone());
        }
        let request_id = self.request_id(number);
        let host = call.header("host").unwrap_or_default();
        let origin = Origin {
            request_id: &request_id,
            host: &host,
        };
        let (kind, text) = if call.wants_xml() {
            (
                reply::XML,
                reply::xml(&answer, &call.action().unwrap_or_default(), &origin),
            )
        } else {
            (reply::JSON, reply::json(&answer, &origin))
        };
        let (status, ending) = match &answer {
            Ok(_) => (200, Cow::Borrowed("OK")),
            Err(refusal) => (refusal.status, refusal.code.clone()),
        };
        let (ending, mut response) = match form {
            AnswerForm::Whole | AnswerForm::Refused(_) => (ending, response(status, kind, text)),
            AnswerForm::Truncated => ("truncated".into(), truncated(status, kind, &text)),
            AnswerForm::Undecodable => (
                "undecodable".into(),
                response(200, kind, reply::UNDECODABLE),
            ),
            AnswerForm::BadGateway => (
                "bad_gateway".into(),
                response(502, reply::HTML, reply::BAD_GATEWAY),
            ),
        };
        let mut put = |name: &'static str, value: String| {
            response
                .headers_mut()
                .insert(name, value.parse().expect("made of visible characters"));
        };
        put(
            DATE.as_str(),
            httpdate::fmt_http_date(server_time.to_system_time()),
        );
        put(
            "keep-alive",
            format!("timeout={}", connection::KEEP_ALIVE.as_secs()),
        );
        put("x-acs-request-id", request_id);
        if let (Err(refusal), Some(pause)) = (&answer, faults.retry_after)
            && refusal.is_throttle()
        {
            put("x-acs-retry-after", pause.get().as_millis().to_string());
        }
        (ending, response)
    }

    /// What the vendor would say.
    fn reply(
        &self,
        call: &ApiRequest,
        number: u64,
        faults: &Faults,
        server_time: Timestamp,
    ) -> Result<ApiAnswer, VendorError> {
        if !matches!(call.method(), "GET" | "POST") {
            return Err(VendorError::method());
        }
        if call.path() != "/" {
            return Err(VendorError::no_such_api());
        }
        let action = call
            .action()
            .ok_or_else(|| VendorError::missing("Action"))?;
        let verified = self.keys.verify(call, server_time)?;
        self.recorder
            .use_nonce(&verified.nonce, server_time, verified.nonce_until)?;
        let operation = operation::named(&action)
            .filter(|_| verified.version == operation::VERSION)
            .ok_or_else(VendorError::no_such_api)?;
        self.recorder.charge(operation)?;
        let instance = call
            .param("InstanceId")
            .ok_or_else(|| VendorError::missing("InstanceId"))?;
        if !self.devices.fleet().has_instance(instance) {
            return Err(VendorError::foreign_instance());
        }
        match operation {
            Operation::Single => {
                let client = call
                    .param("ClientId")
                    .ok_or_else(|| VendorError::missing("ClientId"))?;
                operation::check_client(client, faults)?;
                Ok(ApiAnswer::Single(self.devices.online_at(
                    instance,
                    client,
                    self.clock.now(),
                )))
            }
            Operation::Batch => {
                let as_of = self
                    .devices
                    .cached_as_of(self.clock.now(), faults.batch_staleness.get());
                let mut clients = operation::client_list(call)?;
                clients
                    .iter()
                    .try_for_each(|client| operation::check_client(client, faults))?;
                clients.retain(|client| !faults.omits(self.seed, number, client));
                // In any order, as the vendor's cache has them.
                let order = SeededRandom::new(self.seed).derive("order").nth(number);
                clients.sort_by_key(|client| order.derive(client).bits());
                let entry = |client: &str| {
                    (
                        client.to_owned(),
                        self.devices.online_at(instance, client, as_of),
                    )
                };
                Ok(ApiAnswer::Batch(clients.into_iter().map(entry).collect()))
            }
        }
    }

    /// An ID in the form of the vendor's; in each run the same for the same request.
    fn request_id(&self, number: u64) -> String {
        let random = SeededRandom::new(self.seed)
            .derive("request ID")
            .nth(number);
        let (high, low) = (random.derive("high").bits(), random.derive("low").bits());
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
        format!(
            "{a:08X}-{b:04X}-{c:04X}-{:04X}-{:012X}",
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

impl Stalls for Arc<ApiService> {
    fn stalled_until(&self) -> Option<Instant> {
        let started = self.recorder.started();
        let end = self
            .faults
            .load()
            .stalled_until(self.seed, started.elapsed())?;
        started.checked_add(end)
    }
}

/// The time that a clock shows which is `seconds` ahead; neither before 1970 nor after 9999, which
/// no `Date` header can say.
fn skewed(time: Timestamp, seconds: i64) -> Timestamp {
    const LAST: u64 = 253_402_300_799_999;
    let millis = time
        .as_millis()
        .saturating_add_signed(seconds.saturating_mul(1000));
    Timestamp::from_millis(millis.min(LAST))
}
