//! `ACS3-HMAC-SHA256` (page "Request syntax and signature method V3").

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{CanonicalQuery, same};
use crate::secret::Secret;

/// The name of the algorithm, as the string to sign and the `Authorization` header begin.
pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// [`body_hash`] of a request without a body.
pub const EMPTY_BODY_HASH: &str =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The hash of a body, as `x-acs-content-sha256` carries it.
#[must_use]
pub fn body_hash(body: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    push_hex(&mut text, &Sha256::digest(body));
    text
}

/// The headers that a signature covers: lower-case names with their values, sorted by name.
#[derive(Clone)]
pub struct SignedHeaders<'a>(Vec<(&'a str, &'a str)>);

impl<'a> SignedHeaders<'a> {
    /// Sorts `headers`, pairs of a lower-case name and a value. White space around a value does
    /// not count.
    #[must_use]
    pub fn new(mut headers: Vec<(&'a str, &'a str)>) -> Self {
        headers.sort_unstable();
        Self(headers)
    }

    /// Appends the names, joined by `;`.
    fn push_names(&self, out: &mut String) {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(';');
            }
            out.push_str(name);
        }
    }
}

impl fmt::Display for SignedHeaders<'_> {
    /// The names, joined by `;`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = String::new();
        self.push_names(&mut names);
        f.write_str(&names)
    }
}

impl fmt::Debug for SignedHeaders<'_> {
    /// Only the names: a value may be a security token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedHeaders({self})")
    }
}

/// The first stage: everything about a request that its signature covers, as one text.
#[derive(Clone, PartialEq, Eq)]
pub struct CanonicalRequest(String);

impl CanonicalRequest {
    /// Puts a request to the path `/` together; `body_hash` is what `x-acs-content-sha256` says.
    #[must_use]
    pub fn new(
        method: &str,
        query: &CanonicalQuery,
        headers: &SignedHeaders<'_>,
        body_hash: &str,
    ) -> Self {
        let in_headers: usize = headers
            .0
            .iter()
            .map(|(name, value)| 2 * name.len() + value.len() + 3)
            .sum();
        let mut text = String::with_capacity(
            method.len() + query.as_str().len() + in_headers + body_hash.len() + 8,
        );
        text.push_str(method);
        text.push_str("\n/\n");
        text.push_str(query.as_str());
        text.push('\n');
        for (name, value) in &headers.0 {
            text.push_str(name);
            text.push(':');
            text.push_str(value.trim());
            text.push('\n');
        }
        text.push('\n');
        headers.push_names(&mut text);
        text.push('\n');
        text.push_str(body_hash);
        Self(text)
    }

    /// The text. It holds a security token if the request does.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The next stage.
    #[must_use]
    pub fn string_to_sign(&self) -> StringToSign {
        let mut text = String::with_capacity(ALGORITHM.len() + 1 + 64);
        text.push_str(ALGORITHM);
        text.push('\n');
        push_hex(&mut text, &Sha256::digest(self.0.as_bytes()));
        StringToSign(text)
    }
}

impl fmt::Debug for CanonicalRequest {
    /// Not the text: it may hold a security token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CanonicalRequest").finish_non_exhaustive()
    }
}

/// The second stage: the text that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringToSign(String);

impl StringToSign {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last stage. The key is the access key secret itself.
    #[must_use]
    pub fn sign(&self, access_key_secret: &Secret) -> RequestSignature {
        let mut text = String::with_capacity(64);
        push_hex(
            &mut text,
            &hmac_sha256(access_key_secret.expose().as_bytes(), self.0.as_bytes()),
        );
        RequestSignature(text)
    }
}

/// The signature of a request.
#[derive(Clone, Debug)]
pub struct RequestSignature(String);

impl RequestSignature {
    /// The signature as it travels.
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

/// What the `Authorization` header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorizationHeader<'a> {
    /// The access key ID.
    pub access_key_id: &'a str,
    /// The names of the signed headers, joined by `;`.
    pub signed_headers: &'a str,
    /// The signature.
    pub signature: &'a str,
}

impl<'a> AuthorizationHeader<'a> {
    /// The header's value for a request signed by `access_key_id`.
    #[must_use]
    pub fn header(
        access_key_id: &str,
        headers: &SignedHeaders<'_>,
        signature: &RequestSignature,
    ) -> String {
        format!(
            "{ALGORITHM} Credential={access_key_id},SignedHeaders={headers},Signature={}",
            signature.as_str()
        )
    }

    /// Reads a header's value; `None` when it is of another form.
    #[must_use]
    pub fn parse(header: &'a str) -> Option<Self> {
        let rest = header
            .trim()
            .strip_prefix(ALGORITHM)?
            .trim_start()
            .strip_prefix("Credential=")?;
        let (access_key_id, rest) = rest.split_once(',')?;
        let (signed_headers, rest) = rest
            .trim_start()
            .strip_prefix("SignedHeaders=")?
            .split_once(',')?;
        let signature = rest.trim_start().strip_prefix("Signature=")?;
        Some(Self {
            access_key_id,
            signed_headers,
            signature,
        })
    }
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}
