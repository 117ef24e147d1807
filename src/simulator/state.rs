//! The options of the simulator, what its services share, and the request that one of them answers.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::devices::Devices;
use super::faults::Faults;
use super::fleet::SimulatedFleet;
use super::keys::KeyStore;
use super::request::ApiRequest;
use super::seeded_random::SeededRandom;
use super::stats::Records;
use super::traffic::{Stats, Traffic};
use crate::clock::{Clock, Timestamp};
use crate::secret::Secret;

/// The options of a simulator.
#[derive(Clone, Debug)]
pub struct SimulatorOptions {
    /// Seed of everything random, the access key included.
    pub seed: u64,
    /// The instances and their clients.
    pub fleet: SimulatedFleet,
    /// Whether the quotas of the API are enforced.
    pub quotas: bool,
    /// How long an address is blocked after it exceeded its quota. Alibaba Cloud does not document
    /// the duration.
    pub block_for: Duration,
    /// Time between two refreshes of the cache that answers batches.
    pub cache_refresh: Duration,
    /// A security token that every request must carry, as with temporary credentials.
    pub security_token: Option<Secret>,
    /// The lifetime of all temporary credentials; without it, the requested or documented one.
    pub credential_lifetime: Option<Duration>,
    /// How the metadata service handles tokens.
    pub metadata_tokens: MetadataTokens,
    /// The faults at start.
    pub faults: Faults,
}

impl Default for SimulatorOptions {
    /// Two instances with three groups of a hundred devices each, quotas, and no faults.
    fn default() -> Self {
        Self {
            seed: 1,
            fleet: SimulatedFleet::generate(2, 300),
            quotas: true,
            block_for: Duration::from_secs(60),
            cache_refresh: Duration::from_secs(2),
            security_token: None,
            credential_lifetime: None,
            metadata_tokens: MetadataTokens::default(),
            faults: Faults::default(),
        }
    }
}

/// How the metadata service handles tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetadataTokens {
    /// It issues tokens, and also answers requests without one.
    #[default]
    Optional,
    /// It answers only requests with a token.
    Required,
    /// An old version without tokens.
    Unknown,
}

/// What the services share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) seed: u64,
    pub(super) clock: Clock,
    started: Instant,
    /// The URL of the API.
    pub(super) endpoint: String,
    pub(super) keys: KeyStore,
    pub(super) metadata_tokens: MetadataTokens,
    pub(super) credential_lifetime: Option<Duration>,
    /// Number of rotations of the token of the identity provider.
    pub(super) oidc_rotations: AtomicU64,
    pub(super) devices: Devices,
    pub(super) faults: FaultSwitch,
    /// The faults of the services that issue credentials.
    pub(super) credential_faults: FaultSwitch,
    records: Mutex<Records>,
    /// Connections, and requests that wait for the end of a freeze.
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
}

/// The faults in force, which connections and requests watch.
#[derive(Debug, Default)]
pub(super) struct FaultSwitch(watch::Sender<Arc<Faults>>);

impl FaultSwitch {
    fn new(faults: Faults) -> Self {
        Self(watch::Sender::new(Arc::new(faults)))
    }

    pub(super) fn get(&self) -> Arc<Faults> {
        Arc::clone(&self.0.borrow())
    }

    pub(super) fn set(&self, faults: Faults) {
        self.0.send_replace(Arc::new(faults));
    }

    /// Returns when there is no freeze.
    pub(super) async fn thaw(&self) {
        self.until(|faults| !faults.freeze).await;
    }

    /// Returns when the connections that are open now die.
    pub(super) async fn death(&self) {
        self.until(|faults| !faults.dead_connections).await;
        self.until(|faults| faults.dead_connections).await;
    }

    async fn until(&self, are_such: impl Fn(&Faults) -> bool) {
        // It fails only without a sender.
        let _ = self.0.subscribe().wait_for(|faults| are_such(faults)).await;
    }
}

impl State {
    pub(super) fn new(
        options: SimulatorOptions,
        endpoint: String,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> Self {
        let seed = options.seed;
        let traffic = Traffic::new(options.quotas, options.block_for);
        Self {
            seed,
            clock,
            started: Instant::now(),
            endpoint,
            keys: KeyStore::new(seed, options.security_token),
            metadata_tokens: options.metadata_tokens,
            credential_lifetime: options.credential_lifetime,
            oidc_rotations: AtomicU64::new(0),
            devices: Devices::new(seed, options.fleet, options.cache_refresh),
            faults: FaultSwitch::new(options.faults),
            credential_faults: FaultSwitch::default(),
            records: Mutex::new(Records::new(traffic)),
            tasks: TaskTracker::new(),
            shutdown,
        }
    }

    /// The records, and the time since the start. The time is read under the lock, so that it does
    /// not decrease from one holder to the next.
    pub(super) fn records(&self) -> (MutexGuard<'_, Records>, Duration) {
        let records = self.records.lock().expect("no holder of this lock panics");
        (records, self.started.elapsed())
    }

    pub(super) fn stats(&self) -> Stats {
        let (records, now) = self.records();
        records.traffic.stats(now)
    }

    /// The end of the stall of all connections, if there is one now.
    pub(super) fn stalled_until(&self) -> Option<Instant> {
        let faults = self.faults.get();
        let end = faults.stalled_until(self.seed, self.started.elapsed())?;
        self.started.checked_add(end)
    }

    pub(super) fn random(&self, label: &str) -> SeededRandom {
        SeededRandom::new(self.seed).derive(label)
    }
}

/// One request, and what a service needs to answer it.
pub(super) struct Exchange<'a> {
    pub(super) state: &'a State,
    pub(super) request: &'a ApiRequest,
    pub(super) number: u64,
    pub(super) faults: &'a Faults,
    /// The time by the clock of the server, which may be wrong.
    pub(super) server_time: Timestamp,
}
