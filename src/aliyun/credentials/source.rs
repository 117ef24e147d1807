//! The source of credentials in a configuration: one fetch.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Request, Url};

use super::fetch::{FetchError, FetchedKey, ProviderDeps, read_secret};
use super::http::{self, Route};
use super::sts::Sts;
use super::{ecs_ram_role, profile, sts_response};
use crate::aliyun::access_key::AccessKey;
use crate::config::{self, Env, HiddenUrl, SecretSource};
use crate::presence::BoxFuture;
use crate::secret::Secret;

const ID: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
const SECRET: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
const TOKEN: &str = "ALIBABA_CLOUD_SECURITY_TOKEN";
const URI: &str = "ALIBABA_CLOUD_CREDENTIALS_URI";

/// The source that a configuration describes.
#[derive(Debug)]
pub(super) struct Source {
    config: config::Provider,
    pub(super) deps: ProviderDeps,
    /// The links of chains that have given credentials.
    configured: Mutex<Vec<config::Provider>>,
}

impl Source {
    pub(super) fn new(config: &config::Provider, deps: &ProviderDeps) -> Self {
        Self {
            config: config.clone(),
            deps: deps.clone(),
            configured: Mutex::default(),
        }
    }

    /// The files that contain the credentials, existing or not: a change means other credentials.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        files(&self.config, &self.deps)
    }

    /// Fetches credentials, once.
    pub(super) async fn fetch(&self) -> Result<FetchedKey, FetchError> {
        self.fetch_from(&self.config).await
    }

    fn fetch_from<'a>(
        &'a self,
        config: &'a config::Provider,
    ) -> BoxFuture<'a, Result<FetchedKey, FetchError>> {
        let deps = &self.deps;
        Box::pin(async move {
            match config {
                config::Provider::AccessKey { id, secret, token } => {
                    let secret = match secret {
                        SecretSource::Inline(secret) => secret.clone(),
                        SecretSource::File(file) => {
                            read_secret("the access key secret", file).await?
                        }
                    };
                    Ok(AccessKey::new(id, &secret, token.as_ref())?.into())
                }
                config::Provider::Env => from_env(&deps.env),
                config::Provider::Profile {
                    name,
                    file,
                    endpoints,
                } => {
                    let (name, file) = (name.as_deref(), file.as_deref());
                    let (found, place) = profile::search(name, file, endpoints, &deps.env).await?;
                    let fetched = self.fetch_from(&found).await;
                    fetched.map_err(|why| why.context(place))
                }
                config::Provider::EcsRamRole { role, endpoint } => {
                    ecs_ram_role::fetch(role.as_deref(), endpoint.as_ref(), deps).await
                }
                config::Provider::Oidc {
                    role_arn,
                    provider_arn,
                    token_file,
                    session,
                    sts_endpoint,
                } => {
                    let (role, provider) = (role_arn.as_deref(), provider_arn.as_deref());
                    let sts = Sts::new(sts_endpoint.as_ref(), session, deps)?;
                    sts.assume_with_oidc(role, provider, token_file.as_deref())
                        .await
                }
                config::Provider::AssumeRole {
                    source,
                    role_arn,
                    external_id,
                    session,
                    sts_endpoint,
                } => {
                    let caller = self.fetch_from(source).await;
                    let caller = caller.map_err(|why| why.context(source.kind()))?;
                    let sts = Sts::new(sts_endpoint.as_ref(), session, deps)?;
                    sts.assume(
                        role_arn,
                        external_id.as_ref().map(Secret::expose),
                        &caller.key,
                    )
                    .await
                }
                config::Provider::Uri { uri } => from_uri(uri.as_ref(), deps).await,
                config::Provider::Chain { providers: links } => self.fetch_first(links).await,
            }
        })
    }

    /// Fetches from the first link that is configured.
    ///
    /// A link that is configured and fails ends the chain: the next one may belong to another
    /// account, whose answers would be wrong. A link that has given credentials is configured,
    /// even if it no longer looks so.
    async fn fetch_first(&self, links: &[config::Provider]) -> Result<FetchedKey, FetchError> {
        let configured = || {
            self.configured
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let mut attempts = Vec::new();
        for link in links {
            let why = match self.fetch_from(link).await {
                Ok(fetched) => {
                    let mut configured = configured();
                    if !configured.contains(link) {
                        configured.push(link.clone());
                    }
                    return Ok(fetched);
                }
                Err(why) => why,
            };
            attempts.push(format!("{}: {why}", link.kind()));
            if matches!(why, FetchError::Failed(_)) || configured().contains(link) {
                return Err(attempts.join("; ").into());
            }
        }
        Err(FetchError::NotConfigured(attempts.join("; ")))
    }
}

fn files(config: &config::Provider, deps: &ProviderDeps) -> Vec<PathBuf> {
    match config {
        config::Provider::AccessKey {
            secret: SecretSource::File(file),
            ..
        } => vec![file.clone()],
        config::Provider::Profile { file, .. } => {
            let files = profile::files(file.as_deref(), &deps.env);
            files.into_iter().map(|(path, _)| path).collect()
        }
        config::Provider::AssumeRole { source, .. } => files(source, deps),
        config::Provider::Chain { providers: links } => {
            links.iter().flat_map(|link| files(link, deps)).collect()
        }
        _ => Vec::new(),
    }
}

/// The access key in the environment. One variable without the other is an error, not a reason to
/// continue with another source.
fn from_env(env: &Env) -> Result<FetchedKey, FetchError> {
    let half = |set, unset| Err(format!("{set} is set, but {unset} is not").into());
    match (env.get(ID), env.get(SECRET)) {
        (Some(id), Some(secret)) => {
            let token = env.get(TOKEN).map(Secret::new);
            Ok(AccessKey::new(id, &Secret::new(secret), token.as_ref())?.into())
        }
        (Some(_), None) => half(ID, SECRET),
        (None, Some(_)) => half(SECRET, ID),
        (None, None) => {
            let why = format!("{ID} and {SECRET} are not set");
            Err(FetchError::NotConfigured(why))
        }
    }
}

/// Temporary credentials from `uri`, by default the one of the environment.
async fn from_uri(uri: Option<&HiddenUrl>, deps: &ProviderDeps) -> Result<FetchedKey, FetchError> {
    let url = match (uri, deps.env.get(URI)) {
        (Some(uri), _) => uri.expose().clone(),
        (None, Some(text)) => Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| format!("{URI} is not a URL that begins with http:// or https://"))?,
        (None, None) => return Err(FetchError::NotConfigured(format!("{URI} is not set"))),
    };
    let mut request = Request::new(Method::GET, url);
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json);
    let reply = http::send("the credentials URI", Route::Network, request, deps).await?;
    reply.credentials("", sts_response::from_service)
}
