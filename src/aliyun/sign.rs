//! The two signatures of the API, as pure functions with a type for each stage.
//!
//! Nothing here uses time, randomness or the network, so that the sender of a request and its
//! verifier (the simulator) go through the same stages:
//!
//! | stage | [`v3`], page "Request syntax and signature method V3" | [`v2`], page "Request syntax and signature method V2 for RPC APIs" |
//! | --- | --- | --- |
//! | parameters, sorted and encoded | [`CanonicalQuery`] | [`CanonicalQuery`] |
//! | request | [`v3::CanonicalRequest`] | |
//! | text that is signed | [`StringToSign`] | [`StringToSign`] |
//! | signature | [`RequestSignature`] | [`RequestSignature`] |
//! | in the request | [`v3::CanonicalRequest::authorization`], [`v3::AuthorizationHeader`] | the parameter `Signature` |
//!
//! The stages that may contain a security token have no `Debug`: they cannot be printed.

mod date;
mod query;
mod signature;
pub mod v2;
pub mod v3;
#[cfg(test)]
pub(in crate::aliyun) mod vectors;

pub use date::{format_date, parse_date};
pub use query::{CanonicalQuery, percent_encode};
pub use signature::{RequestSignature, StringToSign};
