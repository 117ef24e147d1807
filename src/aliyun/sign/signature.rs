//! The last stage of both signatures.

use hmac::digest::Output;
use hmac::{KeyInit, Mac};
use subtle::ConstantTimeEq as _;

/// The signature of a request, as the request carries it (not yet percent-encoded).
#[derive(Clone, Debug)]
pub struct RequestSignature(pub(super) String);

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
pub(super) fn authenticate<M: Mac + KeyInit>(key: &[u8], text: &str) -> Output<M> {
    let mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.chain_update(text).finalize().into_bytes()
}
