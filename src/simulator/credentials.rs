//! The services that issue temporary credentials: the security token service, the metadata service
//! of an ECS instance and a credentials URI, all at the address of the API.
//!
//! | request | answer |
//! | --- | --- |
//! | `Action=AssumeRole`, signed | credentials of a role, for a caller with an access key |
//! | `Action=AssumeRoleWithOIDC` | credentials of a role, for a caller with a token of the identity provider |
//! | `PUT /latest/api/token` | a token of the metadata service |
//! | `GET /latest/meta-data/ram/security-credentials/` | the role of the instance; with the role in the path, its credentials |
//! | `GET /credentials` | credentials, as from a credentials URI |

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{self, Content};
use super::request::ApiRequest;
use super::state::{Exchange, MetadataTokens, State};
use super::vendor_error::VendorError;
use crate::aliyun::sign::format_date;
use crate::secret::Secret;

const URI: &str = "/credentials";
const TOKEN: &str = "/latest/api/token";
const ROLES: &str = "/latest/meta-data/ram/security-credentials/";

const STS_VERSION: &str = "2015-04-01";

/// The roles of the account. The first is also the role of the ECS instance and of the URI.
const ROLE_NAMES: [&str; 2] = ["presence-reader", "presence-hop"];
const ACCOUNT: &str = "1000000000000001";

/// What a caller needs to get temporary credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IdentityInfo {
    /// The roles of the account.
    pub role_arns: Vec<String>,
    /// The identity provider that they trust.
    pub oidc_provider_arn: String,
    /// Its token, until it is [rotated](super::Simulator::rotate_oidc_token).
    pub oidc_token: String,
    /// The credentials URI.
    pub credentials_uri: String,
}

impl State {
    pub(super) fn identity(&self) -> IdentityInfo {
        let rotations = self.oidc_rotations.load(Ordering::Relaxed);
        let oidc_token = self.random("OIDC token").nth(rotations).bits();
        IdentityInfo {
            role_arns: ROLE_NAMES
                .map(|name| format!("acs:ram::{ACCOUNT}:role/{name}"))
                .into(),
            oidc_provider_arn: format!("acs:ram::{ACCOUNT}:oidc-provider/simulator"),
            oidc_token: format!("oidc.token.{oidc_token:016x}"),
            credentials_uri: format!("{}{URI}", self.endpoint),
        }
    }

    /// The only token of the metadata service; it does not expire.
    pub(super) fn metadata_token(&self) -> String {
        format!(
            "metadata-token-{:016x}",
            self.random("metadata token").bits()
        )
    }
}

/// Answers a request.
pub(super) type Service = fn(&Exchange<'_>) -> Result<Content, VendorError>;

/// The service that `request` is for, if it issues credentials; `None` for the API.
pub(super) fn service(request: &ApiRequest) -> Option<Service> {
    Some(match request.path() {
        URI => |exchange| Ok(document(exchange, 3600)),
        TOKEN => |exchange| Ok(metadata_token(exchange)),
        path if path.starts_with(ROLES) => |exchange| Ok(metadata(exchange)),
        _ => match &*request.action()? {
            "AssumeRole" | "AssumeRoleWithOIDC" => assume_role,
            _ => return None,
        },
    })
}

fn assume_role(exchange: &Exchange<'_>) -> Result<Content, VendorError> {
    let request = exchange.request;
    let with_oidc = request.action().as_deref() == Some("AssumeRoleWithOIDC");
    let version = if with_oidc {
        request.param("Version").unwrap_or_default().to_owned()
    } else {
        exchange.authenticate()?
    };
    if version != STS_VERSION {
        return Err(VendorError::NO_SUCH_API);
    }
    if with_oidc {
        let identity = exchange.state.identity();
        if request.required("OIDCProviderArn")? != identity.oidc_provider_arn
            || request.required("OIDCToken")? != identity.oidc_token
        {
            return Err(VendorError::OIDC_TOKEN);
        }
    }
    let role = role(request)?;
    let session = request.required("RoleSessionName")?;
    let seconds = request
        .param("DurationSeconds")
        .map_or(Ok(3600), str::parse);
    let Ok(seconds @ 900..=43_200) = seconds else {
        return Err(VendorError::invalid("DurationSeconds"));
    };
    Ok(Content::Result(json!({
        "AssumedRoleUser": {
            "Arn": format!("acs:ram::{ACCOUNT}:role/{role}/{session}"),
            "AssumedRoleId": format!("300000000000000001:{session}"),
        },
        "Credentials": credentials(exchange, role, seconds),
    })))
}

/// The role in the request, if the account has it.
fn role(request: &ApiRequest) -> Result<&'static str, VendorError> {
    let arn = request.required("RoleArn")?.strip_prefix("acs:ram::");
    let (account, name) = arn
        .and_then(|rest| rest.split_once(":role/"))
        .ok_or_else(|| VendorError::invalid("RoleArn"))?;
    if account != ACCOUNT {
        return Err(VendorError::ROLE_DENIED);
    }
    let role = ROLE_NAMES.into_iter().find(|known| *known == name);
    role.ok_or(VendorError::NO_SUCH_ROLE)
}

fn text(status: u16, text: impl Into<String>) -> Content {
    Content::Raw(status, answer::TEXT, text.into())
}

fn metadata_token(exchange: &Exchange<'_>) -> Content {
    let (state, request) = (exchange.state, exchange.request);
    if state.metadata_tokens == MetadataTokens::Unknown || request.method() != "PUT" {
        return text(404, "");
    }
    let ttl = request.header("x-aliyun-ecs-metadata-token-ttl-seconds");
    match ttl.and_then(|ttl| ttl.parse::<u32>().ok()) {
        Some(1..=21_600) => text(200, state.metadata_token()),
        _ => text(400, ""),
    }
}

fn metadata(exchange: &Exchange<'_>) -> Content {
    let (state, request) = (exchange.state, exchange.request);
    let admitted = match request.header("x-aliyun-ecs-metadata-token") {
        Some(token) => *token == state.metadata_token(),
        None => state.metadata_tokens != MetadataTokens::Required,
    };
    match request.path().strip_prefix(ROLES).unwrap_or_default() {
        _ if !admitted => text(403, ""),
        "" => text(200, ROLE_NAMES[0]),
        name if name == ROLE_NAMES[0] => document(exchange, 6 * 3600),
        _ => text(404, ""),
    }
}

/// New credentials in the format of the metadata service and of a credentials URI.
fn document(exchange: &Exchange<'_>, seconds: u64) -> Content {
    let mut value = credentials(exchange, ROLE_NAMES[0], seconds);
    value["Code"] = "Success".into();
    value["LastUpdated"] = format_date(exchange.server_time).into();
    Content::Raw(200, answer::JSON, value.to_string())
}

/// New credentials of `role`, for `seconds` unless the options set another lifetime.
fn credentials(exchange: &Exchange<'_>, role: &str, seconds: u64) -> Value {
    let Exchange {
        state, server_time, ..
    } = *exchange;
    let lifetime = state
        .credential_lifetime
        .unwrap_or(Duration::from_secs(seconds));
    let expires = server_time + lifetime;
    let key = state.keys.issue(role, expires);
    json!({
        "AccessKeyId": key.id,
        "AccessKeySecret": key.secret.expose(),
        "SecurityToken": key.security_token.as_ref().map(Secret::expose),
        "Expiration": format_date(expires),
    })
}
