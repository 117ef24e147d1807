//! The security token service: temporary credentials for a role (pages "`AssumeRole`" and
//! "`AssumeRoleWithOIDC`" of RAM).

use std::path::{Path, PathBuf};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, USER_AGENT};
use reqwest::{Method, Request, Url};

use super::fetch::{FetchError, Fetched, ProviderDeps, read_secret};
use super::http::{self, HttpReply, Route};
use super::sts_response;
use crate::aliyun::access_key::AccessKey;
use crate::aliyun::body::ErrorBody;
use crate::aliyun::endpoint::endpoint_of;
use crate::aliyun::request::{AGENT, RequestSigner, Stamp};
use crate::config::Session;
use crate::secret::REDACTED;

const VERSION: &str = "2015-04-01";

/// The default name of a session.
const SESSION_NAME: &str = concat!("mqtt-presence-exporter-", env!("CARGO_PKG_VERSION"));

/// The environment variable with the default role.
pub(super) const ROLE: &str = "ALIBABA_CLOUD_ROLE_ARN";
const OIDC_PROVIDER: &str = "ALIBABA_CLOUD_OIDC_PROVIDER_ARN";
const OIDC_TOKEN: &str = "ALIBABA_CLOUD_OIDC_TOKEN_FILE";

/// The region of the service, and whether its VPC endpoint is used; by default those of the
/// environment.
#[derive(Clone, Debug, Default)]
pub struct StsRegion {
    pub(super) name: Option<String>,
    pub(super) vpc: Option<bool>,
}

/// The service.
pub(super) struct Sts<'a> {
    endpoint: Url,
    deps: &'a ProviderDeps,
}

/// A role to assume.
pub(super) struct Role<'a> {
    pub(super) arn: &'a str,
    pub(super) session: &'a Session,
    /// The external ID required by the trust policy of the role.
    pub(super) external_id: Option<&'a str>,
}

/// A token that a Kubernetes cluster issued (RRSA of ACK), so that no long-lived key is needed;
/// what is missing is in the environment, where the cluster puts it.
#[derive(Clone, Debug)]
pub struct OidcIdentity {
    pub(super) role_arn: Option<String>,
    pub(super) provider_arn: Option<String>,
    pub(super) token_file: Option<PathBuf>,
}

