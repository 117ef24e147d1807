//! The access key that requests are signed with.
//!
//! [`CredentialProvider`] keeps what its source gave, and renews it in time. Each source is a
//! function that fetches once. Environment, clock and home directory are parameters; files are
//! read at each fetch, so that a refresh finds a rotated key.

mod ecs_ram_role;
mod fetch;
mod http;
pub mod profile;
mod provider;
mod schedule;
mod source;
mod sts;
pub mod sts_response;

pub use fetch::{FetchError, FetchedKey, ProviderDeps};
pub use provider::CredentialProvider;

#[cfg(test)]
mod tests;
