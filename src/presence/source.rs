//! The trait of the API, and the results of its calls.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// A boxed future that may move between threads, so that the trait can be a `dyn` one.
pub use futures_util::future::BoxFuture;

/// A successful call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiResponse<T> {
    /// The result.
    pub value: T,
    /// When the request was sent, or a little before: after the wait for credentials.
    pub sent: Instant,
    /// The vendor's ID of the call.
    pub request_id: Option<String>,
}

/// The maximum number of clients in a batch.
pub const MAX_BATCH: usize = 10;

/// One client in the answer to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchEntry {
    /// The client ID, as the API returned it.
    pub client: String,
    /// Whether the API reported the client online.
    pub online: bool,
}

/// Queries the presence of the clients of one instance.
///
/// One call of a method is one HTTP request and needs one permit: an implementation never retries.
/// Every call ends within the timeout of the implementation; dropping the future closes the
/// connection.
pub trait PresenceSource: Send + Sync + fmt::Debug {
    /// Queries one client, in real time. `true` is online.
    fn query<'a>(&'a self, client: &'a str) -> BoxFuture<'a, Result<ApiResponse<bool>, CallError>>;

    /// Queries up to [`MAX_BATCH`] clients. The answer may lag, be in any order, and lack clients.
    fn query_batch<'a>(
        &'a self,
        clients: &'a [&'a str],
    ) -> BoxFuture<'a, Result<ApiResponse<Vec<BatchEntry>>, CallError>>;

    /// Drops cached credentials and fetches new ones; returns whether they differ.
    fn refresh_credentials(&self) -> BoxFuture<'_, bool>;

    /// The number of times the credentials were replaced: refused calls may be accepted afterwards.
    fn credentials_replaced(&self) -> u64 {
        0
    }

    /// The server's clock minus this host's, in milliseconds, as corrected for in requests.
    fn clock_offset_millis(&self) -> i64;
}

/// The layer of limits that a throttled answer refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThrottledLayer {
    /// The account's calls of this operation.
    Account,
    /// The instance.
    Instance,
}

/// What the caller of a failed call should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Slow the layer down, then retry within the budget.
    Throttled {
        /// The layer to slow down.
        layer: ThrottledLayer,
        /// The `retry-after` of the answer.
        retry_after: Option<Duration>,
    },
    /// Retry within the budget.
    Transient,
    /// The connection was refused or could not be established: no request was sent. Handled like
    /// [`ErrorClass::Transient`], and many in a row open the breaker.
    Connect,
    /// A kept-alive connection was closed before the first byte of the answer: retry once.
    Closed,
    /// The clocks differ; the source has stored the new offset: retry once.
    ClockSkew,
    /// The nonce was used before: retry once.
    Nonce,
    /// The credentials were refused: refresh them and retry once; then the error is terminal.
    Credentials,
    /// A retry cannot succeed until an operator changes something.
    Terminal,
    /// This client cannot be queried; others can.
    Client,
}

/// How far a failed call got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// No byte of the request was sent.
    NotSent,
    /// The request was sent and had no answer: it may still arrive.
    Unanswered,
    /// The server answered.
    Answered,
}

/// A failed call: its class, and everything an operator needs to resolve it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} on {instance}: {code}: {message}{}; {advice}", .request_id.as_deref().map(|id| format!(" (request ID {id})")).unwrap_or_default())]
pub struct CallError {
    /// What the caller should do.
    pub class: ErrorClass,
    /// How far the call got.
    pub delivery: Delivery,
    /// The value of the label `code`; one of a closed set.
    pub label: &'static str,
    /// The vendor's name of the operation.
    pub operation: &'static str,
    /// The instance that was queried.
    pub instance: String,
    /// The vendor's error code, or the kind of transport error.
    pub code: String,
    /// The message of the vendor or of the transport, without secrets and without the body.
    pub message: String,
    /// The vendor's ID of the call.
    pub request_id: Option<String>,
    /// How to resolve the error, in the imperative.
    pub advice: &'static str,
}

impl CallError {
    /// Whether the call failed on the way to the API: it proves nothing about who made it.
    #[must_use]
    pub const fn is_on_the_way(&self) -> bool {
        matches!(
            self.class,
            ErrorClass::Transient | ErrorClass::Connect | ErrorClass::Closed
        )
    }
}
