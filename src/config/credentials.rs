//! Credentials, as configured.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use url::Url;

use super::client_url::HiddenUrl;
use super::serialize;
use crate::secret::Secret;

/// Credentials, and the account whose quota they use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Credentials {
    /// Name of the account whose quota is shared; credentials without a name share one account.
    pub account: Option<String>,
    /// The source of the credentials.
    #[serde(flatten)]
    pub provider: Provider,
}

/// A source of credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Provider {
    /// An access key in the configuration.
    AccessKey {
        /// The access key ID.
        #[serde(rename = "access_key_id")]
        id: String,
        /// The access key secret.
        #[serde(flatten)]
        secret: SecretSource,
        /// The security token of a temporary access key, which only a profile contains.
        #[serde(skip)]
        token: Option<Secret>,
    },
    /// Environment variables.
    Env,
    /// A profile in a configuration file of Alibaba Cloud's tools.
    Profile {
        /// The profile; by default the one named by the file or the environment.
        #[serde(rename = "profile")]
        name: Option<String>,
        /// The file; by default the standard locations.
        #[serde(serialize_with = "serialize::path")]
        file: Option<PathBuf>,
        /// Services that a profile may refer to.
        #[serde(flatten)]
        endpoints: Endpoints,
    },
    /// The RAM role of the ECS instance.
    EcsRamRole {
        /// The role; by default the one named by the environment or the metadata service.
        role: Option<String>,
        /// The metadata service; by default its standard address.
        #[serde(rename = "metadata_endpoint")]
        endpoint: Option<Url>,
    },
    /// A role assumed with the token of an OIDC identity provider.
    Oidc {
        /// The role; this and the next two default to the environment.
        role_arn: Option<String>,
        /// The identity provider.
        #[serde(rename = "oidc_provider_arn")]
        provider_arn: Option<String>,
        /// The file with the token.
        #[serde(rename = "oidc_token_file", serialize_with = "serialize::path")]
        token_file: Option<PathBuf>,
        /// The role session.
        #[serde(flatten)]
        session: Session,
        /// The security token service (STS); by default Alibaba Cloud's.
        sts_endpoint: Option<Url>,
    },
    /// A role assumed with other credentials.
    AssumeRole {
        /// The role.
        role_arn: String,
        /// External ID required by the trust policy of the role.
        external_id: Option<Secret>,
        /// The role session.
        #[serde(flatten)]
        session: Session,
        /// The security token service (STS); by default Alibaba Cloud's.
        sts_endpoint: Option<Url>,
        /// The credentials that assume the role.
        source: Box<Provider>,
    },
    /// A URI that returns credentials; by default the one of the environment.
    Uri {
        /// The URI.
        uri: Option<HiddenUrl>,
    },
    /// The first of several providers that is configured.
    Chain {
        /// The providers.
        providers: Vec<Provider>,
    },
}

/// Declares the name of each type of credentials.
macro_rules! provider_types {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// The type of credentials, the key `type`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum ProviderType { $($variant),+ }

        impl ProviderType {
            /// All types by name.
            pub(super) const ALL: &[(&str, Self)] = &[$(($name, Self::$variant)),+];
        }

        impl Provider {
            /// The name of the type.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $name),+ }
            }
        }
    };
}

provider_types! {
    AccessKey = "access_key",
    Env = "env",
    Profile = "profile",
    EcsRamRole = "ecs_ram_role",
    Oidc = "oidc",
    AssumeRole = "assume_role",
    Uri = "uri",
    Chain = "chain",
}

impl Default for Provider {
    /// The credential chain of Alibaba Cloud's SDKs.
    fn default() -> Self {
        Self::Chain {
            providers: vec![
                Self::Env,
                Self::Oidc {
                    role_arn: None,
                    provider_arn: None,
                    token_file: None,
                    session: Session::default(),
                    sts_endpoint: None,
                },
                Self::Profile {
                    name: None,
                    file: None,
                    endpoints: Endpoints::default(),
                },
                Self::EcsRamRole {
                    role: None,
                    endpoint: None,
                },
                Self::Uri { uri: None },
            ],
        }
    }
}

/// The location of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum SecretSource {
    /// The configuration.
    #[serde(rename = "access_key_secret")]
    Inline(Secret),
    /// A file; a trailing newline is ignored.
    #[serde(rename = "access_key_secret_file", serialize_with = "serialize::path")]
    File(PathBuf),
}

/// Services that return temporary credentials; by default Alibaba Cloud's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Endpoints {
    /// The security token service (STS).
    #[serde(rename = "sts_endpoint")]
    pub sts: Option<Url>,
    /// The metadata service of an ECS instance.
    #[serde(rename = "metadata_endpoint")]
    pub metadata: Option<Url>,
}

/// The session of an assumed role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Name of the session in the audit log.
    #[serde(rename = "role_session_name")]
    pub name: Option<String>,
    /// Lifetime of its credentials, 15 minutes to 12 hours.
    #[serde(serialize_with = "serialize::duration")]
    pub duration: Duration,
    /// A policy (JSON) that restricts the permissions of the role.
    pub policy: Option<String>,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            name: None,
            duration: Duration::from_secs(3600),
            policy: None,
        }
    }
}
