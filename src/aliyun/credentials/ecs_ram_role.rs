//! The role of the ECS instance that this runs on, from its metadata service (page "Instance RAM
//! roles" of ECS).

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};

use super::http::{HttpError, HttpReply, HttpService, Patience, Route};
use super::{Fetch, FetchError, Fetched, ProviderDeps, sts_response};
use crate::presence::BoxFuture;

/// Where the service is on every instance.
const ENDPOINT: &str = "http://100.100.100.200/";

const TOKEN: HeaderName = HeaderName::from_static("x-aliyun-ecs-metadata-token");
const TOKEN_TTL: HeaderName = HeaderName::from_static("x-aliyun-ecs-metadata-token-ttl-seconds");

#[derive(Debug)]
pub(super) struct EcsRamRole {
    /// The role that somebody named; otherwise the service is asked for the instance's.
    role: Option<String>,
    /// Whether somebody said that there is such a service.
    named: bool,
    endpoint: Url,
    disabled: bool,
    /// Whether the service may be asked without a token.
    without_token: bool,
    service: HttpService,
}

impl EcsRamRole {
    pub(super) fn new(role: Option<&str>, endpoint: Option<&Url>, deps: &ProviderDeps) -> Self {
        let role = role
            .or_else(|| deps.env.get("ALIBABA_CLOUD_ECS_METADATA"))
            .map(str::to_owned);
        let is_true = |name| {
            deps.env
                .get(name)
                .is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        Self {
            named: role.is_some() || endpoint.is_some(),
            role,
            endpoint: endpoint
                .cloned()
                .unwrap_or_else(|| Url::parse(ENDPOINT).expect("a URL")),
            disabled: is_true("ALIBABA_CLOUD_ECS_METADATA_DISABLED"),
            without_token: !is_true("ALIBABA_CLOUD_IMDSV1_DISABLED"),
            service: HttpService::new("the metadata service", Route::Link, Patience::LINK, deps),
        }
    }

    async fn ask(&self) -> Result<Fetched, FetchError> {
        if self.disabled {
            return Err(FetchError::NotConfigured(
                "ALIBABA_CLOUD_ECS_METADATA_DISABLED is true".to_owned(),
            ));
        }
        let token = self.token().await?;
        let role = match &self.role {
            Some(role) => role.clone(),
            None => self.role(token.as_ref()).await?,
        };
        let reply = self.get(&role, token.as_ref()).await?;
        if reply.status != 200 {
            return Err(self.failed(&format!(
                "HTTP status {} for the role `{role}`",
                reply.status
            )));
        }
        let issued = sts_response::from_service(&reply.body).map_err(|why| self.failed(&why))?;
        Ok(Fetched {
            credentials: issued.credentials,
            expires: Some(reply.by_our_clock(issued.expires)),
        })
    }

    /// The token that a process on another host, which this one forwards for, could not have got.
    /// `None` where the service gives none and may be asked without.
    async fn token(&self) -> Result<Option<HeaderValue>, FetchError> {
        let mut request = Request::new(Method::PUT, self.url(&["latest", "api", "token"]));
        request
            .headers_mut()
            .insert(TOKEN_TTL, HeaderValue::from_static("21600"));
        let why = match self.service.exchange(request).await {
            Ok(HttpReply {
                status: 200, body, ..
            }) => match HeaderValue::from_bytes(body.trim_ascii()) {
                Ok(mut token) if !token.is_empty() => {
                    token.set_sensitive(true);
                    return Ok(Some(token));
                }
                _ => self.failed("what came is no token"),
            },
            Ok(reply) => self.failed(&format!("HTTP status {} instead of a token", reply.status)),
            Err(HttpError::Unreachable(why)) if self.named => return Err(FetchError::Failed(why)),
            // Nobody said that this is an ECS instance, and so it is none.
            Err(HttpError::Unreachable(why)) => return Err(FetchError::NotConfigured(why)),
            Err(trouble) => trouble.into(),
        };
        if self.without_token {
            Ok(None)
        } else {
            Err(why)
        }
    }

    async fn role(&self, token: Option<&HeaderValue>) -> Result<String, FetchError> {
        let reply = self.get("", token).await?;
        let text = String::from_utf8_lossy(&reply.body);
        let role = text.lines().next().unwrap_or_default().trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || ".@_-".contains(c);
        match reply.status {
            200 if !role.is_empty() && role.len() <= 64 && role.chars().all(fits) => {
                Ok(role.to_owned())
            }
            200 => Err(self.failed("what came is no name of a role")),
            404 => {
                let why = format!(
                    "{}: this instance has no RAM role",
                    self.service.at(&self.endpoint)
                );
                Err(if self.named {
                    FetchError::Failed(why)
                } else {
                    FetchError::NotConfigured(why)
                })
            }
            status => Err(self.failed(&format!(
                "HTTP status {status} instead of the name of a role"
            ))),
        }
    }

    async fn get(&self, role: &str, token: Option<&HeaderValue>) -> Result<HttpReply, FetchError> {
        let url = self.url(&["latest", "meta-data", "ram", "security-credentials", role]);
        let mut request = Request::new(Method::GET, url);
        request
            .headers_mut()
            .extend(token.map(|token| (TOKEN, token.clone())));
        Ok(self.service.exchange(request).await?)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        url
    }

    fn failed(&self, why: &str) -> FetchError {
        FetchError::Failed(format!("{}: {why}", self.service.at(&self.endpoint)))
    }
}

impl Fetch for EcsRamRole {
    fn kind(&self) -> &'static str {
        "ecs_ram_role"
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, FetchError>> {
        Box::pin(self.ask())
    }
}
