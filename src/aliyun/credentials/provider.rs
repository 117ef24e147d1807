//! Credentials that are fetched when they are first needed, kept, and renewed in time.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::watch::{self, Watch};
use super::{AccessKey, Fetch, FetchError, Fetched, ProviderDeps, schedule, source};
use crate::aliyun::sign::format_date;
use crate::clock::Timestamp;
use crate::config;
use crate::telemetry::LogThrottle;

/// Whatever a fetch waits for, it is given up after this.
const LONGEST_FETCH: Duration = Duration::from_secs(60);

/// Files are read anew no sooner than this after the last time, however often somebody asks for it.
const BREATH: Duration = Duration::from_secs(1);

/// Credentials that expire within this are of no use any more.
const LEAST: Duration = Duration::from_secs(1);

/// Credentials that are fetched when they are first needed, kept, and renewed before they expire.
///
/// Instances that are configured alike share one. There is one fetch at a time, in a task of its
/// own, which all who need its outcome wait for, and which nobody's impatience ends. While valid
/// credentials are at hand nobody waits, and a failure to renew them changes nothing. After a
/// failure nothing is fetched for a while that grows from one failure to the next.
pub struct CredentialProvider {
    shared: Arc<Shared>,
    /// Ends with the provider.
    _watcher: Option<AbortOnDropHandle<()>>,
}

struct Shared {
    name: String,
    source: Box<dyn Fetch>,
    deps: ProviderDeps,
    state: Mutex<State>,
    /// Wakes the one who looks after the files.
    asked: Notify,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// The newest fetch, if it failed.
    failure: Option<FetchFailure>,
    /// The fetch that is under way.
    running: Option<CancellationToken>,
    /// Something changed while it was under way, so that it has to be followed by another one.
    outdated: bool,
    /// How often somebody replaced the credentials, in a file or in the configuration.
    replaced: u64,
    failures: LogThrottle<()>,
    /// The provider is gone: what is still under way is nobody's concern.
    closed: bool,
}

/// What was fetched last.
#[derive(Clone)]
struct Kept {
    credentials: Arc<AccessKey>,
    /// When they expire, and when they are to be renewed.
    times: Option<(Timestamp, Timestamp)>,
}

struct FetchFailure {
    why: FetchError,
    in_a_row: u32,
    /// Until when nothing is fetched.
    until: Instant,
}

impl CredentialProvider {
    /// The provider that `config` describes, called `name` in logs and metrics. Looks after the
    /// files it reads, in a task of the current runtime.
    #[must_use]
    pub fn new(name: impl Into<String>, config: &config::Provider, deps: &ProviderDeps) -> Self {
        let name = name.into();
        deps.metrics.touch_credentials(&name);
        let source = source(config, deps);
        let files = source.files();
        let shared = Arc::new(Shared {
            name,
            source,
            deps: deps.clone(),
            state: Mutex::default(),
            asked: Notify::new(),
        });
        let watcher = (!files.is_empty()).then(|| {
            let shared = Arc::clone(&shared);
            AbortOnDropHandle::new(tokio::spawn(async move { shared.watch(files).await }))
        });
        Self {
            shared,
            _watcher: watcher,
        }
    }

    /// What it is called in logs and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The credentials to sign with.
    pub async fn get(&self) -> Result<Arc<AccessKey>, FetchError> {
        loop {
            let fetch = {
                let mut state = self.shared.lock();
                let now = self.shared.deps.clock.now();
                if let Some(kept) = state.valid(now) {
                    let credentials = Arc::clone(&kept.credentials);
                    if kept.is_due(now) && state.paused().is_none() {
                        self.shared.start(&mut state);
                    }
                    return Ok(credentials);
                }
                if let Some(why) = state.paused() {
                    return Err(state
                        .expired()
                        .map_or_else(|| why.clone(), |expired| why.clone().of(expired)));
                }
                self.shared.start(&mut state)
            };
            fetch.cancelled().await;
        }
    }

    /// Fetches anew because `refused` did not work; whether there are other credentials now.
    ///
    /// If somebody else has refreshed since, the ones at hand are other ones already and nothing
    /// is fetched. When the fetch fails the ones at hand are kept: who refused them may be wrong.
    pub async fn refresh(&self, refused: Option<&AccessKey>) -> bool {
        let others = |state: &State| {
            let kept = state.valid(self.shared.deps.clock.now());
            kept.is_some_and(|kept| refused.is_none_or(|refused| *kept.credentials != *refused))
        };
        let fetch = {
            let mut state = self.shared.lock();
            if others(&state) || state.paused().is_some() {
                return others(&state);
            }
            self.shared.start(&mut state)
        };
        fetch.cancelled().await;
        others(&self.shared.lock())
    }

    /// Reads the files anew that the credentials come from, in the background and at once, but not
    /// more than once a second. Until that has succeeded, what is at hand stays in use.
    pub fn reread(&self) {
        self.shared.asked.notify_one();
    }

    /// How often a file brought other credentials.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.shared.lock().replaced
    }
}

impl Drop for CredentialProvider {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
    }
}

