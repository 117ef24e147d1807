//! What the gateway of the API verifies before a service gets a request: timestamp, access key,
//! signature and nonce.

use std::borrow::Cow;
use std::time::Duration;

use hyper::header::HeaderName;

use super::request::ApiRequest;
use super::state::Exchange;
use super::vendor_error::VendorError;
use crate::aliyun::sign::{self, CanonicalQuery, StringToSign, v2, v3};
use crate::secret::Secret;

/// Accepted difference between a timestamp and the server's time, in either direction.
const TOLERANCE: Duration = Duration::from_secs(15 * 60);

impl Exchange<'_> {
    /// Verifies who calls. Returns the API version of the request.
    ///
    /// A request declares version, timestamp, nonce and token in headers (V3) or parameters (V2).
    pub(super) fn authenticate(&self) -> Result<String, VendorError> {
        let (request, now) = (self.request, self.server_time);
        let header = request.header("authorization");
        let v3 = match header.as_deref() {
            Some(header) if header.starts_with(v3::ALGORITHM) => Some(
                v3::AuthorizationHeader::parse(header)
                    .ok_or_else(|| VendorError::invalid("Authorization"))?,
            ),
            _ => None,
        };
        let optional = |header: &str, parameter: &str| match v3 {
            Some(_) => request.header(header),
            None => request.param(parameter).map(Cow::Borrowed),
        };
        let declared = |header: &str, parameter: &str| {
            optional(header, parameter).ok_or_else(|| VendorError::missing(parameter))
        };
        let (id, claimed) = if let Some(authorization) = v3 {
            declared("x-acs-content-sha256", "ContentSha256")?;
            (authorization.access_key_id, authorization.signature)
        } else {
            for (name, value) in [
                ("SignatureMethod", v2::METHOD),
                ("SignatureVersion", v2::VERSION),
            ] {
                if request.required(name)? != value {
                    return Err(VendorError::invalid(name));
                }
            }
            let id = request.required("AccessKeyId")?;
            (id, request.required("Signature")?)
        };
        let version = declared("x-acs-version", "Version")?;
        let nonce = declared("x-acs-signature-nonce", "SignatureNonce")?;
        let stamped = declared("x-acs-date", "Timestamp")?;
        let stamped = sign::parse_date(&stamped).ok_or(VendorError::TIMESTAMP_FORMAT)?;
        if stamped.since(now).max(now.since(stamped)) > TOLERANCE {
            return Err(VendorError::TIMESTAMP_EXPIRED);
        }
        let token = optional("x-acs-security-token", "SecurityToken").map(Secret::new);
        let secret = self.state.keys.admit(id, token, now)?.secret;
        let string_to_sign = match v3 {
            Some(authorization) => v3_string_to_sign(request, authorization.signed_headers),
            None => v2_string_to_sign(request),
        };
        if !string_to_sign.sign(&secret).matches(claimed) {
            return Err(VendorError::signature(string_to_sign.as_str()));
        }
        // Until then, the same nonce could arrive with a timestamp that is accepted.
        let until = stamped + TOLERANCE;
        let (mut records, _) = self.state.records();
        if !records.nonces.insert(&nonce, now, until) {
            return Err(VendorError::NONCE_USED);
        }
        Ok(version.into_owned())
    }
}

/// The text that signs a V3 request. Host and `x-acs-` headers are covered whether or not the
/// caller listed them, so that a request that omits one has a wrong signature.
fn v3_string_to_sign(request: &ApiRequest, listed: &str) -> StringToSign {
    let is_signed = |name: &str| {
        name == "host" || name.starts_with("x-acs-") || listed.split(';').any(|other| other == name)
    };
    let names = request.head.headers.keys().map(HeaderName::as_str);
    let value = |name| (name, request.header(name).unwrap_or_default());
    let headers: Vec<_> = names.filter(|name| is_signed(name)).map(value).collect();
    let headers = headers.iter().map(|(name, value)| (*name, &**value));
    let query = CanonicalQuery::new(request.query().collect());
    let body_hash = v3::body_hash(&request.body);
    v3::CanonicalRequest::new(request.method(), &query, headers.collect(), &body_hash)
        .string_to_sign()
}

fn v2_string_to_sign(request: &ApiRequest) -> StringToSign {
    let params = request.params().filter(|(name, _)| *name != "Signature");
    v2::string_to_sign(request.method(), &CanonicalQuery::new(params.collect()))
}
