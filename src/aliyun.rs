//! The only place that knows the vendor: how a request is signed, where credentials come from,
//! what its answers and its errors mean.
//!
//! The edge to the rest is [`presence::PresenceSource`](crate::presence::PresenceSource): one
//! call, one request, one classified result. Deciding what to do about a failure (asking again,
//! slowing down) does not belong here.

pub mod answer;
mod api_client;
pub mod credentials;
mod endpoint;
mod failure;
mod nonce;
mod request;
pub mod sign;
mod transport;

pub use api_client::{ApiClient, ApiClientOptions};
pub use endpoint::{BadRegion, endpoint};
pub use failure::{CallFailure, ERROR_LABELS};
pub use nonce::{Nonces, RandomNonces};

use crate::presence::Operation;

/// Calls of an operation that all processes with one account may make in a second (pages of the
/// operations). Past it they are throttled.
#[must_use]
pub const fn account_quota(operation: Operation) -> u32 {
    match operation {
        Operation::Single => 500,
        Operation::Batch => 100,
    }
}
