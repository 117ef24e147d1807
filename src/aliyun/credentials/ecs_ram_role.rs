//! The role of the ECS instance that runs this process, from its metadata service (page "Instance
//! RAM roles" of ECS).

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};

use super::fetch::{FetchError, FetchedKey, ProviderDeps};
use super::http::{self, HttpReply, Route};
use super::sts_response;

/// The address of the service on every instance.
const ENDPOINT: &str = "http://100.100.100.200/";

const TOKEN: HeaderName = HeaderName::from_static("x-aliyun-ecs-metadata-token");
const TOKEN_TTL: HeaderName = HeaderName::from_static("x-aliyun-ecs-metadata-token-ttl-seconds");

/// Fetches the credentials of `role`, by default the role of the environment or of the instance.
pub(super) async fn fetch(
    role: Option<&str>,
    endpoint: Option<&Url>,
    deps: &ProviderDeps,
) -> Result<FetchedKey, FetchError> {
    if deps.env.is_true("ALIBABA_CLOUD_ECS_METADATA_DISABLED") {
        let why = "ALIBABA_CLOUD_ECS_METADATA_DISABLED is true";
        return Err(FetchError::NotConfigured(why.to_owned()));
    }
    let role = role.or_else(|| deps.env.get("ALIBABA_CLOUD_ECS_METADATA"));
    let default = || Url::parse(ENDPOINT).expect("a URL");
    let metadata = Metadata {
        endpoint: endpoint.cloned().unwrap_or_else(default),
        deps,
    };
    let fetched = metadata.credentials(role).await;
    // If neither role nor service is named, a missing service means that this host is no ECS
    // instance.
    let named = role.is_some() || endpoint.is_some();
    fetched.map_err(|why| if named { why.failed() } else { why })
}

struct Metadata<'a> {
    endpoint: Url,
    deps: &'a ProviderDeps,
}

impl Metadata<'_> {
    async fn credentials(&self, role: Option<&str>) -> Result<FetchedKey, FetchError> {
        let token = self.token().await?;
        let role = match role {
            Some(role) => role.to_owned(),
            None => self.role(token.as_ref()).await?,
        };
        let reply = self.get(&role, token.as_ref()).await?;
        let request = format!(" for the role `{role}`");
        reply.credentials(&request, sts_response::from_service)
    }

    /// The token, which a process on another host cannot get through a proxy on this one. `None`
    /// if the service has no tokens and may be used without.
    async fn token(&self) -> Result<Option<HeaderValue>, FetchError> {
        let mut request = Request::new(Method::PUT, self.url(&["latest", "api", "token"]));
        let ttl = HeaderValue::from_static("21600");
        request.headers_mut().insert(TOKEN_TTL, ttl);
        let token = match self.send(request).await {
            Err(missing @ FetchError::NotConfigured(_)) => return Err(missing),
            sent => sent.and_then(|reply| {
                let body = reply.body(" instead of a token")?.trim_ascii();
                let token = HeaderValue::from_bytes(body).ok();
                let token = token.filter(|token| !token.is_empty());
                let mut token = token.ok_or_else(|| reply.failed("the answer is not a token"))?;
                token.set_sensitive(true);
                Ok(token)
            }),
        };
        if self.deps.env.is_true("ALIBABA_CLOUD_IMDSV1_DISABLED") {
            token.map(Some)
        } else {
            Ok(token.ok())
        }
    }

    /// The name of the role of this instance.
    async fn role(&self, token: Option<&HeaderValue>) -> Result<String, FetchError> {
        let reply = self.get("", token).await?;
        if reply.response.status == 404 {
            let why = reply.failed("this instance has no RAM role");
            return Err(FetchError::NotConfigured(why.to_string()));
        }
        let text = String::from_utf8_lossy(reply.body(" instead of the name of a role")?);
        let role = text.lines().next().unwrap_or_default().trim();
        let valid = |c: char| c.is_ascii_alphanumeric() || ".@_-".contains(c);
        if (1..=64).contains(&role.len()) && role.chars().all(valid) {
            Ok(role.to_owned())
        } else {
            Err(reply.failed("the answer is not the name of a role"))
        }
    }

    /// Gets what the service has for `role`; for an empty one, the name of the role.
    async fn get(&self, role: &str, token: Option<&HeaderValue>) -> Result<HttpReply, FetchError> {
        let url = self.url(&["latest", "meta-data", "ram", "security-credentials", role]);
        let mut request = Request::new(Method::GET, url);
        let token = token.map(|token| (TOKEN, token.clone()));
        request.headers_mut().extend(token);
        let reply = self.send(request).await;
        reply.map_err(FetchError::failed)
    }

    async fn send(&self, request: Request) -> Result<HttpReply, FetchError> {
        http::send("the metadata service", Route::LinkLocal, request, self.deps).await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        url
    }
}
