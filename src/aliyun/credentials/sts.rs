//! The security token service: temporary credentials for a role (pages "`AssumeRole`" and
//! "`AssumeRoleWithOIDC`" of RAM).

use std::path::Path;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, USER_AGENT};
use reqwest::{Method, Request, Url};

use super::fetch::{FetchError, FetchedKey, ProviderDeps, read_secret};
use super::http::{self, HttpReply, Route};
use super::sts_response;
use crate::aliyun::access_key::AccessKey;
use crate::aliyun::body::ErrorBody;
use crate::aliyun::endpoint::endpoint_of;
use crate::aliyun::request::{AGENT, RequestSigner, Stamp};
use crate::config::{Env, Session};
use crate::secret::REDACTED;

const VERSION: &str = "2015-04-01";

/// The default name of a session.
const SESSION_NAME: &str = concat!("mqtt-presence-exporter-", env!("CARGO_PKG_VERSION"));

/// The environment variable with the default role.
pub(super) const ROLE: &str = "ALIBABA_CLOUD_ROLE_ARN";
const OIDC_PROVIDER: &str = "ALIBABA_CLOUD_OIDC_PROVIDER_ARN";
const OIDC_TOKEN: &str = "ALIBABA_CLOUD_OIDC_TOKEN_FILE";

/// The endpoint of the service: `configured`, otherwise the one of `region` and its `vpc`, by
/// default those of the environment.
pub(super) fn endpoint(
    configured: Option<&Url>,
    region: Option<&str>,
    vpc: Option<bool>,
    env: &Env,
) -> Result<Url, String> {
    if let Some(endpoint) = configured {
        return Ok(endpoint.clone());
    }
    let Some(region) = region.or_else(|| env.get("ALIBABA_CLOUD_STS_REGION")) else {
        return Ok(Url::parse("https://sts.aliyuncs.com/").expect("a URL"));
    };
    let vpc = vpc.unwrap_or_else(|| env.is_true("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED"));
    endpoint_of(if vpc { "sts-vpc" } else { "sts" }, region)
        .map_err(|error| format!("the region of the security token service: {error}"))
}

/// Sessions of roles, from the service.
pub(super) struct Sts<'a> {
    endpoint: Url,
    session: &'a Session,
    deps: &'a ProviderDeps,
}

impl<'a> Sts<'a> {
    /// The service at `configured`, by default the one of the environment.
    pub(super) fn new(
        configured: Option<&Url>,
        session: &'a Session,
        deps: &'a ProviderDeps,
    ) -> Result<Self, FetchError> {
        Ok(Self {
            endpoint: endpoint(configured, None, None, &deps.env)?,
            session,
            deps,
        })
    }

    /// The credentials of the role `arn`, assumed by the owner of `caller`. If the service rejects
    /// the time of the request, it is sent once more with the time of the server.
    pub(super) async fn assume(
        &self,
        arn: &str,
        external_id: Option<&str>,
        caller: &AccessKey,
    ) -> Result<FetchedKey, FetchError> {
        let signer = RequestSigner::new(self.endpoint.clone(), VERSION, self.deps.signature);
        let duration = self.session.duration.as_secs().to_string();
        let request = |now| {
            let mut params = self.params(arn, &duration);
            params.extend(external_id.map(|id| ("ExternalId", id)));
            signer.request("AssumeRole", params, caller, &Stamp::new(now))
        };
        let mut reply = self.send(request(self.deps.clock.now())).await?;
        if let Some((server, _)) = reply.response.clocks
            && ErrorBody::read(&reply.response.body)
                .is_some_and(|error| error.code.starts_with("InvalidTimeStamp"))
        {
            reply = self.send(request(server)).await?;
        }
        credentials(&reply, |text| caller.redact(text))
    }

    /// The credentials of a role, assumed with a token that a Kubernetes cluster issued (RRSA of
    /// ACK), so that no long-lived key is needed. What is missing is in the environment, where the
    /// cluster puts it. The cluster replaces the token long before it expires, so it is read each
    /// time. It authorises the request by itself, so it is in the body and not in the URL.
    pub(super) async fn assume_with_oidc(
        &self,
        arn: Option<&str>,
        provider: Option<&str>,
        token_file: Option<&Path>,
    ) -> Result<FetchedKey, FetchError> {
        let from_env = |name| self.deps.env.get(name);
        let arn = arn.or_else(|| from_env(ROLE));
        let provider = provider.or_else(|| from_env(OIDC_PROVIDER));
        let file = token_file.or_else(|| from_env(OIDC_TOKEN).map(Path::new));
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
        let duration = self.session.duration.as_secs().to_string();
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.params(arn, &duration))
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

    /// The parameters of a session of the role `arn`, with its duration in seconds.
    fn params<'p>(&'p self, arn: &'p str, duration: &'p str) -> Vec<(&'p str, &'p str)> {
        let Session { name, policy, .. } = self.session;
        let from_env = || self.deps.env.get("ALIBABA_CLOUD_ROLE_SESSION_NAME");
        let name = name.as_deref().or_else(from_env).unwrap_or(SESSION_NAME);
        let mut params = vec![
            ("RoleArn", arn),
            ("RoleSessionName", name),
            ("DurationSeconds", duration),
        ];
        params.extend(policy.as_deref().map(|policy| ("Policy", policy)));
        params
    }

    async fn send(&self, request: Request) -> Result<HttpReply, FetchError> {
        let name = "the security token service";
        http::send(name, Route::Network, request, self.deps).await
    }
}

/// The credentials in `reply`. Errors contain nothing that `redact` removes.
fn credentials(
    reply: &HttpReply,
    redact: impl Fn(&str) -> String,
) -> Result<FetchedKey, FetchError> {
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
