//! RPC `HMAC-SHA1` (page "Request syntax and signature method V2 for RPC APIs"), the only
//! signature that gateways of private clouds support.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use secrecy::zeroize::Zeroizing;
use sha1::Sha1;

use super::query::{CanonicalQuery, percent_encode};
use super::signature::{RequestSignature, authenticate};
use crate::secret::Secret;

/// The value of the parameter `SignatureMethod`.
pub const METHOD: &str = "HMAC-SHA1";

/// The value of the parameter `SignatureVersion`.
pub const VERSION: &str = "1.0";

/// The first stage: the text that is signed.
pub struct StringToSign(String);

impl StringToSign {
    /// The text for a request to the path `/`. `query` has all its parameters, including those
    /// of a form body, except `Signature`.
    #[must_use]
    pub fn new(method: &str, query: &CanonicalQuery) -> Self {
        Self(format!("{method}&%2F&{}", percent_encode(query.as_str())))
    }

    /// The text. It contains the security token of the request, if there is one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last stage. The key is the access key secret followed by `&`.
    #[must_use]
    pub fn sign(&self, access_key_secret: &Secret) -> RequestSignature {
        let key = Zeroizing::new([access_key_secret.expose(), "&"].concat());
        let code = authenticate::<Hmac<Sha1>>(key.as_bytes(), &self.0);
        RequestSignature(STANDARD.encode(code))
    }
}
