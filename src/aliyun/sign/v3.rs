//! `ACS3-HMAC-SHA256` (page "Request syntax and signature method V3").

use sha2::{Digest as _, Sha256};

use super::query::CanonicalQuery;
use super::signature::StringToSign;
use crate::config::Signature;
use crate::secret::Secret;

/// The name of the algorithm: the start of the string to sign and of the `Authorization` header.
pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// [`body_hash`] of a request without a body.
pub const EMPTY_BODY_HASH: &str =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The hash of a body, as `x-acs-content-sha256` carries it.
#[must_use]
pub fn body_hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// The first stage: everything of a request that its signature covers, as one text.
pub struct CanonicalRequest {
    text: String,
    signed_headers: String,
}

impl CanonicalRequest {
    /// The text for a request to the path `/`. `headers` are those that the signature covers:
    /// pairs of a lower-case name and a value, around which white space is ignored. `body_hash` is
    /// the value of `x-acs-content-sha256`.
    #[must_use]
    pub fn new(
        method: &str,
        query: &CanonicalQuery,
        mut headers: Vec<(&str, &str)>,
        body_hash: &str,
    ) -> Self {
        headers.sort_unstable();
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let signed_headers = names.join(";");
        let mut text = String::with_capacity(1024);
        text.extend([method, "\n/\n", query.as_str(), "\n"]);
        for (name, value) in headers {
            text.extend([name, ":", value.trim(), "\n"]);
        }
        text.extend(["\n", &signed_headers, "\n", body_hash]);
        Self {
            text,
            signed_headers,
        }
    }

    /// The text. It contains the security token of the request, if there is one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The next stage.
    #[must_use]
    pub fn string_to_sign(&self) -> StringToSign {
        StringToSign {
            version: Signature::V3,
            text: format!("{ALGORITHM}\n{}", body_hash(self.text.as_bytes())),
        }
    }

    /// The value of the `Authorization` header, with the signature: all stages after this one.
    #[must_use]
    pub fn authorization(&self, access_key_id: &str, access_key_secret: &Secret) -> String {
        let names = &self.signed_headers;
        let signature = self.string_to_sign().sign(access_key_secret);
        let signature = signature.as_str();
        format!(
            "{ALGORITHM} Credential={access_key_id},SignedHeaders={names},Signature={signature}"
        )
    }
}

/// The content of an `Authorization` header.
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
    /// Reads a header's value; `None` if it has another form.
    #[must_use]
    pub fn parse(header: &'a str) -> Option<Self> {
        let rest = header.trim().strip_prefix(ALGORITHM)?;
        let mut fields = rest.splitn(3, ',');
        let mut field = |name| fields.next()?.trim_start().strip_prefix(name);
        Some(Self {
            access_key_id: field("Credential=")?,
            signed_headers: field("SignedHeaders=")?,
            signature: field("Signature=")?,
        })
    }
}
