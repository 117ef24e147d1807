//! Where the access key comes from that requests are signed with.
//!
//! Each kind of source is a file of its own that knows how to fetch once; [`CredentialProvider`] keeps what
//! was fetched, and renews it in time. Environment, clock and home directory are handed in; files
//! are read at each fetch, so that a rotated key is found by a refresh.

mod access_key;
mod assume_role;
mod chain;
mod configured_key;
mod ecs_ram_role;
mod env;
mod http;
mod oidc;
pub mod profile;
mod provider;
mod schedule;
mod sts;
pub mod sts_response;
mod uri;
mod watch;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use access_key::AccessKey;
pub use provider::CredentialProvider;

use crate::clock::{Clock, Timestamp};
use crate::config::{self, Env, Signature};
use crate::presence::BoxFuture;
use crate::random::Random;
use crate::telemetry::Metrics;

/// What providers use of the world.
#[derive(Clone, Debug)]
pub struct ProviderDeps {
    /// The environment variables.
    pub env: Env,
    /// Wall time, by which credentials expire.
    pub clock: Clock,
    /// Where jitter comes from.
    pub random: Random,
    /// Where refreshes are counted.
    pub metrics: Arc<Metrics>,
    /// How requests to the security token service are signed.
    pub signature: Signature,
    /// Certificates (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Why there are no credentials. No secret is in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Nothing of this kind is configured: another kind may be.
    #[error("{0}")]
    NotConfigured(String),
    /// It is configured and does not work: another kind would hide that.
    #[error("{0}")]
    Failed(String),
}

impl FetchError {
    /// The same failure of something that is configured, told by `what` it is a failure of.
    fn of(self, what: impl fmt::Display) -> Self {
        Self::Failed(format!("{what}: {self}"))
    }
}

/// What a source has given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fetched {
    credentials: AccessKey,
    /// When they stop working, by this host's clock; `None` where that is not known to happen.
    expires: Option<Timestamp>,
}

impl From<AccessKey> for Fetched {
    fn from(credentials: AccessKey) -> Self {
        Self {
            credentials,
            expires: None,
        }
    }
}

/// A kind of source.
trait Fetch: fmt::Debug + Send + Sync {
    /// What the kind is called in a configuration.
    fn kind(&self) -> &'static str;

    /// Gets credentials, once, from where they are now.
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, FetchError>>;

    /// The files that hold the credentials, whether or not they are there now: when one changes,
    /// there are others.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

fn source(config: &config::Provider, deps: &ProviderDeps) -> Box<dyn Fetch> {
    match config {
        config::Provider::AccessKey { id, secret } => {
            Box::new(configured_key::ConfiguredKey::new(id, secret))
        }
        config::Provider::Env => Box::new(env::EnvVariables::new(&deps.env)),
        config::Provider::Profile {
            name,
            file,
            endpoints,
        } => Box::new(profile::Profile::new(
            name.as_deref(),
            file.as_deref(),
            endpoints,
            deps,
        )),
        config::Provider::EcsRamRole { role, endpoint } => Box::new(ecs_ram_role::EcsRamRole::new(
            role.as_deref(),
            endpoint.as_ref(),
            deps,
        )),
        config::Provider::Oidc {
            role_arn,
            provider_arn,
            token_file,
            session,
            sts_endpoint,
        } => {
            let given = oidc::Given {
                role_arn: role_arn.clone(),
                provider_arn: provider_arn.clone(),
                token_file: token_file.clone(),
            };
            let sts = sts::Sts::new(sts::Place::at(sts_endpoint.as_ref()), deps);
            Box::new(oidc::Oidc::new(given, session, sts, &deps.env))
        }
        config::Provider::AssumeRole {
            source: caller,
            role_arn,
            external_id,
            session,
            sts_endpoint,
        } => {
            let role =
                sts::Role::new(role_arn, session, &deps.env).external_id(external_id.as_deref());
            let sts = sts::Sts::new(sts::Place::at(sts_endpoint.as_ref()), deps);
            Box::new(assume_role::AssumeRole::new(
                source(caller, deps),
                role,
                sts,
            ))
        }
        config::Provider::Uri(uri) => Box::new(uri::Uri::new(uri.as_ref(), deps)),
        config::Provider::Chain(links) => Box::new(chain::Chain::new(
            links.iter().map(|link| source(link, deps)).collect(),
        )),
    }
}

#[cfg(test)]
mod tests;
