//! Who may call: what the vendor's gateway checks before an operation sees a request.

use std::borrow::Cow;
use std::time::Duration;

use hyper::header::HeaderName;

use super::keys::KeyStore;
use super::request::ApiRequest;
use super::vendor_error::VendorError;
use crate::aliyun::sign::{self, CanonicalQuery, v2, v3};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// How far a timestamp may be from the server's time, either way.
const TOLERANCE: Duration = Duration::from_secs(15 * 60);

/// What a request says of itself, in headers (V3) or parameters (V2).
struct Claims<'a> {
    version: Cow<'a, str>,
    access_key_id: &'a str,
    timestamp: Cow<'a, str>,
    nonce: Cow<'a, str>,
    security_token: Option<Cow<'a, str>>,
    signature: &'a str,
}

/// A request that may go on, if its nonce is new.
#[derive(Debug)]
pub(super) struct Verified {
    /// The version of the product's API.
    pub(super) version: String,
    pub(super) nonce: String,
    /// Until when the same nonce could come with a timestamp that is accepted.
    pub(super) nonce_until: Timestamp,
}

impl KeyStore {
    /// Checks everything about `call` but what needs memory.
    pub(super) fn verify(
        &self,
        call: &ApiRequest,
        now: Timestamp,
    ) -> Result<Verified, VendorError> {
        let authorization = call.header("authorization");
        if let Some(header) = authorization
            .as_deref()
            .filter(|header| header.starts_with(v3::ALGORITHM))
        {
            let authorization = v3::AuthorizationHeader::parse(header)
                .ok_or_else(|| VendorError::invalid("Authorization"))?;
            let claims = v3_claims(call, authorization)?;
            self.check(&claims, now, |secret| {
                let string_to_sign = v3_string_to_sign(call, authorization.signed_headers);
                let right = string_to_sign.sign(secret).matches(claims.signature);
                if right {
                    Ok(())
                } else {
                    Err(VendorError::signature(string_to_sign.as_str()))
                }
            })
        } else {
            let claims = v2_claims(call)?;
            self.check(&claims, now, |secret| {
                let params = call
                    .params()
                    .filter(|(name, _)| *name != "Signature")
                    .collect();
                let string_to_sign =
                    v2::StringToSign::new(call.method(), &CanonicalQuery::new(params));
                let right = string_to_sign.sign(secret).matches(claims.signature);
                if right {
                    Ok(())
                } else {
                    Err(VendorError::signature(string_to_sign.as_str()))
                }
            })
        }
    }

    fn check(
        &self,
        claims: &Claims<'_>,
        now: Timestamp,
        signature: impl FnOnce(&Secret) -> Result<(), VendorError>,
    ) -> Result<Verified, VendorError> {
        let stamped =
            sign::parse_date(&claims.timestamp).ok_or_else(VendorError::timestamp_format)?;
        if stamped.since(now).max(now.since(stamped)) > TOLERANCE {
            return Err(VendorError::timestamp_expired());
        }
        let token = claims.security_token.as_deref().map(Secret::new);
        let key = self.admit(claims.access_key_id, token, now)?;
        signature(&key.secret)?;
        Ok(Verified {
            version: claims.version.to_string(),
            nonce: claims.nonce.to_string(),
            nonce_until: stamped + TOLERANCE,
        })
    }
}

fn v3_claims<'a>(
    call: &'a ApiRequest,
    authorization: v3::AuthorizationHeader<'a>,
) -> Result<Claims<'a>, VendorError> {
    let header = |name: &str, stands_for: &str| {
        call.header(name)
            .ok_or_else(|| VendorError::missing(stands_for))
    };
    header("x-acs-content-sha256", "ContentSha256")?;
    Ok(Claims {
        version: header("x-acs-version", "Version")?,
        access_key_id: authorization.access_key_id,
        timestamp: header("x-acs-date", "Timestamp")?,
        nonce: header("x-acs-signature-nonce", "SignatureNonce")?,
        security_token: call.header("x-acs-security-token"),
        signature: authorization.signature,
    })
}

/// The text that a V3 request has to be signed by. Host and vendor headers are covered whether or
/// not the caller listed them, so that leaving one out is a wrong signature.
fn v3_string_to_sign(call: &ApiRequest, listed: &str) -> v3::StringToSign {
    let mut names: Vec<&str> = call.headers().keys().map(HeaderName::as_str).collect();
    names.retain(|name| {
        *name == "host"
            || name.starts_with("x-acs-")
            || listed.split(';').any(|other| other == *name)
    });
    let headers: Vec<(&str, Cow<'_, str>)> = names
        .into_iter()
        .map(|name| (name, call.header(name).unwrap_or_default()))
        .collect();
    let headers = v3::SignedHeaders::new(
        headers
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect(),
    );
    let query = CanonicalQuery::new(call.query().collect());
    let body_hash = v3::body_hash(call.body());
    v3::CanonicalRequest::new(call.method(), &query, &headers, body_hash.as_str()).string_to_sign()
}

fn v2_claims(call: &ApiRequest) -> Result<Claims<'_>, VendorError> {
    let param = |name: &str| call.param(name).ok_or_else(|| VendorError::missing(name));
    for (name, value) in [
        ("SignatureMethod", v2::METHOD),
        ("SignatureVersion", v2::VERSION),
    ] {
        if param(name)? != value {
            return Err(VendorError::invalid(name));
        }
    }
    Ok(Claims {
        version: param("Version")?.into(),
        access_key_id: param("AccessKeyId")?,
        timestamp: param("Timestamp")?.into(),
        nonce: param("SignatureNonce")?.into(),
        security_token: call.param("SecurityToken").map(Cow::Borrowed),
        signature: param("Signature")?,
    })
}
