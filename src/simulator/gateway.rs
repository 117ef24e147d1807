//! What the gateway of the API verifies before a service gets a request: timestamp, access key,
//! signature and nonce.

use std::borrow::Cow;
use std::time::Duration;

use hyper::header::HeaderName;

use super::request::ApiRequest;
use super::state::Exchange;
use super::vendor_error::VendorError;
use crate::aliyun::sign::{self, CanonicalQuery, RequestSignature, v2, v3};
use crate::secret::Secret;

/// Accepted difference between a timestamp and the server's time, in either direction.
const TOLERANCE: Duration = Duration::from_secs(15 * 60);

/// What a request declares in headers (V3) or parameters (V2).
struct Claims<'a> {
    version: Cow<'a, str>,
    access_key_id: &'a str,
    timestamp: Cow<'a, str>,
    nonce: Cow<'a, str>,
    security_token: Option<Cow<'a, str>>,
    signature: &'a str,
}

impl Exchange<'_> {
    /// Verifies who calls. Returns the API version of the request.
    pub(super) fn authenticate(&self) -> Result<String, VendorError> {
        let request = self.request;
        let header = request.header("authorization");
        if let Some(header) = header
            .as_deref()
            .filter(|header| header.starts_with(v3::ALGORITHM))
        {
            let authorization = v3::AuthorizationHeader::parse(header)
                .ok_or_else(|| VendorError::invalid("Authorization"))?;
            self.check(&v3_claims(request, authorization)?, |secret| {
                let text = v3_string_to_sign(request, authorization.signed_headers);
                (text.sign(secret), text.as_str().to_owned())
            })
        } else {
            self.check(&v2_claims(request)?, |secret| {
                let params = request.params().filter(|(name, _)| *name != "Signature");
                let query = CanonicalQuery::new(params.collect());
                let text = v2::StringToSign::new(request.method(), &query);
                (text.sign(secret), text.as_str().to_owned())
            })
        }
    }

    fn check(
        &self,
        claims: &Claims<'_>,
        sign: impl FnOnce(&Secret) -> (RequestSignature, String),
    ) -> Result<String, VendorError> {
        let now = self.server_time;
        let stamped = sign::parse_date(&claims.timestamp).ok_or(VendorError::TIMESTAMP_FORMAT)?;
        if stamped.since(now).max(now.since(stamped)) > TOLERANCE {
            return Err(VendorError::TIMESTAMP_EXPIRED);
        }
        let token = claims.security_token.as_deref().map(Secret::new);
        let key = self.state.keys.admit(claims.access_key_id, token, now)?;
        let (signature, string_to_sign) = sign(&key.secret);
        if !signature.matches(claims.signature) {
            return Err(VendorError::signature(&string_to_sign));
        }
        // Until then, the same nonce could arrive with a timestamp that is accepted.
        let until = stamped + TOLERANCE;
        let (mut records, _) = self.state.records();
        if !records.nonces.insert(&claims.nonce, now, until) {
            return Err(VendorError::NONCE_USED);
        }
        Ok(claims.version.to_string())
    }
}

fn v3_claims<'a>(
    request: &'a ApiRequest,
    authorization: v3::AuthorizationHeader<'a>,
) -> Result<Claims<'a>, VendorError> {
    let header = |name: &str, stands_for: &str| {
        let value = request.header(name);
        value.ok_or_else(|| VendorError::missing(stands_for))
    };
    header("x-acs-content-sha256", "ContentSha256")?;
    Ok(Claims {
        version: header("x-acs-version", "Version")?,
        access_key_id: authorization.access_key_id,
        timestamp: header("x-acs-date", "Timestamp")?,
        nonce: header("x-acs-signature-nonce", "SignatureNonce")?,
        security_token: request.header("x-acs-security-token"),
        signature: authorization.signature,
    })
}

/// The text that signs a V3 request. Host and `x-acs-` headers are covered whether or not the
/// caller listed them, so that a request that omits one has a wrong signature.
fn v3_string_to_sign(request: &ApiRequest, listed: &str) -> v3::StringToSign {
    let mut names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
    names.retain(|name| {
        *name == "host"
            || name.starts_with("x-acs-")
            || listed.split(';').any(|other| other == *name)
    });
    let value = |name| request.header(name).unwrap_or_default();
    let headers: Vec<_> = names.into_iter().map(|name| (name, value(name))).collect();
    let headers = headers.iter().map(|(name, value)| (*name, &**value));
    let headers = v3::SignedHeaders::new(headers.collect());
    let query = CanonicalQuery::new(request.query().collect());
    let body_hash = v3::body_hash(request.body());
    v3::CanonicalRequest::new(request.method(), &query, &headers, body_hash.as_str())
        .string_to_sign()
}

fn v2_claims(request: &ApiRequest) -> Result<Claims<'_>, VendorError> {
    for (name, value) in [
        ("SignatureMethod", v2::METHOD),
        ("SignatureVersion", v2::VERSION),
    ] {
        if request.required(name)? != value {
            return Err(VendorError::invalid(name));
        }
    }
    Ok(Claims {
        version: request.required("Version")?.into(),
        access_key_id: request.required("AccessKeyId")?,
        timestamp: request.required("Timestamp")?.into(),
        nonce: request.required("SignatureNonce")?.into(),
        security_token: request.param("SecurityToken").map(Cow::Borrowed),
        signature: request.required("Signature")?,
    })
}
