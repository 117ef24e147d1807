//! Where temporary credentials come from: the security token service, the metadata service of an
//! ECS instance, and a credentials URI, all at the address of the API.
//!
//! | request | what it is |
//! | --- | --- |
//! | `Action=AssumeRole`, signed | a role, for one who has a key already |
//! | `Action=AssumeRoleWithOIDC` | a role, for one who has the token of the identity provider |
//! | `PUT /latest/api/token` | a token of the metadata service |
//! | `GET /latest/meta-data/ram/security-credentials/` | the role of the instance, and below it its credentials |
//! | `GET /credentials` | the credentials URI |

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::keys::{IssuedKey, KeyStore};
use super::reply::{self, Origin};
use super::request::ApiRequest;
use super::seeded_random::SeededRandom;
use super::stats::Recorder;
use super::vendor_error::VendorError;
use crate::aliyun::sign::format_date;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// The path of the credentials URI.
const URI: &str = "/credentials";
const TOKEN: &str = "/latest/api/token";
const ROLES: &str = "/latest/meta-data/ram/security-credentials/";

const STS_VERSION: &str = "2015-04-01";

/// The roles of the account; the first is also that of the instance, and of the URI.
const ROLE_NAMES: [&str; 2] = ["presence-reader", "presence-hop"];
const ACCOUNT: &str = "1000000000000001";

/// What the metadata service makes of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetadataTokens {
    /// It gives tokens, and answers those who have none, too.
    #[default]
    Optional,
    /// It answers only those who have one.
    Required,
    /// It is an old one that has never heard of tokens.
    Unknown,
}

/// What one has to know to get temporary credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IdentityInfo {
    /// The roles that may be assumed.
    pub role_arns: Vec<String>,
    /// The identity provider that they trust.
    pub oidc_provider_arn: String,
    /// Its token, until it is [rotated](super::Simulator::rotate_oidc_token).
    pub oidc_token: String,
    /// The credentials URI.
    pub credentials_uri: String,
}

/// The settings of the services.
#[derive(Debug)]
pub(super) struct CredentialIssuer {
    pub(super) seed: u64,
    pub(super) tokens: MetadataTokens,
    /// How long credentials live, whatever is asked for.
    pub(super) lifetime: Option<Duration>,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CredentialEndpoint {
    Sts,
    MetadataToken,
    Metadata,
    Uri,
}

/// An answer: HTTP status, media type, text.
pub(super) type CredentialAnswer = (u16, &'static str, String);

const TEXT: &str = "text/plain";

impl CredentialEndpoint {
    /// Who `call` is for, if it is for one of these.
    pub(super) fn of(call: &ApiRequest) -> Option<Self> {
        match call.path() {
            URI => Some(Self::Uri),
            TOKEN => Some(Self::MetadataToken),
            path if path.starts_with(ROLES) => Some(Self::Metadata),
            _ => matches!(call.action()?.as_ref(), "AssumeRole" | "AssumeRoleWithOIDC")
                .then_some(Self::Sts),
        }
    }
}

/// How one is known to the services at a time.
pub(super) struct IssueContext<'a> {
    pub(super) keys: &'a KeyStore,
    pub(super) recorder: &'a Recorder,
    pub(super) now: Timestamp,
    pub(super) origin: Origin<'a>,
    /// How often the token of the identity provider was rotated.
    pub(super) rotated: u64,
}

impl CredentialIssuer {
    pub(super) fn identity(&self, endpoint: &str, rotated: u64) -> IdentityInfo {
        IdentityInfo {
            role_arns: ROLE_NAMES
                .map(|name| format!("acs:ram::{ACCOUNT}:role/{name}"))
                .into(),
            oidc_provider_arn: format!("acs:ram::{ACCOUNT}:oidc-provider/simulator"),
            oidc_token: self.oidc_token(rotated),
            credentials_uri: format!("{endpoint}{URI}"),
        }
    }

    fn oidc_token(&self, rotated: u64) -> String {
        format!(
            "oidc.token.{:016x}",
            SeededRandom::new(self.seed)
                .derive("OIDC token")
                .nth(rotated)
                .bits()
        )
    }

    /// The one token of the metadata service, which does not expire.
    pub(super) fn metadata_token(&self) -> String {
        format!(
            "metadata-token-{:016x}",
            SeededRandom::new(self.seed).derive("metadata token").bits()
        )
    }

    /// What the one who is asked says, if nothing goes wrong.
    pub(super) fn answer(
        &self,
        asked: CredentialEndpoint,
        call: &ApiRequest,
        at: &IssueContext<'_>,
    ) -> CredentialAnswer {
        match asked {
            CredentialEndpoint::Sts => match self.assume(call, at) {
                Ok(value) => (200, reply::JSON, value.to_string()),
                Err(refusal) => refused(refusal, &at.origin),
            },
            CredentialEndpoint::MetadataToken => self.token(call),
            CredentialEndpoint::Metadata => self.metadata(call, at),
            CredentialEndpoint::Uri => (
                200,
                reply::JSON,
                self.credentials(ROLE_NAMES[0], Duration::from_secs(3600), at, true),
            ),
        }
    }

