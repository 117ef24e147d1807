//! The validated configuration.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::{ClientUrl, HiddenUrl};
use crate::presence::{ClientId, InstanceId, LabelName, MAX_BATCH, Operation};
use crate::secret::Secret;

/// Everything that a configuration file decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How clients are asked for.
    pub collect: Collect,
    /// How many calls may be made.
    pub limits: Limits,
    /// What `/metrics` shows.
    pub exposition: Exposition,
    /// How the API is spoken to.
    pub api: Api,
    /// How many clients all instances may have together.
    pub max_clients: usize,
    /// What `/probe` may be asked for.
    pub probe: Probe,
    /// The instances; at least one, each ID once.
    pub instances: Vec<Instance>,
}

/// What starts a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A scrape does.
    #[default]
    Scrape,
    /// A timer does.
    Poll,
}

/// Which operation a sweep uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Query {
    /// One client a call.
    #[default]
    Single,
    /// Ten clients a call, every change confirmed by a single call.
    Batch,
}

impl Query {
    /// The operation that asks for the clients.
    #[must_use]
    pub const fn operation(self) -> Operation {
        match self {
            Self::Single => Operation::Single,
            Self::Batch => Operation::Batch,
        }
    }

    /// All operations that a sweep uses, those that only confirm included.
    #[must_use]
    pub const fn operations(self) -> &'static [Operation] {
        match self {
            Self::Single => &[Operation::Single],
            Self::Batch => &[Operation::Single, Operation::Batch],
        }
    }

    /// How many calls it takes to ask for `clients`, confirmations not counted.
    #[must_use]
    pub const fn calls(self, clients: usize) -> usize {
        match self {
            Self::Single => clients,
            Self::Batch => clients.div_ceil(MAX_BATCH),
        }
    }
}

/// How old an observation may get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StaleAfter {
    /// The larger of five minutes and three planned sweeps.
    #[default]
    Auto,
    /// So old.
    Fixed(Duration),
}

impl StaleAfter {
    /// What [`StaleAfter::Auto`] is at least.
    pub const AUTO_AT_LEAST: Duration = Duration::from_secs(300);
}

/// How clients are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collect {
    /// What starts a sweep.
    pub mode: Mode,
    /// In [`Mode::Poll`], how long one sweep takes.
    pub interval: Duration,
    /// Which operation a sweep uses.
    pub query: Query,
    /// A scrape joins a sweep that started less than this ago.
    pub max_age: Duration,
    /// How old an observation may get.
    pub stale_after: StaleAfter,
    /// The scrape timeout where the scraper does not say its own.
    pub scrape_timeout: Duration,
    /// Calls in flight per operation, in the whole process; at least 1.
    pub concurrency: usize,
    /// How long one call may take.
    pub call_timeout: Duration,
    /// How often a failed call is made again, at most.
    pub retries: u32,
}

impl Default for Collect {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            interval: Duration::from_secs(30),
            query: Query::default(),
            max_age: Duration::from_secs(10),
            stale_after: StaleAfter::default(),
            scrape_timeout: Duration::from_secs(10),
            concurrency: 64,
            call_timeout: Duration::from_secs(5),
            retries: 2,
        }
    }
}

/// How many calls this process may make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Single calls a second, 1 to 280.
    pub single_per_second: u32,
    /// Batch calls a second, 1 to 90.
    pub batch_per_second: u32,
    /// This process's part of what its egress IP may do; above 0, at most 1.
    pub share: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            single_per_second: 220,
            batch_per_second: 80,
            share: 1.0,
        }
    }
}

/// What `/metrics` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposition {
    /// Whether every client has series of its own.
    pub per_client: bool,
}

impl Default for Exposition {
    fn default() -> Self {
        Self { per_client: true }
    }
}

/// What `/probe` may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Whether also clients that are not in the fleet.
    pub any_client: bool,
}

/// How requests are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signature {
    /// `ACS3-HMAC-SHA256`.
    #[default]
    V3,
    /// RPC `HMAC-SHA1`, for gateways that know no other.
    V2,
}

/// Which of the vendor's endpoints are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Those on the internet.
    #[default]
    Public,
    /// Those inside a VPC.
    Vpc,
}

