//! The API of one instance: one call, one request, one classified result.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use reqwest::Url;
use tokio::time::{Instant, timeout, timeout_at};

use super::access_key::AccessKey;
use super::answer::{decode_batch, decode_single};
use super::credentials::CredentialProvider;
use super::failure::CallFailure;
use super::request::{API_VERSION, RequestSigner, Stamp};
use super::transport::{self, HttpResponse};
use crate::clock::{Clock, Timestamp};
use crate::config::Signature;
use crate::net::{HttpClient, ReadyClient};
use crate::presence::{
    ApiResponse, BatchEntry, BoxFuture, CallError, ErrorClass, InstanceId, MAX_BATCH, Operation,
    PresenceSource,
};

/// The parameters of an [`ApiClient`].
#[derive(Clone, Debug, PartialEq)]
pub struct ApiClientOptions {
    /// The instance whose clients are queried.
    pub instance: InstanceId,
    /// The endpoint of the API; see [`endpoint`](super::endpoint()).
    pub endpoint: Url,
    /// How requests are signed.
    pub signature: Signature,
    /// The time limit of a call, from the fetch of credentials to the last byte of the answer.
    pub call_timeout: Duration,
}

/// The API, for queries about the clients of one instance.
///
/// Between calls it keeps only what errors of the server revealed: the offset between the clocks,
/// and the access key that was refused last.
#[derive(Debug)]
pub struct ApiClient {
    http: HttpClient,
    credentials: Arc<CredentialProvider>,
    clock: Clock,
    signer: RequestSigner,
    options: ApiClientOptions,
    /// The server's clock minus ours, in milliseconds.
    offset: AtomicI64,
    refused: ArcSwapOption<AccessKey>,
}

impl ApiClient {
    /// A client that sends through `http` (see [`net::client`](crate::net::client)). Instances
    /// share `http`, and the `credentials` if they are configured alike.
    #[must_use]
    pub fn new(
        http: HttpClient,
        credentials: Arc<CredentialProvider>,
        clock: Clock,
        options: ApiClientOptions,
    ) -> Self {
        Self {
            http,
            credentials,
            clock,
            signer: RequestSigner::new(options.endpoint.clone(), API_VERSION, options.signature),
            options,
            offset: AtomicI64::new(0),
            refused: ArcSwapOption::empty(),
        }
    }

    /// One call: `params` are those of the operation except the instance, `decode` decodes its
    /// answer.
    async fn call<'a, T>(
        &'a self,
        operation: Operation,
        params: Vec<(&'a str, &'a str)>,
        decode: impl FnOnce(&HttpResponse) -> Result<T, CallFailure> + Send,
    ) -> Result<T, CallError> {
        let limit = self.options.call_timeout;
        let deadline = Instant::now() + limit;
        let error = |failure: CallFailure, key: Option<&AccessKey>| {
            failure.into_call_error(operation, &self.options.instance, key)
        };
        let key = match timeout_at(deadline, self.credentials.get()).await {
            Ok(key) => key.map_err(|why| CallFailure::no_credentials(why.to_string())),
            Err(_) => Err(CallFailure::late_credentials(limit)),
        }
        .map_err(|failure| error(failure, None))?;
        let http = self.http.ready(deadline).await;
        let http = http.map_err(|why| error(CallFailure::unresolved(&why), None))?;
        let call = self.attempt(&http, operation, params, decode, &key);
        timeout_at(deadline, call)
            .await
            .unwrap_or_else(|_| Err(CallFailure::timeout(limit)))
            .map_err(|failure| error(failure, Some(&key)))
    }

    async fn attempt<'a, T>(
        &'a self,
        http: &ReadyClient,
        operation: Operation,
        mut params: Vec<(&'a str, &'a str)>,
        decode: impl FnOnce(&HttpResponse) -> Result<T, CallFailure>,
        key: &Arc<AccessKey>,
    ) -> Result<T, CallFailure> {
        params.push(("InstanceId", self.options.instance.as_str()));
        let now = self.clock.now().as_millis();
        let server_time =
            Timestamp::from_millis(now.saturating_add_signed(self.clock_offset_millis()));
        let stamp = Stamp::new(server_time);
        let request = self.signer.request(operation.name(), params, key, &stamp);
        let response = transport::send(http, request, &self.clock).await?;
        decode(&response).map_err(|mut failure| {
            match (failure.class, response.clocks) {
                (ErrorClass::ClockSkew, Some((server, ours))) => {
                    let offset = i128::from(server.as_millis()) - i128::from(ours.as_millis());
                    let offset = i64::try_from(offset).unwrap_or_default();
                    self.offset.store(offset, Ordering::Relaxed);
                }
                // A retry with the same clock would fail in the same way.
                (ErrorClass::ClockSkew, None) => failure.class = ErrorClass::Terminal,
                (ErrorClass::Credentials, _) => self.refused.store(Some(Arc::clone(key))),
                _ => {}
            }
            failure
        })
    }
}

impl PresenceSource for ApiClient {
    fn query<'a>(&'a self, client: &'a str) -> BoxFuture<'a, Result<ApiResponse<bool>, CallError>> {
        Box::pin(self.call(Operation::Single, vec![("ClientId", client)], decode_single))
    }

    /// The API accepts at most [`MAX_BATCH`] clients; further ones are not queried.
    fn query_batch<'a>(
        &'a self,
        clients: &'a [&'a str],
    ) -> BoxFuture<'a, Result<ApiResponse<Vec<BatchEntry>>, CallError>> {
        Box::pin(async move {
            let names: Vec<_> = (1..=MAX_BATCH)
                .map(|n| format!("ClientIdList.{n}"))
                .collect();
            let clients = &clients[..clients.len().min(MAX_BATCH)];
            let names = names.iter().map(String::as_str);
            let params = names.zip(clients.iter().copied()).collect();
            let decode = |response: &HttpResponse| decode_batch(response, clients);
            self.call(Operation::Batch, params, decode).await
        })
    }

    fn refresh_credentials(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let refused = self.refused.load_full();
            let refresh = self.credentials.refresh(refused.as_deref());
            timeout(self.options.call_timeout, refresh)
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
