//! From a request to its response: count, faults, service.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::DATE;
use hyper::{Request, Response};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Content, render, response, truncated};
use super::faults::Effect;
use super::operations::{self, ApiOperation};
use super::request::ApiRequest;
use super::state::{Exchange, FaultSwitch, State};
use super::vendor_error::VendorError;
use super::{admin, credentials};
use crate::clock::Timestamp;

/// The gateway of the API closes a connection that was idle for this long.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(25);

/// Longer bodies are not read: no operation has parameters of that length.
const MAX_BODY: usize = 1 << 20;

/// The connection is to be reset, without a response.
#[derive(Debug, thiserror::Error)]
#[error("the connection is reset")]
pub(super) struct Reset;

impl State {
    /// Answers one request from `address`.
    pub(super) async fn answer(
        self: Arc<Self>,
        address: IpAddr,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Reset> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let request = ApiRequest::new(head, body.map_err(|_| Reset)?.to_bytes());
        if let Some(resource) = request.path().strip_prefix(admin::PREFIX) {
            return Ok(admin::respond(&self, resource, &request));
        }
        if !self.faults_for(&request).get().freeze {
            return self.serve(address, &request).await;
        }
        let (shutdown, tasks) = (self.shutdown.clone(), self.tasks.clone());
        let answer = async move {
            self.faults_for(&request).thaw().await;
            self.serve(address, &request).await
        };
        // The request arrives after the freeze, even if its connection is closed before.
        let task = tasks.spawn(shutdown.run_until_cancelled_owned(answer));
        task.await.ok().flatten().unwrap_or(Err(Reset))
    }

    /// The faults of the service that `request` is for.
    fn faults_for(&self, request: &ApiRequest) -> &FaultSwitch {
        match credentials::service(request) {
            None => &self.faults,
            Some(_) => &self.credential_faults,
        }
    }

    /// Answers a request to the API or to a service that issues credentials.
    async fn serve(&self, address: IpAddr, request: &ApiRequest) -> Result<Response<Body>, Reset> {
        let service = credentials::service(request);
        let (number, admitted) = {
            let (mut records, now) = self.records();
            let number = records.capture(request);
            let admitted = match service {
                None => {
                    let operation = ApiOperation::of(request).map(|operation| operation.name);
                    records.traffic.arrive(address, operation, now)
                }
                // Quotas and blocks are for the API only.
                Some(_) => Some(CancellationToken::new()),
            };
            (number, admitted)
        };
        let ended = |ending| {
            if service.is_none() {
                self.records().0.traffic.count_answer(ending);
            }
        };
        let reset = |ending: &'static str| {
            ended(ending.into());
            Reset
        };
        let blocked = admitted.ok_or_else(|| reset("blocked"))?;
        let faults = self.faults_for(request).get();
        let (delay, effect) = faults.decide(self.seed, number);
        match effect {
            Effect::Reset => return Err(reset("reset")),
            Effect::Hang => {
                let reset = reset("hang");
                blocked.cancelled().await;
                return Err(reset);
            }
            _ => {}
        }
        let exchange = Exchange {
            state: self,
            request,
            number,
            faults: &faults,
            server_time: skewed(self.clock.now(), faults.clock_skew),
        };
        let answer = service.unwrap_or(operations::answer)(&exchange);
        let (ending, response) = respond(&exchange, answer, &effect);
        let delay = delay + faults.late(request.clients());
        let answerable = async {
            if !delay.is_zero() {
                sleep(delay).await;
            }
            self.faults_for(request).thaw().await;
        };
        if blocked.run_until_cancelled(answerable).await.is_none() {
            return Err(reset("blocked"));
        }
        ended(ending);
        Ok(response)
    }

    /// A request ID in the form of the API; equal for equal requests of two runs.
    fn request_id(&self, number: u64) -> String {
        let random = self.random("request ID").nth(number);
        let (high, low) = (random.derive("high").bits(), random.derive("low").bits());
        let [first, second, third, fourth] =
            [high >> 32, high >> 16 & 0xffff, high & 0xffff, low >> 48];
        let last = low & 0xffff_ffff_ffff;
        format!("{first:08X}-{second:04X}-{third:04X}-{fourth:04X}-{last:012X}")
    }
}

/// The response, and a word for the statistics.
fn respond(
    exchange: &Exchange<'_>,
    answer: Result<Content, VendorError>,
    effect: &Effect,
) -> (Cow<'static, str>, Response<Body>) {
    let answer = match (answer, effect) {
        // An error of the service stays, so that no fault hides a mistake of the caller.
        (Ok(Content::Result(_) | Content::Raw(200, ..)), Effect::Error(error)) => {
            Err(error.clone())
        }
        (answer, _) => answer,
    };
    let error = answer.as_ref().err();
    let ending = match error.map(|error| error.code.clone()) {
        None => "OK".into(),
        Some(code) if code.is_empty() => "error_page".into(),
        Some(code) => code,
    };
    let throttled = error.is_some_and(VendorError::is_throttling);
    let request_id = exchange.state.request_id(exchange.number);
    let (status, kind, text) = render(answer, exchange.request, &request_id);
    let (ending, mut response) = match effect {
        Effect::Truncated => ("truncated".into(), truncated(status, kind, &text)),
        Effect::Undecodable => (
            "undecodable".into(),
            response(200, kind, answer::UNDECODABLE),
        ),
        Effect::BadGateway => (
            "bad_gateway".into(),
            response(502, answer::HTML, answer::BAD_GATEWAY),
        ),
        _ => (ending, response(status, kind, text)),
    };
    let mut put = |name: &'static str, value: String| {
        let value = value.parse().expect("made of visible characters");
        response.headers_mut().insert(name, value);
    };
    put(
        DATE.as_str(),
        httpdate::fmt_http_date(
            skewed(exchange.server_time, exchange.faults.date_skew).to_system_time(),
        ),
    );
    put("keep-alive", format!("timeout={}", KEEP_ALIVE.as_secs()));
    put("x-acs-request-id", request_id);
    if let Some(pause) = exchange.faults.retry_after.filter(|_| throttled) {
        put("x-acs-retry-after", pause.0.as_millis().to_string());
    }
    (ending, response)
}

/// The time of a clock that is `seconds` ahead, between 1970 and 9999: the range of a `Date` header.
fn skewed(time: Timestamp, seconds: i64) -> Timestamp {
    const LAST: u64 = 253_402_300_799_999;
    let millis = time
        .as_millis()
        .saturating_add_signed(seconds.saturating_mul(1000));
    Timestamp::from_millis(millis.min(LAST))
}