/// How the API is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Api {
    /// How requests are signed.
    pub signature: Signature,
    /// Which endpoints are used.
    pub network: Network,
    /// Certificates (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In the configuration itself.
    Inline(Secret),
    /// In a file, whose trailing newline does not count.
    File(PathBuf),
}

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// An access key in the configuration.
    AccessKey {
        /// The access key ID.
        id: String,
        /// The access key secret.
        secret: SecretSource,
    },
    /// The vendor's environment variables.
    Env,
    /// A profile in one of the vendor's files.
    Profile {
        /// The profile; by default the one that the file or the environment names.
        name: Option<String>,
        /// The file; by default the vendor's own places.
        file: Option<PathBuf>,
        /// Where the services are that a profile may lead to.
        endpoints: Endpoints,
    },
    /// The role of the ECS instance that this runs on.
    EcsRamRole {
        /// The role; by default the one that the environment or the instance names.
        role: Option<String>,
        /// The metadata service; by default where every instance has it.
        endpoint: Option<Url>,
    },
    /// A role that is assumed with the token of an identity provider.
    Oidc {
        /// The role; by default the one of the environment, as are the next two.
        role_arn: Option<String>,
        /// The identity provider.
        provider_arn: Option<String>,
        /// The file that has the token.
        token_file: Option<PathBuf>,
        /// The session.
        session: Session,
        /// The security token service; by default the vendor's.
        sts_endpoint: Option<Url>,
    },
    /// A role that is assumed with other credentials.
    AssumeRole {
        /// The other credentials.
        source: Box<Provider>,
        /// The role.
        role_arn: String,
        /// What the role's owner wants to hear.
        external_id: Option<String>,
        /// The session.
        session: Session,
        /// The security token service; by default the vendor's.
        sts_endpoint: Option<Url>,
    },
    /// A URI that answers with credentials; by default the one of the environment.
    Uri(Option<HiddenUrl>),
    /// The first of these that is configured.
    Chain(Vec<Provider>),
}

impl Provider {
    /// The type, as the configuration names it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AccessKey { .. } => "access_key",
            Self::Env => "env",
            Self::Profile { .. } => "profile",
            Self::EcsRamRole { .. } => "ecs_ram_role",
            Self::Oidc { .. } => "oidc",
            Self::AssumeRole { .. } => "assume_role",
            Self::Uri(_) => "uri",
            Self::Chain(_) => "chain",
        }
    }
}

/// Where the services are that give temporary credentials; by default the vendor's own places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// The security token service.
    pub sts: Option<Url>,
    /// The metadata service of an ECS instance.
    pub metadata: Option<Url>,
}

/// The session in which a role is assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What it is called in the vendor's audit log.
    pub name: Option<String>,
    /// How long its credentials live, 15 minutes to 12 hours.
    pub duration: Duration,
    /// A policy (JSON) that narrows what the role may do.
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

/// Credentials, and whose quota they spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Where they come from.
    pub provider: Provider,
    /// The account whose quota is shared; one unnamed account where it is not said.
    pub account: Option<String>,
}

/// Where the API of an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// At the vendor's endpoint of this region.
    Region(String),
    /// At an endpoint that the configuration names, whatever the region.
    Endpoint {
        /// `http` or `https`, a host, perhaps a port.
        url: Url,
        /// The region, where the configuration says it all the same.
        region: Option<String>,
    },
}

/// One client as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its ID.
    pub id: ClientId,
    /// Its own labels; they win over those of the instance.
    pub labels: Vec<(LabelName, String)>,
}

/// One MQTT instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its ID.
    pub id: InstanceId,
    /// Where its API is.
    pub address: Address,
    /// The credentials to use.
    pub credentials: Credentials,
    /// How many single calls a second the instance is to bear, of all shards together; at most
    /// [`Limits::single_per_second`].
    pub calls_per_second: u32,
    /// Labels of all its clients.
    pub labels: Vec<(LabelName, String)>,
    /// Its clients that stand in the configuration.
    pub clients: Vec<Client>,
    /// Globs of files with more clients, absolute or relative to the working directory.
    pub client_files: Vec<String>,
    /// URLs that list more clients.
    pub client_urls: Vec<ClientUrl>,
}
