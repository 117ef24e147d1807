//! The role of the ECS instance that runs this process, from its metadata service (page "Instance
//! RAM roles" of ECS).

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};

use super::fetch::{FetchError, Fetched, ProviderDeps};
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
) -> Result<Fetched, FetchError> {
    if deps.env.is_true("ALIBABA_CLOUD_ECS_METADATA_DISABLED") {
        let why = "ALIBABA_CLOUD_ECS_METADATA_DISABLED is true";
        return Err(FetchError::NotConfigured(why.to_owned()));
    }
    let role = role.or_else(|| deps.env.get("ALIBABA_CLOUD_ECS_METADATA"));
    let metadata = Metadata {
        explicit: role.is_some() || endpoint.is_some(),
        endpoint: endpoint
            .cloned()
            .unwrap_or_else(|| Url::parse(ENDPOINT).expect("a URL")),
        deps,
    };
    let token = metadata.token().await?;
    let role = match role {
        Some(role) => role.to_owned(),
        None => metadata.role(token.as_ref()).await?,
    };
    let reply = metadata.get(&role, token.as_ref()).await?;
    reply.credentials(
        &format!(" for the role `{role}`"),
        sts_response::from_service,
    )
}

struct Metadata<'a> {
    /// Whether the configuration names the role or the service; otherwise a service that is
    /// missing means that this host is no ECS instance.
    explicit: bool,
    endpoint: Url,
    deps: &'a ProviderDeps,
}

impl Metadata<'_> {
    /// The token, which a process on another host cannot get through a proxy on this one. `None`
    /// if the service has no tokens and may be used without.
    async fn token(&self) -> Result<Option<HeaderValue>, FetchError> {
        let mut request = Request::new(Method::PUT, self.url(&["latest", "api", "token"]));
        let ttl = HeaderValue::from_static("21600");
        request.headers_mut().insert(TOKEN_TTL, ttl);
        let why = match self.send(request).await {
            Ok(reply) if reply.response.status == 200 => {
                match HeaderValue::from_bytes(reply.response.body.trim_ascii()) {
                    Ok(mut token) if !token.is_empty() => {
                        token.set_sensitive(true);
                        return Ok(Some(token));
                    }
                    _ => reply.failed("the answer is not a token"),
                }
            }
            Ok(reply) => reply.failed(format_args!(
                "HTTP status {} instead of a token",
                reply.response.status
            )),
            Err(FetchError::NotConfigured(why)) => return Err(self.missing(why)),
            Err(failed) => failed,
        };
        if self.deps.env.is_true("ALIBABA_CLOUD_IMDSV1_DISABLED") {
            Err(why)
        } else {
            Ok(None)
        }
    }

    /// The name of the role of this instance.
    async fn role(&self, token: Option<&HeaderValue>) -> Result<String, FetchError> {
        let reply = self.get("", token).await?;
        let text = String::from_utf8_lossy(&reply.response.body);
        let role = text.lines().next().unwrap_or_default().trim();
        let valid = |c: char| c.is_ascii_alphanumeric() || ".@_-".contains(c);
        match reply.response.status {
            200 if (1..=64).contains(&role.len()) && role.chars().all(valid) => Ok(role.to_owned()),
            200 => Err(reply.failed("the answer is not the name of a role")),
            404 => {
                let why = reply.failed("this instance has no RAM role");
                Err(self.missing(why.to_string()))
            }
            status => Err(reply.failed(format_args!(
                "HTTP status {status} instead of the name of a role"
            ))),
        }
    }

    /// Gets what the service has for `role`; for an empty one, the name of the role.
    async fn get(&self, role: &str, token: Option<&HeaderValue>) -> Result<HttpReply, FetchError> {
        let url = self.url(&["latest", "meta-data", "ram", "security-credentials", role]);
        let mut request = Request::new(Method::GET, url);
        let token = token.map(|token| (TOKEN, token.clone()));
        request.headers_mut().extend(token);
        let reply = self.send(request).await;
        reply.map_err(|why| FetchError::Failed(why.to_string()))
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

    fn missing(&self, why: String) -> FetchError {
        if self.explicit {
            FetchError::Failed(why)
        } else {
            FetchError::NotConfigured(why)
        }
    }
}