impl fmt::Debug for CredentialProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialProvider")
            .field("name", &self.shared.name)
            .field("source", &self.shared.source)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn watch(self: Arc<Self>, files: Vec<PathBuf>) {
        let mut watch = Watch::new(files);
        watch.look().await;
        loop {
            let asked = tokio::select! {
                () = sleep(watch::EVERY) => false,
                () = self.asked.notified() => true,
            };
            if watch.look().await || asked {
                self.reread();
                sleep(BREATH).await;
            }
        }
    }

    fn reread(self: &Arc<Self>) {
        let mut state = self.lock();
        // Nobody has needed them yet: they will be read when somebody does.
        if state.kept.is_none() && state.failure.is_none() && state.running.is_none() {
            return;
        }
        state.outdated = true;
        self.start(&mut state);
    }

    /// The fetch that is under way, begun now if there was none; it is cancelled when it has ended.
    fn start(self: &Arc<Self>, state: &mut State) -> CancellationToken {
        if let Some(running) = state
            .running
            .as_ref()
            .filter(|running| !running.is_cancelled())
        {
            return running.clone();
        }
        let ended = CancellationToken::new();
        state.running = Some(ended.clone());
        let replacing = std::mem::take(&mut state.outdated);
        let shared = Arc::clone(self);
        let guard = ended.clone().drop_guard();
        tokio::spawn(async move {
            let fetch = {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { timeout(LONGEST_FETCH, shared.source.fetch()).await })
            };
            let fetched = match fetch.await {
                Ok(Ok(fetched)) => fetched,
                Ok(Err(_)) => Err(FetchError::Failed(format!(
                    "not there within {LONGEST_FETCH:?}"
                ))),
                Err(_) => Err(FetchError::Failed(
                    "the fetch failed by itself, please report this".to_owned(),
                )),
            };
            shared.finish(fetched, replacing);
            drop(guard);
        });
        ended
    }

    fn finish(self: &Arc<Self>, fetched: Result<Fetched, FetchError>, replacing: bool) {
        let now = self.deps.clock.now();
        let dead = |expires: &Timestamp| expires.since(now) < LEAST;
        let fetched = fetched.and_then(|fetched| match fetched.expires.filter(dead) {
            Some(expires) => Err(FetchError::Failed(format!(
                "what came had expired at {}; check this host's clock",
                format_date(expires)
            ))),
            None => Ok(fetched),
        });
        let mut state = self.lock();
        state.running = None;
        if state.closed {
            return;
        }
        match fetched {
            Ok(fetched) => self.keep(&mut state, fetched, replacing, now),
            Err(why) => self.fail(&mut state, why, now),
        }
        if state.outdated {
            self.start(&mut state);
        }
    }

    fn keep(
        &self,
        state: &mut State,
        Fetched {
            credentials,
            expires,
        }: Fetched,
        replacing: bool,
        now: Timestamp,
    ) {
        let name = self.name.as_str();
        let metrics = &self.deps.metrics;
        metrics
            .credential_refreshes_total
            .with_label_values(&[name, "success"])
            .inc();
        let expiry = &metrics.credential_expiry_timestamp_seconds;
        match expires {
            Some(expires) => expiry.with_label_values(&[name]).set(expires.as_seconds()),
            // Others of this name may have expired; it fails where there are none.
            None => drop(expiry.remove_label_values(&[name])),
        }
        if state.failure.take().is_some() {
            tracing::info!(credentials = name, "there are credentials again");
        }
        state.failures.clear(Instant::now(), |()| true);
        let changed = state
            .kept
            .as_ref()
            .is_none_or(|kept| *kept.credentials != credentials);
        state.replaced += u64::from(replacing && changed);
        let until = expires.map_or_else(|| "revoked".to_owned(), format_date);
        tracing::debug!(
            credentials = name,
            changed,
            valid_until = until,
            "fetched credentials"
        );
        let times =
            expires.map(|expires| (expires, schedule::renewal(now, expires, &self.deps.random)));
        state.kept = Some(Kept {
            credentials: Arc::new(credentials),
            times,
        });
    }

    fn fail(&self, state: &mut State, why: FetchError, now: Timestamp) {
        let name = self.name.as_str();
        self.deps
            .metrics
            .credential_refreshes_total
            .with_label_values(&[name, "failure"])
            .inc();
        if let Some(suppressed) = state.failures.record((), Instant::now()) {
            if state.valid(now).is_some() {
                tracing::warn!(
                    credentials = name,
                    "cannot refresh the credentials, those at hand stay in use: {why}{suppressed}"
                );
            } else {
                tracing::warn!(
                    credentials = name,
                    "cannot get credentials: {why}{suppressed}"
                );
            }
        }
        let in_a_row = state.failure.as_ref().map_or(0, |failure| failure.in_a_row) + 1;
        let until = Instant::now() + schedule::pause(in_a_row, &self.deps.random);
        state.failure = Some(FetchFailure {
            why,
            in_a_row,
            until,
        });
    }
}

impl State {
    /// What is at hand, unless it has expired.
    fn valid(&self, now: Timestamp) -> Option<&Kept> {
        self.kept
            .as_ref()
            .filter(|kept| kept.times.is_none_or(|(expires, _)| now < expires))
    }

    /// What is at hand and has expired, in words.
    fn expired(&self) -> Option<String> {
        let (expires, _) = self.kept.as_ref()?.times?;
        Some(format!(
            "the credentials expired at {}, and there are no new ones",
            format_date(expires)
        ))
    }

    /// Why nothing is fetched now.
    fn paused(&self) -> Option<&FetchError> {
        self.failure
            .as_ref()
            .filter(|failure| Instant::now() < failure.until)
            .map(|failure| &failure.why)
    }
}

impl Kept {
    fn is_due(&self, now: Timestamp) -> bool {
        self.times.is_some_and(|(_, renewal)| now >= renewal)
    }
}
