//! A simulator of the API of Alibaba Cloud, for demonstrations and tests.
//!
//! It verifies both signatures, nonces and timestamps, checks parameters, enforces the quotas
//! (including the block of an egress address), and answers in the format of the API; the SDKs of
//! Alibaba Cloud work with it. A seed decides the status of its devices over time, and [`Faults`]
//! simulate everything that can go wrong between a client and the API.
//!
//! It is no source of truth about the API: it implements the documentation, and the likeliest
//! behaviour where there is none.
//!
//! | part | files |
//! | --- | --- |
//! | sockets | `server`, `stalling_reader` |
//! | one request: count, faults, service, response | `exchange`, `request`, `answer`, `vendor_error` |
//! | services | `operations` (behind `gateway`), `credentials`, `admin` |
//! | state | `state`, `faults`, `keys`, `stats`, `traffic`, `devices` (`fleet`, `script`) |
//!
//! A new operation of the API is an entry in `operations`, a new fault a field in `faults`.

mod admin;
mod announcement;
mod answer;
mod credentials;
mod devices;
mod exchange;
mod faults;
mod fleet;
mod gateway;
mod keys;
mod operations;
mod request;
mod script;
mod seeded_random;
mod server;
mod stalling_reader;
mod state;
mod stats;
mod traffic;
mod vendor_error;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use announcement::Announcement;
pub use credentials::IdentityInfo;
pub use faults::{DurationSetting, Faults, InvalidSetting, KeyedSetting, Probability, Refusal};
pub use fleet::{DuplicateId, SimulatedFleet};
pub use request::CapturedRequest;
pub use state::{MetadataTokens, SimulatorOptions};
pub use traffic::{PerOperation, Stats};

use crate::clock::{Clock, Timestamp};
use state::State;

/// A running simulator. It serves until its shutdown token is cancelled, even after this is
/// dropped.
#[derive(Debug)]
pub struct Simulator {
    state: Arc<State>,
}

impl Simulator {
    /// Serves on `listener` until `shutdown`, in tasks of the current runtime.
    ///
    /// Fails only if the listener has no address.
    pub fn start(
        options: SimulatorOptions,
        listener: TcpListener,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        let endpoint = format!("http://{}", reachable(listener.local_addr()?));
        let state = Arc::new(State::new(options, endpoint, clock, shutdown));
        let accept = server::accept(listener, Arc::clone(&state));
        state.tasks.spawn(accept);
        state.tasks.close();
        Ok(Self { state })
    }

    /// What a client must know.
    #[must_use]
    pub fn announcement(&self) -> Announcement {
        let State {
            endpoint,
            keys,
            devices,
            ..
        } = &*self.state;
        Announcement::new(endpoint, &keys.root, devices.fleet())
    }

    /// The requests so far and their outcomes.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }

    /// The last 100 requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<CapturedRequest> {
        self.state.records().0.captured.clone().into()
    }

    /// Whether `client` was, is or will be connected to `instance` at `at`, without further
    /// overrides. The last 256 overrides of each client are remembered.
    #[must_use]
    pub fn truth(&self, instance: &str, client: &str, at: Timestamp) -> bool {
        self.state.devices.online_at(instance, client, at)
    }

    /// Sets the faults of calls that arrive from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state.faults.set(faults);
    }

    /// What a caller needs to get temporary credentials.
    #[must_use]
    pub fn identity(&self) -> IdentityInfo {
        self.state.identity()
    }

    /// Sets the faults of the services that issue credentials, for requests that arrive from now
    /// on. Faults that do not apply to these services are ignored.
    pub fn set_credential_faults(&self, faults: Faults) {
        self.state.credential_faults.set(faults);
    }

    /// Replaces the token of the identity provider.
    pub fn rotate_oidc_token(&self) {
        self.state.oidc_rotations.fetch_add(1, Ordering::Relaxed);
    }

    /// Rejects the temporary credentials issued so far.
    pub fn revoke_credentials(&self) {
        self.state.keys.revoke(self.state.clock.now());
    }

    /// Every secret in use, so that a test can search for it: of access keys, and tokens.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let keys = self.state.keys.all().into_iter();
        let secrets = keys.flat_map(|key| [Some(key.secret), key.security_token]);
        let secrets = secrets.flatten().map(|secret| secret.expose().to_owned());
        let tokens = [self.identity().oidc_token, self.state.metadata_token()];
        secrets.chain(tokens).collect()
    }

    /// Overrides the status of `client` from now on; `None` ends the override. `false` if there is
    /// no such client.
    pub fn set_online(&self, client: &str, online: impl Into<Option<bool>>) -> bool {
        let now = self.state.clock.now();
        self.state
            .devices
            .override_status(client, online.into(), now)
    }

    /// Waits until the last connection has ended, at most a second after the shutdown.
    pub async fn stopped(&self) {
        self.state.tasks.wait().await;
    }
}

/// The address at which this host reaches a listener at `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        address => address,
    }
}
