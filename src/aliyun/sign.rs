//! The vendor's two signatures, as pure functions with a type for each stage.
//!
//! Nothing here knows time, randomness or the network, so that the one who sends a request and
//! the one who verifies it (the simulator) walk the same stages:
//!
//! | stage | [`v3`], page "Request syntax and signature method V3" | [`v2`], page "Request syntax and signature method V2 for RPC APIs" |
//! | --- | --- | --- |
//! | parameters, sorted and encoded | [`CanonicalQuery`] | [`CanonicalQuery`] |
//! | request | [`v3::CanonicalRequest`] | |
//! | text that is signed | [`v3::StringToSign`] | [`v2::StringToSign`] |
//! | signature | [`v3::Signature`] | [`v2::Signature`] |
//! | how it travels | [`v3::Authorization`] | the parameter `Signature` |

mod date;
mod query;
pub mod v2;
pub mod v3;
#[cfg(test)]
pub(in crate::aliyun) mod vectors;

pub use date::{format_date, parse_date};
pub use query::{CanonicalQuery, percent_encode_into};

/// Whether two texts are the same, in a time that does not depend on where they differ.
fn same(expected: &str, claimed: &str) -> bool {
    use subtle::ConstantTimeEq as _;

    expected.as_bytes().ct_eq(claimed.as_bytes()).into()
}
