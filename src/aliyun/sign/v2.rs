//! RPC `HMAC-SHA1` (page "Request syntax and signature method V2 for RPC APIs"), the only
//! signature that gateways of private clouds support.

use super::query::{CanonicalQuery, percent_encode};
use super::signature::StringToSign;
use crate::config::Signature;

/// The value of the parameter `SignatureMethod`.
pub const METHOD: &str = "HMAC-SHA1";

/// The value of the parameter `SignatureVersion`.
pub const VERSION: &str = "1.0";

/// The text that is signed for a request to the path `/`. `query` has all its parameters, including
/// those of a form body, except `Signature`.
#[must_use]
pub fn string_to_sign(method: &str, query: &CanonicalQuery) -> StringToSign {
    StringToSign {
        version: Signature::V2,
        text: format!("{method}&%2F&{}", percent_encode(query.as_str())),
    }
}