impl<'a> Sts<'a> {
    /// The service at `endpoint`, otherwise in `region`.
    pub(super) fn new(
        endpoint: Option<&Url>,
        region: &StsRegion,
        deps: &'a ProviderDeps,
    ) -> Result<Self, FetchError> {
        let from_env = || deps.env.get("ALIBABA_CLOUD_STS_REGION");
        let endpoint = match (endpoint, region.name.as_deref().or_else(from_env)) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, Some(name)) => {
                let from_env = || deps.is_true("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED");
                let vpc = region.vpc.unwrap_or_else(from_env);
                endpoint_of(if vpc { "sts-vpc" } else { "sts" }, name)
                    .map_err(|error| format!("the region of the security token service: {error}"))?
            }
            (None, None) => Url::parse("https://sts.aliyuncs.com/").expect("a URL"),
        };
        Ok(Self { endpoint, deps })
    }

    /// The credentials of `role`, assumed by the owner of `caller`. If the service rejects the
    /// time of the request, it is sent once more with the time of the server.
    pub(super) async fn assume(
        &self,
        role: &Role<'_>,
        caller: &AccessKey,
    ) -> Result<Fetched, FetchError> {
        let signer = RequestSigner::new(self.endpoint.clone(), VERSION, self.deps.signature);
        let params = role.params(self.deps);
        let request = |now| {
            let params = params.iter().map(|(name, value)| (*name, value.as_str()));
            signer
                .request("AssumeRole", params.collect(), caller, &Stamp::new(now))
                .map_err(|error| error.to_string())
        };
        let mut reply = self.send(request(self.deps.clock.now())?).await?;
        if let Some((server, _)) = reply.response.clocks
            && ErrorBody::read(&reply.response.body)
                .is_some_and(|error| error.code.starts_with("InvalidTimeStamp"))
        {
            reply = self.send(request(server)?).await?;
        }
        credentials(&reply, |text| caller.redact(text))
    }

    /// The credentials of a role, assumed with the token of `identity`. The cluster replaces the
    /// token long before it expires, so it is read each time. It authorises the request by
    /// itself, so it is in the body and not in the URL.
    pub(super) async fn assume_with_oidc(
        &self,
        identity: &OidcIdentity,
        session: &Session,
    ) -> Result<Fetched, FetchError> {
        let from_env = |name| self.deps.env.get(name);
        let arn = identity.role_arn.as_deref().or_else(|| from_env(ROLE));
        let provider = identity.provider_arn.as_deref();
        let provider = provider.or_else(|| from_env(OIDC_PROVIDER));
        let file = identity.token_file.as_deref();
        let file = file.or_else(|| from_env(OIDC_TOKEN).map(Path::new));
        let (Some(arn), Some(provider), Some(file)) = (arn, provider, file) else {
            let variables = [
                (ROLE, arn.is_none()),
                (OIDC_PROVIDER, provider.is_none()),
                (OIDC_TOKEN, file.is_none()),
            ];
            let missing = variables.iter().filter(|(_, missing)| *missing);
            let missing: Vec<_> = missing.map(|(name, _)| *name).collect();
            let are = if missing.len() == 1 { "is" } else { "are" };
            let why = format!("{} {are} not set", missing.join(" and "));
            return Err(FetchError::NotConfigured(why));
        };
        let role = Role {
            arn,
            session,
            external_id: None,
        };
        let token = read_secret("the token", file).await?;
        let Stamp { date, nonce } = Stamp::new(self.deps.clock.now());
        let mut url = self.endpoint.clone();
        url.query_pairs_mut().extend_pairs([
            ("Action", "AssumeRoleWithOIDC"),
            ("Format", "JSON"),
            ("SignatureNonce", &nonce),
            ("Timestamp", &date),
            ("Version", VERSION),
        ]);
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(role.params(self.deps))
            .append_pair("OIDCProviderArn", provider)
            .append_pair("OIDCToken", token.expose())
            .finish();
        let mut request = Request::new(Method::POST, url);
        let form_type = "application/x-www-form-urlencoded";
        request.headers_mut().extend([
            (CONTENT_TYPE, HeaderValue::from_static(form_type)),
            (ACCEPT, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(AGENT)),
        ]);
        *request.body_mut() = Some(form.into());
        let reply = self.send(request).await?;
        credentials(&reply, |text| text.replace(token.expose(), REDACTED))
    }

    async fn send(&self, request: Request) -> Result<HttpReply, FetchError> {
        let name = "the security token service";
        http::send(name, Route::Network, request, self.deps).await
    }
}

impl Role<'_> {
    fn params(&self, deps: &ProviderDeps) -> Vec<(&'static str, String)> {
        let name = self.session.name.as_deref();
        let name = name.or_else(|| deps.env.get("ALIBABA_CLOUD_ROLE_SESSION_NAME"));
        let mut params = vec![
            ("RoleArn", self.arn.to_owned()),
            ("RoleSessionName", name.unwrap_or(SESSION_NAME).to_owned()),
            (
                "DurationSeconds",
                self.session.duration.as_secs().to_string(),
            ),
        ];
        params.extend(self.session.policy.clone().map(|policy| ("Policy", policy)));
        params.extend(self.external_id.map(|id| ("ExternalId", id.to_owned())));
        params
    }
}

/// The credentials in `reply`. Errors contain nothing that `redact` removes.
fn credentials(reply: &HttpReply, redact: impl Fn(&str) -> String) -> Result<Fetched, FetchError> {
    let Some(error) = ErrorBody::read(&reply.response.body) else {
        return reply.credentials(" without an error of the service", sts_response::from_sts);
    };
    let advice = advice(&error.code);
    let error = error.presentable(redact);
    let id = error.request_id.map(|id| format!(" (request ID {id})"));
    Err(reply.failed(format_args!(
        "{}: {}{}; {advice}",
        error.code,
        error.message,
        id.unwrap_or_default()
    )))
}

/// What to do about a documented code.
fn advice(code: &str) -> &'static str {
    match code.split('.').next().unwrap_or_default() {
        "EntityNotExist" => "check `role_arn`: the role does not exist",
        "NoPermission" | "Forbidden" => {
            "allow the caller `sts:AssumeRole`, and name it in the trust policy of the role; check `external_id`"
        }
        "AuthenticationFail" => {
            "check `oidc_provider_arn`, the trust policy of the role, and the audience of the token"
        }
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidSecurityToken" => {
            "check the access key that assumes the role"
        }
        "InvalidTimeStamp" => "correct the clock of this host (NTP)",
        "InvalidParameter" | "MissingRoleArn" => {
            "check `role_arn`, `role_session_name`, `duration` and `policy`"
        }
        _ => "look the code up in the documentation of the security token service",
    }
}
