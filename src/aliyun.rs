//! The API of Alibaba Cloud, used by no other module: signatures, credentials, answers and
//! errors.
//!
//! The interface to the rest is [`presence::PresenceSource`](crate::presence::PresenceSource): one
//! call, one request, one classified result. Decisions about a failure (retry, slow down) do not
//! belong here.

mod access_key;
pub mod answer;
mod api_client;
mod body;
pub mod credentials;
mod endpoint;
mod failure;
mod request;
mod rules;
pub mod sign;
mod transport;

pub use access_key::AccessKey;
pub use api_client::{ApiClient, ApiClientOptions};
pub use endpoint::{BadRegion, endpoint};
pub use failure::{CallFailure, ERROR_LABELS};
pub use rules::{RULES, client_id_irregularity};
pub use transport::HttpResponse;

use crate::presence::Operation;

/// Calls per second of an operation that all processes of one account together may make (pages of
/// the operations). Further calls are throttled.
#[must_use]
pub const fn account_quota(operation: Operation) -> u32 {
    match operation {
        Operation::Single => 500,
        Operation::Batch => 100,
    }
}
