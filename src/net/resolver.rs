//! The addresses of hosts: one lookup of a host at a time, whose answer all calls share.
//!
//! A lookup takes 5 s for each nameserver that does not answer, longer than a connection may take.
//! It continues when the call that started it has ended, and while lookups fail, the last answer
//! stays in use.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

/// The age at which an answer is renewed.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// How long an answer is used while lookups fail.
const MAX_STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// The pause after a failed lookup.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long a call waits for a new answer if the last one was not renewed in time, because no call
/// used it.
const RENEWAL_WAIT: Duration = Duration::from_secs(1);

type Lookup = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// Looks up hosts, and keeps the answers. Clones share them.
#[derive(Clone)]
pub struct Resolver {
    lookup: Arc<Lookup>,
    hosts: Arc<Mutex<HashMap<String, watch::Sender<HostState>>>>,
}

/// The addresses of a host.
#[derive(Clone, Debug)]
pub struct HostAddresses {
    /// The addresses, without a port.
    pub addresses: Vec<SocketAddr>,
    /// Increases when the set of addresses changes.
    pub generation: u64,
    at: Instant,
}

/// Why there is no address of a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot resolve `{host}`: {why}")]
pub struct LookupError {
    pub(super) host: String,
    pub(super) why: String,
}

#[derive(Default)]
struct HostState {
    answer: Option<HostAddresses>,
    /// Why the last lookup failed, if it did.
    error: Option<String>,
    running: bool,
    /// The earliest start of the next lookup.
    next: Option<Instant>,
}

impl HostState {
    /// Whether the caller has to start a lookup.
    fn start(&mut self) -> bool {
        let due = self.next.is_none_or(|next| next <= Instant::now());
        let start = due && !self.running;
        self.running |= start;
        start
    }

    fn finish(&mut self, host: &str, result: io::Result<Vec<SocketAddr>>) {
        let at = Instant::now();
        self.running = false;
        let error = match result {
            Ok(addresses) if !addresses.is_empty() => {
                let set = |of: &[SocketAddr]| of.iter().copied().collect::<BTreeSet<_>>();
                let generation = self.answer.as_ref().map_or(0, |before| {
                    let changed = set(&before.addresses) != set(&addresses);
                    before.generation + u64::from(changed)
                });
                self.answer = Some(HostAddresses {
                    addresses,
                    generation,
                    at,
                });
                self.next = Some(at + REFRESH_INTERVAL);
                if self.error.take().is_some() {
                    info!(host, "DNS lookups of the host succeed again");
                }
                return;
            }
            Ok(_) => "the host has no address".to_owned(),
            Err(error) => error.to_string(),
        };
        self.next = Some(at + RETRY_PAUSE);
        if self.error.is_none() && self.answer.is_some() {
            warn!(
                host,
                error, "DNS lookup failed; the last addresses stay in use for up to 24 h"
            );
        }
        self.error = Some(error);
    }

    /// The answer, unless it is too old.
    fn usable(&self) -> Option<&HostAddresses> {
        self.answer
            .as_ref()
            .filter(|answer| answer.at.elapsed() < MAX_STALE)
    }

    /// How long a call waits for the lookup that is running.
    fn wait(&self) -> Duration {
        match self.usable() {
            Some(answer) if self.error.is_some() || answer.at.elapsed() < 2 * REFRESH_INTERVAL => {
                Duration::ZERO
            }
            Some(_) => RENEWAL_WAIT,
            None => Duration::MAX,
        }
    }
}

impl Resolver {
    /// The resolver of the operating system: `getaddrinfo`, on a thread for blocking calls.
    #[must_use]
    pub fn system() -> Self {
        let lookup = async |host: String| Ok(tokio::net::lookup_host((host, 0)).await?.collect());
        Self::new(move |host| Box::pin(lookup(host)))
    }

    /// A resolver that looks hosts up with `lookup`.
    pub fn new(
        lookup: impl Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let (lookup, hosts) = (Arc::new(lookup), Arc::default());
        Self { lookup, hosts }
    }

    /// The addresses of `host`. An answer is renewed in the background after 60 s; while lookups
    /// fail, it is used for up to 24 h.
    pub async fn resolve(&self, host: &str) -> Result<HostAddresses, LookupError> {
        let mut state = self.refresh(host);
        let wait = state.borrow().wait();
        if !wait.is_zero() {
            let _ = timeout(wait, state.wait_for(|state| !state.running)).await;
        }
        let state = state.borrow();
        state.usable().cloned().ok_or_else(|| LookupError {
            host: host.to_owned(),
            why: state.error.clone().unwrap_or_default(),
        })
    }

    /// The state of `host`, whose lookup is started if it is due.
    fn refresh(&self, host: &str) -> watch::Receiver<HostState> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let state = hosts.entry(host.to_owned()).or_default().clone();
        drop(hosts);
        let receiver = state.subscribe();
        if state.send_if_modified(HostState::start) {
            let (host, lookup) = (host.to_owned(), (self.lookup)(host.to_owned()));
            tokio::spawn(async move {
                let result = lookup.await;
                state.send_modify(|state| state.finish(&host, result));
            });
        }
        receiver
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.resolve(name.as_str()).await?;
            Ok(Box::new(found.addresses.into_iter()) as Addrs)
        })
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
