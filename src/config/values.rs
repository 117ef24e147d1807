//! The validated configuration. The types serialise as the YAML that they are read from, so a field
//! is named or renamed after its key.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};
use url::Url;

use super::client_url::ClientUrl;
use super::credentials::Credentials;
use super::serialize;
use crate::presence::{ClientId, InstanceId, LabelName, MAX_BATCH, Operation};

/// The content of a configuration file, with all defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// How clients are queried.
    pub collect: Collect,
    /// Limits on API calls.
    pub limits: Limits,
    /// Content of `/metrics`.
    pub exposition: Exposition,
    /// How the API is called.
    pub api: Api,
    /// Maximum number of clients of all instances together.
    pub max_clients: usize,
    /// Options of `/probe`.
    pub probe: Probe,
    /// The instances; at least one, with unique IDs.
    pub instances: Vec<Instance>,
}

/// What starts a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A scrape.
    #[default]
    Scrape,
    /// A timer.
    Poll,
}

/// The operation that a sweep uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// One client per call.
    #[default]
    Single,
    /// Ten clients per call; every change is confirmed by a single call.
    Batch,
}

impl Query {
    /// The operation that queries the clients.
    #[must_use]
    pub const fn operation(self) -> Operation {
        match self {
            Self::Single => Operation::Single,
            Self::Batch => Operation::Batch,
        }
    }

    /// All operations that a sweep uses, including confirmations.
    #[must_use]
    pub const fn operations(self) -> &'static [Operation] {
        match self {
            Self::Single => &[Operation::Single],
            Self::Batch => &[Operation::Single, Operation::Batch],
        }
    }

    /// Number of calls that query `clients`, without confirmations.
    #[must_use]
    pub const fn calls(self, clients: usize) -> usize {
        match self {
            Self::Single => clients,
            Self::Batch => clients.div_ceil(MAX_BATCH),
        }
    }
}

/// Maximum age of an observation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StaleAfter {
    /// The larger of five minutes and three planned sweeps.
    #[default]
    Auto,
    /// This long.
    Fixed(Duration),
}

impl StaleAfter {
    /// Minimum of [`StaleAfter::Auto`].
    pub const AUTO_AT_LEAST: Duration = Duration::from_secs(300);
}

impl Serialize for StaleAfter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Fixed(age) => serialize::duration(age, serializer),
        }
    }
}

/// How clients are queried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collect {
    /// What starts a sweep.
    pub mode: Mode,
    /// In [`Mode::Poll`], duration of one sweep.
    #[serde(serialize_with = "serialize::duration")]
    pub interval: Duration,
    /// The operation that a sweep uses.
    pub query: Query,
    /// A scrape joins a sweep that started less than this ago.
    #[serde(serialize_with = "serialize::duration")]
    pub max_age: Duration,
    /// Maximum age of an observation.
    pub stale_after: StaleAfter,
    /// The scrape timeout if the scraper does not send one.
    #[serde(serialize_with = "serialize::duration")]
    pub scrape_timeout: Duration,
    /// Calls in flight per operation, in the whole process; at least 1.
    pub concurrency: usize,
    /// Timeout of one call.
    #[serde(serialize_with = "serialize::duration")]
    pub call_timeout: Duration,
    /// Maximum number of retries of a call.
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

/// Limits on the API calls of this process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Single calls per second, 1 to 280.
    pub single_per_second: u32,
    /// Batch calls per second, 1 to 90.
    pub batch_per_second: u32,
    /// This process's part of the limits of its egress IP; above 0, at most 1.
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

/// Content of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Exposition {
    /// Whether each client has its own series.
    pub per_client: bool,
}

impl Default for Exposition {
    fn default() -> Self {
        Self { per_client: true }
    }
}

/// Options of `/probe`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Whether clients outside the fleet may be probed.
    pub any_client: bool,
}

/// Signature version of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// `ACS3-HMAC-SHA256`.
    #[default]
    V3,
    /// RPC `HMAC-SHA1`, for gateways that support no other.
    V2,
}

/// Network of the API endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The internet.
    #[default]
    Public,
    /// A VPC.
    Vpc,
}

/// How the API is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Api {
    /// Signature version of requests.
    pub signature: Signature,
    /// Network of the endpoints.
    pub network: Network,
    /// Certificates (PEM) to trust instead of the system's.
    #[serde(serialize_with = "serialize::path")]
    pub ca_file: Option<PathBuf>,
}

/// Address of the API of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Address {
    /// The endpoint of a region.
    Region {
        /// The region.
        region: String,
    },
    /// A configured endpoint.
    Endpoint {
        /// The region, if configured.
        region: Option<String>,
        /// `http` or `https`, a host, optionally a port.
        #[serde(rename = "endpoint")]
        url: Url,
    },
}

/// A configured client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Client {
    /// The client ID.
    #[serde(serialize_with = "serialize::display")]
    pub id: ClientId,
    /// Labels of the client; they override those of the instance.
    #[serde(serialize_with = "serialize::labels")]
    pub labels: Vec<(LabelName, String)>,
}

/// An MQTT instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// The instance ID.
    #[serde(serialize_with = "serialize::display")]
    pub id: InstanceId,
    /// Address of its API.
    #[serde(flatten)]
    pub address: Address,
    /// Credentials of its calls.
    pub credentials: Credentials,
    /// Single calls per second on this instance, of all shards together; at most
    /// [`Limits::single_per_second`].
    pub calls_per_second: u32,
    /// Labels of all its clients.
    #[serde(serialize_with = "serialize::labels")]
    pub labels: Vec<(LabelName, String)>,
    /// The clients listed in the configuration.
    pub clients: Vec<Client>,
    /// Globs of files that list clients, absolute or relative to the working directory.
    pub client_files: Vec<String>,
    /// URLs that list clients.
    pub client_urls: Vec<ClientUrl>,
}
