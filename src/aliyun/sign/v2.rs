//! RPC `HMAC-SHA1` (page "Request syntax and signature method V2 for RPC APIs"): gateways of
//! private clouds know no other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::zeroize::Zeroizing;
use sha1::Sha1;

use super::{CanonicalQuery, percent_encode_into, same};
use crate::secret::Secret;

/// The value of the parameter `SignatureMethod`.
pub const METHOD: &str = "HMAC-SHA1";

/// The value of the parameter `SignatureVersion`.
pub const VERSION: &str = "1.0";

/// The first stage: the text that is signed.
#[derive(Clone, PartialEq, Eq)]
pub struct StringToSign(String);

impl StringToSign {
    /// Puts a request to the path `/` together: `query` has all its parameters, those of a form
    /// body too, but not `Signature`.
    #[must_use]
    pub fn new(method: &str, query: &CanonicalQuery) -> Self {
        // `=`, `&` and `%` are encoded once more.
        let mut text = String::with_capacity(method.len() + 5 + query.as_str().len() * 3 / 2);
        text.push_str(method);
        text.push_str("&%2F&");
        percent_encode_into(&mut text, query.as_str());
        Self(text)
    }

    /// The text. It holds a security token if the request does.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last stage. The key is the access key secret with a `&` behind it.
    #[must_use]
    pub fn sign(&self, access_key_secret: &Secret) -> RequestSignature {
        let key = Zeroizing::new([access_key_secret.expose(), "&"].concat());
        RequestSignature(STANDARD.encode(hmac_sha1(key.as_bytes(), self.0.as_bytes())))
    }
}

impl std::fmt::Debug for StringToSign {
    /// Not the text: it may hold a security token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StringToSign").finish_non_exhaustive()
    }
}

/// The signature of a request.
#[derive(Clone, Debug)]
pub struct RequestSignature(String);

impl RequestSignature {
    /// The signature as the parameter `Signature` carries it, not yet encoded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `claimed` is this signature.
    #[must_use]
    pub fn matches(&self, claimed: &str) -> bool {
        same(&self.0, claimed)
    }
}

fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
