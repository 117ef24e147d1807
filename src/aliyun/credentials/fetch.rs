//! What a fetch needs, and its outcome.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::zeroize::Zeroizing;

use crate::aliyun::access_key::AccessKey;
use crate::clock::{Clock, Timestamp};
use crate::config::{Env, Signature};
use crate::net::Resolver;
use crate::random::Random;
use crate::secret::Secret;
use crate::telemetry::Metrics;

/// The dependencies of a provider.
#[derive(Clone, Debug)]
pub struct ProviderDeps {
    /// The environment variables.
    pub env: Env,
    /// Wall time, by which credentials expire.
    pub clock: Clock,
    /// The source of jitter.
    pub random: Random,
    /// Counts refreshes.
    pub metrics: Arc<Metrics>,
    /// How requests to the security token service are signed.
    pub signature: Signature,
    /// Certificates (PEM) to trust instead of those of the system.
    pub ca_file: Option<PathBuf>,
    /// Looks up the hosts of services.
    pub resolver: Resolver,
}

/// Why there are no credentials. The text contains no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// This source is not configured; another one may be.
    #[error("{0}")]
    NotConfigured(String),
    /// The source is configured and fails; another source would hide that.
    #[error("{0}")]
    Failed(String),
}

impl FetchError {
    /// The failure of something that is configured.
    pub(super) fn failed(self) -> Self {
        Self::Failed(self.to_string())
    }

    /// The failure of something that is configured, with `context` in front.
    pub(super) fn context(&self, context: impl fmt::Display) -> Self {
        Self::Failed(format!("{context}: {self}"))
    }
}

impl From<String> for FetchError {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// An access key that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedKey {
    /// The access key.
    pub key: AccessKey,
    /// When it expires; `None` if that is not known.
    pub expires: Option<Timestamp>,
}

impl From<AccessKey> for FetchedKey {
    fn from(key: AccessKey) -> Self {
        Self { key, expires: None }
    }
}

/// The secret in `file`, called `what` in errors, without surrounding white space.
pub(super) async fn read_secret(what: &str, file: &Path) -> Result<Secret, FetchError> {
    let shown = file.display();
    match tokio::fs::read_to_string(file).await.map(Zeroizing::new) {
        Ok(text) if text.trim().is_empty() => Err(format!("{shown} is empty").into()),
        Ok(text) => Ok(Secret::new(text.trim())),
        Err(error) => Err(format!("cannot read {what} in {shown}: {error}").into()),
    }
}