    fn assume(&self, call: &ApiRequest, at: &IssueContext<'_>) -> Result<Value, VendorError> {
        let with_oidc = call.action().as_deref() == Some("AssumeRoleWithOIDC");
        if with_oidc {
            if call.param("Version") != Some(STS_VERSION) {
                return Err(VendorError::no_such_api());
            }
            let there = |name| call.param(name).ok_or_else(|| VendorError::missing(name));
            let identity = self.identity("", at.rotated);
            if there("OIDCProviderArn")? != identity.oidc_provider_arn
                || there("OIDCToken")? != identity.oidc_token
            {
                return Err(VendorError::oidc_token());
            }
        } else {
            let verified = at.keys.verify(call, at.now)?;
            if verified.version != STS_VERSION {
                return Err(VendorError::no_such_api());
            }
            at.recorder
                .use_nonce(&verified.nonce, at.now, verified.nonce_until)?;
        }
        let role = role(call)?;
        let session = call
            .param("RoleSessionName")
            .ok_or_else(|| VendorError::missing("RoleSessionName"))?;
        let seconds = call
            .param("DurationSeconds")
            .map_or(Some(3600), |text| text.parse::<u64>().ok());
        let Some(seconds @ 900..=43_200) = seconds else {
            return Err(VendorError::invalid("DurationSeconds"));
        };
        let credentials: Value =
            serde_json::from_str(&self.credentials(role, Duration::from_secs(seconds), at, false))
                .expect("it was written here");
        Ok(json!({
            "RequestId": at.origin.request_id,
            "AssumedRoleUser": {
                "Arn": format!("acs:ram::{ACCOUNT}:role/{role}/{session}"),
                "AssumedRoleId": format!("300000000000000001:{session}"),
            },
            "Credentials": credentials,
        }))
    }

    fn token(&self, call: &ApiRequest) -> CredentialAnswer {
        if self.tokens == MetadataTokens::Unknown || call.method() != "PUT" {
            return (404, TEXT, String::new());
        }
        let ttl = call
            .header("x-aliyun-ecs-metadata-token-ttl-seconds")
            .and_then(|ttl| ttl.parse::<u32>().ok());
        match ttl {
            Some(1..=21_600) => (200, TEXT, self.metadata_token()),
            _ => (400, TEXT, String::new()),
        }
    }

    fn metadata(&self, call: &ApiRequest, at: &IssueContext<'_>) -> CredentialAnswer {
        let admitted = match call.header("x-aliyun-ecs-metadata-token") {
            Some(token) => *token == self.metadata_token(),
            None => self.tokens != MetadataTokens::Required,
        };
        let role = ROLE_NAMES[0];
        match call.path().strip_prefix(ROLES).unwrap_or_default() {
            _ if !admitted => (403, TEXT, String::new()),
            "" => (200, TEXT, role.to_owned()),
            name if name == role => (
                200,
                reply::JSON,
                self.credentials(role, Duration::from_secs(6 * 3600), at, true),
            ),
            _ => (404, TEXT, String::new()),
        }
    }

    /// New credentials as JSON, with or without the `Code` that says that they are some.
    fn credentials(
        &self,
        role: &str,
        lifetime: Duration,
        at: &IssueContext<'_>,
        code: bool,
    ) -> String {
        let IssuedKey { key, expires } =
            at.keys
                .issue(role, at.now, self.lifetime.unwrap_or(lifetime));
        let mut value = json!({
            "AccessKeyId": key.id,
            "AccessKeySecret": key.secret.expose(),
            "SecurityToken": key.security_token.as_ref().map(Secret::expose),
            "Expiration": format_date(expires),
        });
        if code {
            value["Code"] = "Success".into();
            value["LastUpdated"] = format_date(at.now).into();
        }
        value.to_string()
    }
}

/// The role that is asked for, if the account has it.
fn role(call: &ApiRequest) -> Result<&'static str, VendorError> {
    let arn = call
        .param("RoleArn")
        .ok_or_else(|| VendorError::missing("RoleArn"))?;
    let ours = arn
        .strip_prefix("acs:ram::")
        .and_then(|rest| rest.split_once(":role/"));
    let (account, name) = ours.ok_or_else(|| VendorError::invalid("RoleArn"))?;
    if account != ACCOUNT {
        return Err(VendorError::role_denied());
    }
    ROLE_NAMES
        .into_iter()
        .find(|known| *known == name)
        .ok_or_else(VendorError::no_such_role)
}

/// An error of the security token service.
pub(super) fn refused(refusal: VendorError, origin: &Origin<'_>) -> CredentialAnswer {
    let status = refusal.status;
    (status, reply::JSON, reply::json(&Err(refusal), origin))
}
