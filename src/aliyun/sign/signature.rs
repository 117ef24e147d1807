//! The last stages of both signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::digest::Output;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::zeroize::Zeroizing;
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::config::Signature;
use crate::secret::Secret;

/// The text that is signed.
pub struct StringToSign {
    pub(super) version: Signature,
    pub(super) text: String,
}

impl StringToSign {
    /// The text. That of V2 contains the security token of the request, if there is one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The last stage. The key is the access key secret, for V2 followed by `&`.
    #[must_use]
    pub fn sign(&self, access_key_secret: &Secret) -> RequestSignature {
        let (secret, text) = (access_key_secret.expose(), &self.text);
        RequestSignature(match self.version {
            Signature::V3 => hex::encode(authenticate::<Hmac<Sha256>>(secret.as_bytes(), text)),
            Signature::V2 => {
                let key = Zeroizing::new([secret, "&"].concat());
                STANDARD.encode(authenticate::<Hmac<Sha1>>(key.as_bytes(), text))
            }
        })
    }
}

/// The signature of a request, as the request carries it (not yet percent-encoded).
#[derive(Clone, Debug)]
pub struct RequestSignature(String);

impl RequestSignature {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `claimed` is this signature, in a time that does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, claimed: &str) -> bool {
        self.0.as_bytes().ct_eq(claimed.as_bytes()).into()
    }
}

/// The authentication code of `text` by the algorithm `M`.
fn authenticate<M: Mac + KeyInit>(key: &[u8], text: &str) -> Output<M> {
    let mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.chain_update(text).finalize().into_bytes()
}
