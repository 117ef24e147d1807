//! A stand-in for the vendor's API, for demonstrations and tests.
//!
//! It verifies both signatures, nonces and timestamps, checks parameters, enforces the vendor's
//! quotas (block of the egress address included), and answers in the vendor's shapes; the
//! vendor's own SDKs take it for the real one. Its devices live by a script that a seed decides,
//! and whatever can go wrong between a client and the API can be made to go wrong ([`Faults`]).
//!
//! It must not be used as a source of truth about the vendor: what it knows is what is documented,
//! and where documents are silent it does what seems likeliest.

mod admin;
mod announcement;
mod body;
mod connection;
mod devices;
mod faults;
mod fleet;
mod gateway;
mod issuer;
mod keys;
mod nonces;
mod operation;
mod reply;
mod request;
mod script;
mod seeded_random;
mod service;
mod stalling_stream;
mod stats;
mod traffic;
mod vendor_error;
mod window;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use announcement::Announcement;
pub use faults::{DurationSetting, Faults, InvalidProbability, Probability};
pub use fleet::{DuplicateId, SimulatedFleet};
pub use issuer::{IdentityInfo, MetadataTokens};
pub use operation::PerOperation;
pub use request::CapturedRequest;
pub use stats::Stats;

use crate::clock::{Clock, Timestamp};
use crate::secret::Secret;
use devices::Devices;
use issuer::CredentialIssuer;
use keys::{KeyStore, SimulatedKey};
use service::ApiService;
use stats::Recorder;
use traffic::Traffic;

/// What the stand-in is like.
#[derive(Clone, Debug)]
pub struct SimulatorOptions {
    /// Decides everything that is left to chance, the access key included.
    pub seed: u64,
    /// The instances and their clients.
    pub fleet: SimulatedFleet,
    /// Whether the vendor's quotas are enforced.
    pub quotas: bool,
    /// How long an address is blocked that passed its quota. The vendor does not say.
    pub block_for: Duration,
    /// How often the cache is filled anew that batches are answered from.
    pub cache_refresh: Duration,
    /// A security token that every request has to carry, as with temporary credentials.
    pub security_token: Option<Secret>,
    /// How long temporary credentials live, whatever is asked for; otherwise as the vendor has it.
    pub credential_lifetime: Option<Duration>,
    /// What the metadata service makes of tokens.
    pub metadata_tokens: MetadataTokens,
    /// What goes wrong, to begin with.
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

/// A running stand-in. It serves until its shutdown token is cancelled, also if this is dropped.
pub struct Simulator {
    service: Arc<ApiService>,
    address: SocketAddr,
    tasks: TaskTracker,
}

impl Simulator {
    /// Serves on `listener` until `shutdown`, in tasks of the current runtime.
    ///
    /// Fails only if the listener does not know its own address.
    pub fn start(
        options: SimulatorOptions,
        listener: TcpListener,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let SimulatorOptions {
            seed,
            fleet,
            quotas,
            block_for,
            cache_refresh,
            security_token,
            credential_lifetime,
            metadata_tokens,
            faults,
        } = options;
        let service = Arc::new(ApiService {
            seed,
            clock,
            endpoint: format!("http://{}", reachable(address)),
            keys: KeyStore::new(seed, security_token),
            issuer: CredentialIssuer {
                seed,
                tokens: metadata_tokens,
                lifetime: credential_lifetime,
            },
            rotated: AtomicU64::new(0),
            devices: Devices::new(seed, fleet, cache_refresh),
            faults: ArcSwap::from_pointee(faults),
            credential_faults: ArcSwap::default(),
            recorder: Recorder::new(Traffic::new(quotas, block_for)),
        });
        let tasks = TaskTracker::new();
        tasks.spawn(connection::accept(
            listener,
            Arc::clone(&service),
            shutdown,
            tasks.clone(),
        ));
        tasks.close();
        Ok(Self {
            service,
            address,
            tasks,
        })
    }

    /// Everything that a client needs to know.
    #[must_use]
    pub fn announcement(&self) -> Announcement {
        let SimulatedKey { id, secret, .. } = &self.service.keys.root;
        Announcement::new(
            &self.service.endpoint,
            id,
            secret,
            self.service.devices.fleet(),
        )
    }

    /// What arrived so far, and what became of it.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.service.recorder.stats()
    }

    /// The last 100 requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<CapturedRequest> {
        self.service.recorder.captured()
    }

    /// Whether `client` was, is or will be connected to `instance` at `at`, if nobody interferes
    /// from now on. Of each client the last 256 interferences are remembered.
    #[must_use]
    pub fn truth(&self, instance: &str, client: &str, at: Timestamp) -> bool {
        self.service.devices.online_at(instance, client, at)
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> Arc<Faults> {
        self.service.faults.load_full()
    }

    /// Puts `faults` in force, for calls that arrive from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.service.faults.store(Arc::new(faults));
    }

    /// How to get temporary credentials.
    #[must_use]
    pub fn identity(&self) -> IdentityInfo {
        self.service.identity()
    }

    /// Puts faults in force for the services that give credentials, for requests that arrive from
    /// now on. Those that have no meaning for them change nothing.
    pub fn set_credential_faults(&self, faults: Faults) {
        self.service.credential_faults.store(Arc::new(faults));
    }

    /// The token of the identity provider is another one from now on.
    pub fn rotate_oidc_token(&self) {
        self.service.rotated.fetch_add(1, Ordering::Relaxed);
    }

    /// Whatever temporary credentials were given so far are refused from now on.
    pub fn revoke_credentials(&self) {
        self.service.keys.revoke(self.service.clock.now());
    }

    /// Every secret that is in play, for the one who looks for their traces: of access keys, and
    /// the tokens.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let ApiService { keys, issuer, .. } = &*self.service;
        let issued = keys.issued().into_iter().map(|issued| issued.key);
        let of = |key: SimulatedKey| [Some(key.secret), key.security_token];
        let held = std::iter::once(keys.root.clone())
            .chain(issued)
            .flat_map(of)
            .flatten();
        let held = held.map(|secret| secret.expose().to_owned());
        held.chain([self.identity().oidc_token, issuer.metadata_token()])
            .collect()
    }

    /// Imposes a status on `client` from now on, or with `None` lets it follow the script again.
    /// `false` if there is no such client.
    pub fn set_online(&self, client: &str, online: impl Into<Option<bool>>) -> bool {
        self.service
            .devices
            .override_status(client, online.into(), self.service.clock.now())
    }

    /// Waits until the shutdown has ended the last connection, at most a second after it began.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The address under which this host reaches what listens at `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        address => address,
    }
}
