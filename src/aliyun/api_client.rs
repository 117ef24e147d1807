//! The API of one instance: one call, one request, one classified result.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use reqwest::Url;
use reqwest::header::HeaderMap;

use super::answer::{HttpResponse, decode_batch, decode_single};
use super::credentials::{AccessKey, CredentialProvider};
use super::failure::CallFailure;
use super::nonce::{Nonces, RandomNonces};
use super::request::{API_VERSION, CLIENT_ID_LIST, RequestSigner, Stamp};
use super::sign::format_date;
use super::transport;
use crate::clock::{Clock, Timestamp};
use crate::config::Signature;
use crate::presence::{
    ApiResponse, BatchEntry, BoxFuture, CallError, ErrorClass, InstanceId, Operation,
    PresenceSource,
};

/// What a [`ApiClient`] is bound to.
#[derive(Clone, Debug)]
pub struct ApiClientOptions {
    /// The instance that is asked.
    pub instance: InstanceId,
    /// Where the API is; see [`endpoint`](super::endpoint()).
    pub endpoint: Url,
    /// How requests are signed.
    pub signature: Signature,
    /// How long a call may take, from the fetch of credentials to the last byte of the answer.
    pub call_timeout: Duration,
}

/// The vendor's API, asked about the clients of one instance.
///
/// It keeps nothing of a call but what the server's complaints taught it: by how much the clocks
/// differ, and which credentials were refused.
#[derive(Debug)]
pub struct ApiClient {
    http: reqwest::Client,
    credentials: Arc<CredentialProvider>,
    clock: Clock,
    nonces: Arc<dyn Nonces>,
    target: RequestSigner,
    instance: InstanceId,
    call_timeout: Duration,
    /// The server's clock minus ours, in milliseconds.
    offset: AtomicI64,
    refused: ArcSwapOption<AccessKey>,
}

impl ApiClient {
    /// A client that sends through `http` (see [`net::client`](crate::net::client)), which is
    /// shared between instances, as are the `credentials` of those configured alike.
    #[must_use]
    pub fn new(
        http: reqwest::Client,
        credentials: Arc<CredentialProvider>,
        clock: Clock,
        options: ApiClientOptions,
    ) -> Self {
        Self {
            http,
            credentials,
            clock,
            nonces: Arc::new(RandomNonces),
            target: RequestSigner::new(options.endpoint, API_VERSION, options.signature),
            instance: options.instance,
            call_timeout: options.call_timeout,
            offset: AtomicI64::new(0),
            refused: ArcSwapOption::empty(),
        }
    }

    /// The same client with other nonces.
    #[must_use]
    pub fn with_nonces(self, nonces: Arc<dyn Nonces>) -> Self {
        Self { nonces, ..self }
    }

    /// One call, whatever it asks: `params` are the operation's own but the instance, `decode`
    /// understands its answer.
    async fn call<'a, T>(
        &'a self,
        operation: Operation,
        params: Vec<(&'a str, &'a str)>,
        decode: impl FnOnce(HttpResponse<'_>) -> Result<T, CallFailure> + Send,
    ) -> Result<T, CallError> {
        // Known outside of the attempt, so that also a timeout can be cleaned of them.
        let mut used = None;
        let attempt = self.attempt(operation, params, decode, &mut used);
        let result = match tokio::time::timeout(self.call_timeout, attempt).await {
            Ok(result) => result,
            Err(_) if used.is_none() => Err(CallFailure::late_credentials(self.call_timeout)),
            Err(_) => Err(CallFailure::timeout(self.call_timeout)),
        };
        result
            .map_err(|failure| failure.into_call_error(operation, &self.instance, used.as_deref()))
    }

    async fn attempt<'a, T>(
        &'a self,
        operation: Operation,
        mut params: Vec<(&'a str, &'a str)>,
        decode: impl FnOnce(HttpResponse<'_>) -> Result<T, CallFailure>,
        used: &mut Option<Arc<AccessKey>>,
    ) -> Result<T, CallFailure> {
        let credentials = self
            .credentials
            .get()
            .await
            .map_err(|error| CallFailure::no_credentials(error.to_string()))?;
        let credentials = &*used.insert(credentials);

        params.push(("InstanceId", self.instance.as_str()));
        let (date, nonce) = (format_date(self.server_time()), self.nonces.fresh());
        let stamp = Stamp {
            date: &date,
            nonce: &nonce,
        };
        let request = self
            .target
            .request(operation.name(), params, credentials, stamp)
            .map_err(|error| CallFailure::no_credentials(error.to_string()))?;

        let response = self
            .http
            .execute(request)
            .await
            .map_err(|error| transport::no_answer(&error))?;
        let received = self.clock.now();
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let date = transport::server_date(response.headers());
        let body = transport::body(response).await?;
        decode(HttpResponse {
            status,
            retry_after,
            body: &body,
        })
        .map_err(|mut failure| {
            match failure.class {
                ErrorClass::ClockSkew => match date {
                    Some(date) => self.learn_time(date, received),
                    // Asking again with the same clock would end in the same way.
                    None => failure.class = ErrorClass::Terminal,
                },
                ErrorClass::Credentials => self.refused.store(Some(Arc::clone(credentials))),
                _ => {}
            }
            failure
        })
    }

    /// What the server's clock shows now, as far as it has complained about ours.
    fn server_time(&self) -> Timestamp {
        let now = self.clock.now().as_millis();
        Timestamp::from_millis(now.saturating_add_signed(self.offset.load(Ordering::Relaxed)))
    }

    fn learn_time(&self, date: Timestamp, received: Timestamp) {
        let difference = i128::from(date.as_millis()) - i128::from(received.as_millis());
        self.offset.store(
            i64::try_from(difference).unwrap_or_default(),
            Ordering::Relaxed,
        );
    }
}

impl PresenceSource for ApiClient {
    fn query<'a>(&'a self, client: &'a str) -> BoxFuture<'a, Result<ApiResponse<bool>, CallError>> {
        Box::pin(self.call(Operation::Single, vec![("ClientId", client)], decode_single))
    }

    /// More than ten clients are more than the API takes; those past the tenth are not asked for
    /// and so have no answer.
    fn query_batch<'a>(
        &'a self,
        clients: &'a [&'a str],
    ) -> BoxFuture<'a, Result<ApiResponse<Vec<BatchEntry>>, CallError>> {
        let clients = &clients[..clients.len().min(CLIENT_ID_LIST.len())];
        let params = CLIENT_ID_LIST
            .into_iter()
            .zip(clients.iter().copied())
            .collect();
        Box::pin(self.call(Operation::Batch, params, |reply| {
            decode_batch(reply, clients)
        }))
    }

    fn refresh_credentials(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let refused = self.refused.load_full();
            let refresh = self.credentials.refresh(refused.as_deref());
            tokio::time::timeout(self.call_timeout, refresh)
                .await
                .unwrap_or(false)
        })
    }

    fn credentials_replaced(&self) -> u64 {
        self.credentials.replaced()
    }

    fn clock_offset_millis(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }
}

/// `x-acs-retry-after`, milliseconds; a zero says nothing.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let millis = headers
        .get("x-acs-retry-after")?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    (millis > 0).then(|| Duration::from_millis(millis))
}
