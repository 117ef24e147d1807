//! The trait behind which the API stands, and what its calls can come to.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future that may move between threads, so that the trait can be a `dyn` one.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A successful call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiResponse<T> {
    /// What the API said.
    pub value: T,
    /// By which ID the service's operators can find the call.
    pub request_id: Option<String>,
}

/// How many clients a batch may ask for.
pub const MAX_BATCH: usize = 10;

/// One client in the answer to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchEntry {
    /// The client ID, as the API wrote it.
    pub client: String,
    /// Whether the API said that it is online.
    pub online: bool,
}

/// The presence of the clients of one instance, as somebody else knows it.
///
/// One call of a method is one request on the wire, and needs one permit: an implementation
/// never retries. Every call ends by itself, within the timeout it was built with; dropping the
/// future closes the connection.
pub trait PresenceSource: Send + Sync + fmt::Debug {
    /// Asks for one client, in real time. `true` is online.
    fn query<'a>(&'a self, client: &'a str) -> BoxFuture<'a, Result<ApiResponse<bool>, CallError>>;

    /// Asks for up to [`MAX_BATCH`] clients; the answer may lag, come in any order, and lack some.
    fn query_batch<'a>(
        &'a self,
        clients: &'a [&'a str],
    ) -> BoxFuture<'a, Result<ApiResponse<Vec<BatchEntry>>, CallError>>;

    /// Drops cached credentials and fetches new ones; whether there are other ones now.
    fn refresh_credentials(&self) -> BoxFuture<'_, bool>;

    /// How often somebody has replaced the credentials: what was refused before may be accepted now.
    fn credentials_replaced(&self) -> u64 {
        0
    }

    /// The server's clock minus this host's, in milliseconds, as corrected for in requests.
    fn clock_offset_millis(&self) -> i64;
}

/// The layer of limits that a throttling answer speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThrottledLayer {
    /// The account's calls of this operation.
    Account,
    /// The instance.
    Instance,
}

/// What a failed call asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Slow the layer down, then ask again within the budget.
    Throttled {
        /// Which layer to slow down.
        layer: ThrottledLayer,
        /// How long the service asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// Ask again within the budget.
    Transient,
    /// The connection was refused or could not be made: no request went out. Handled like
    /// [`ErrorClass::Transient`], and many in a row open the breaker.
    Connect,
    /// A kept-alive connection ended before the first byte of the answer: ask again, once.
    Closed,
    /// The clocks differ; the source has taken the new offset: ask again, once.
    ClockSkew,
    /// The nonce was used before: ask again, once.
    Nonce,
    /// The credentials were refused: refresh them, ask again, once; then it is terminal.
    Credentials,
    /// Asking again cannot help until a person changed something.
    Terminal,
    /// This client cannot be asked for; others can.
    Client,
}

/// A failed call: its class, and everything a person needs to act on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} on {instance}: {code}: {message}{}; {advice}", .request_id.as_deref().map(|id| format!(" (request ID {id})")).unwrap_or_default())]
pub struct CallError {
    /// What follows.
    pub class: ErrorClass,
    /// The value of the label `code`; one of a closed set.
    pub label: &'static str,
    /// The operation, by the service's name.
    pub operation: &'static str,
    /// The instance that was asked.
    pub instance: String,
    /// The service's error code, or what went wrong in the transport.
    pub code: String,
    /// The service's message, or the transport's; without secrets and without the body.
    pub message: String,
    /// By which ID the service's operators can find the call.
    pub request_id: Option<String>,
    /// What to do about it, as a sentence in the imperative.
    pub advice: &'static str,
}

impl CallError {
    /// Whether the call reached the API and was authorised, as far as its answer tells.
    #[must_use]
    pub const fn authorised(&self) -> bool {
        matches!(
            self.class,
            ErrorClass::Throttled { .. } | ErrorClass::Client
        )
    }
}
