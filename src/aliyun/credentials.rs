//! Where the access key comes from that requests are signed with.
//!
//! Each kind of source is a file of its own that knows how to fetch once; [`Provider`] keeps what
//! was fetched. Environment and home directory are handed in; files are read at each fetch, so
//! that a rotated key is found by a refresh.

mod access_key;
mod chain;
mod env;
mod profile;

use std::fmt;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::config::{self, Env};
use crate::presence::BoxFuture;
use crate::secret::Secret;

/// An access key, checked to be one that can be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    access_key_id: String,
    access_key_secret: Secret,
    security_token: Option<Secret>,
}

impl Credentials {
    /// Takes the three texts without the white space around them, which no key has and every
    /// editor adds. An empty token counts as none.
    pub fn new(id: &str, secret: &Secret, token: Option<&Secret>) -> Result<Self, FetchError> {
        let checked = |what: &str, text: &str| match text.trim() {
            "" => Err(FetchError::Failed(format!("the {what} is empty"))),
            text if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(text.to_owned()),
            _ => Err(FetchError::Failed(format!("the {what} has a character that no access key has"))),
        };
        let token = token.filter(|token| !token.expose().trim().is_empty());
        Ok(Self {
            access_key_id: checked("access key ID", id)?,
            access_key_secret: Secret::new(checked("access key secret", secret.expose())?),
            security_token: token
                .map(|token| checked("security token", token.expose()).map(Secret::new))
                .transpose()?,
        })
    }

    /// The name of the access key.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The secret that requests are signed with.
    #[must_use]
    pub const fn access_key_secret(&self) -> &Secret {
        &self.access_key_secret
    }

    /// What a temporary access key needs beside it.
    #[must_use]
    pub const fn security_token(&self) -> Option<&Secret> {
        self.security_token.as_ref()
    }
}

impl fmt::Debug for Credentials {
    /// Says only whether they are temporary.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("temporary", &self.security_token.is_some()).finish_non_exhaustive()
    }
}

/// Why there are no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Nothing of this kind is configured: another kind may be.
    #[error("{0}")]
    NotConfigured(String),
    /// It is configured and does not work: another kind would hide that.
    #[error("{0}")]
    Failed(String),
}

/// A kind of source.
trait Fetch: fmt::Debug + Send + Sync {
    /// What the kind is called in a configuration.
    fn kind(&self) -> &'static str;

    /// Gets credentials, once, from where they are now.
    fn fetch(&self) -> BoxFuture<'_, Result<Credentials, FetchError>>;
}

/// Credentials that are fetched when they are first needed, and kept.
///
/// Instances that are configured alike share one. While a fetch is under way the others wait for
/// it, so that an expired key is not fetched once for each call.
#[derive(Debug)]
pub struct Provider {
    source: Box<dyn Fetch>,
    kept: Mutex<Option<Arc<Credentials>>>,
}

impl Provider {
    /// The provider that `config` describes, in the environment `env`.
    #[must_use]
    pub fn new(config: &config::Provider, env: &Env) -> Self {
        Self { source: source(config, env), kept: Mutex::new(None) }
    }

    /// The credentials to sign with.
    pub async fn get(&self) -> Result<Arc<Credentials>, FetchError> {
        let mut kept = self.kept.lock().await;
        if let Some(credentials) = &*kept {
            return Ok(Arc::clone(credentials));
        }
        let credentials = Arc::new(self.source.fetch().await?);
        *kept = Some(Arc::clone(&credentials));
        Ok(credentials)
    }

    /// Fetches anew because `refused` did not work; whether there are other credentials now.
    ///
    /// If somebody else has refreshed since, the ones at hand are other ones already and nothing
    /// is fetched. When the fetch fails nothing is kept, and the next [`Provider::get`] says why.
    pub async fn refresh(&self, refused: Option<&Credentials>) -> bool {
        let mut kept = self.kept.lock().await;
        let old = kept.take();
        if let (Some(old), Some(refused)) = (&old, refused)
            && **old != *refused
        {
            *kept = Some(Arc::clone(old));
            return true;
        }
        let Ok(new) = self.source.fetch().await else { return false };
        let changed = refused.or(old.as_deref()) != Some(&new);
        *kept = Some(Arc::new(new));
        changed
    }
}

fn source(config: &config::Provider, env: &Env) -> Box<dyn Fetch> {
    match config {
        config::Provider::AccessKey { id, secret } => Box::new(access_key::AccessKey::new(id, secret)),
        config::Provider::Env => Box::new(env::EnvVariables::new(env)),
        config::Provider::Profile { name, file } => {
            Box::new(profile::Profile::new(name.as_deref(), file.as_deref(), env))
        }
        config::Provider::Chain(links) => {
            Box::new(chain::Chain::new(links.iter().map(|link| source(link, env)).collect()))
        }
    }
}

#[cfg(test)]
mod tests;
