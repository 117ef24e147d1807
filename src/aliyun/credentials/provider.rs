//! Credentials that are fetched when they are first needed, kept, and renewed in time.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::fetch::{FetchError, FetchedKey, ProviderDeps};
use super::schedule;
use super::source::Source;
use crate::aliyun::access_key::AccessKey;
use crate::aliyun::sign::format_date;
use crate::clock::Timestamp;
use crate::config;
use crate::net::{FileWatch, WatchedFiles};
use crate::telemetry::LogThrottle;

/// The time limit of a fetch.
const MAX_FETCH: Duration = Duration::from_secs(60);

/// The shortest time between two reads of the files, however often they are requested.
const REREAD_PAUSE: Duration = Duration::from_secs(1);

/// Credentials with less time left are useless.
const MIN_LEFT: Duration = Duration::from_secs(1);

/// Credentials that are fetched when they are first needed, kept, and renewed before they expire.
///
/// Instances that are configured alike share one. There is one fetch at a time, in a task of its
/// own: all callers that need its outcome wait for it, and a caller that stops waiting does not
/// end it. While the credentials are valid no caller waits, and a failed renewal changes nothing.
/// After a failure there is a pause, which grows with each failure.
pub struct CredentialProvider {
    shared: Arc<Shared>,
    /// Ends with the provider.
    _watcher: Option<AbortOnDropHandle<()>>,
}

struct Shared {
    name: String,
    source: Source,
    state: Mutex<State>,
    /// Wakes the watcher of the files.
    reread: Notify,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// The last fetch, if it failed.
    failure: Option<FetchFailure>,
    /// The fetch in progress; cancelled when it has ended.
    running: Option<CancellationToken>,
    /// A file changed during the fetch in progress, so another fetch follows.
    outdated: bool,
    /// How often the credentials were replaced in a file.
    replaced: u64,
    errors: LogThrottle<()>,
    /// The provider was dropped: the outcome of the fetch in progress is ignored.
    closed: bool,
}

/// The credentials of the last successful fetch.
struct Current {
    key: Arc<AccessKey>,
    /// When they expire, and when they are renewed.
    times: Option<(Timestamp, Timestamp)>,
}

struct FetchFailure {
    why: FetchError,
    in_a_row: u32,
    /// The end of the pause.
    until: Instant,
}

impl CredentialProvider {
    /// The provider that `config` describes, called `name` in logs and metrics. Watches the files
    /// that it reads, in a task of the current runtime.
    #[must_use]
    pub fn new(name: impl Into<String>, config: &config::Provider, deps: &ProviderDeps) -> Self {
        let name = name.into();
        deps.metrics.touch_credentials(&name);
        let source = Source::new(config, deps);
        let paths = source.files();
        let mut files = WatchedFiles::default();
        for path in &paths {
            files.add(path);
        }
        let shared = Arc::new(Shared {
            name,
            source,
            state: Mutex::default(),
            reread: Notify::new(),
        });
        let watcher = (!paths.is_empty()).then(|| {
            let watch = Arc::clone(&shared).watch(files);
            AbortOnDropHandle::new(tokio::spawn(watch))
        });
        Self {
            shared,
            _watcher: watcher,
        }
    }

    /// Its name in logs and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The access key to sign with.
    pub async fn get(&self) -> Result<Arc<AccessKey>, FetchError> {
        loop {
            let fetch = {
                let mut state = self.shared.lock();
                let now = self.shared.now();
                if let Some(current) = state.valid(now) {
                    let key = Arc::clone(&current.key);
                    let due = current.times.is_some_and(|(_, renewal)| now >= renewal);
                    if due && state.paused().is_none() {
                        self.shared.start(&mut state);
                    }
                    return Ok(key);
                }
                if let Some(why) = state.paused() {
                    return Err(match state.current.as_ref().and_then(|kept| kept.times) {
                        Some((expires, _)) => why.context(format_args!(
                            "the credentials expired at {} and cannot be renewed",
                            format_date(expires)
                        )),
                        None => why.clone(),
                    });
                }
                self.shared.start(&mut state)
            };
            fetch.cancelled().await;
        }
    }

    /// Fetches again because `refused` did not work; returns whether there are other credentials
    /// now.
    ///
    /// If another caller has refreshed since, the current credentials are already other ones and
    /// nothing is fetched. If the fetch fails the current ones stay: the refusal may be wrong.
    pub async fn refresh(&self, refused: Option<&AccessKey>) -> bool {
        let others = |state: &State| {
            let current = state.valid(self.shared.now());
            current.is_some_and(|current| refused.is_none_or(|refused| *current.key != *refused))
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

    /// Reads the files of the credentials again, in the background and at once, at most once a
    /// second. Until that succeeds, the current credentials stay in use.
    pub fn reread(&self) {
        self.shared.reread.notify_one();
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

    fn now(&self) -> Timestamp {
        self.source.deps.clock.now()
    }

    async fn watch(self: Arc<Self>, files: WatchedFiles) {
        let watch = FileWatch::new(files);
        loop {
            tokio::select! {
                () = watch.changed() => {}
                () = self.reread.notified() => {}
            }
            {
                let mut state = self.lock();
                // Without an earlier fetch, the first use reads the files.
                if state.current.is_some() || state.failure.is_some() || state.running.is_some() {
                    state.outdated = true;
                    self.start(&mut state);
                }
            }
            sleep(REREAD_PAUSE).await;
        }
    }

    /// The fetch in progress, started now if there is none.
    fn start(self: &Arc<Self>, state: &mut State) -> CancellationToken {
        if let Some(running) = state.running.as_ref().filter(|fetch| !fetch.is_cancelled()) {
            return running.clone();
        }
        let ended = CancellationToken::new();
        state.running = Some(ended.clone());
        let replacing = std::mem::take(&mut state.outdated);
        let (shared, guard) = (Arc::clone(self), ended.clone().drop_guard());
        tokio::spawn(async move {
            let fetch = timeout(MAX_FETCH, shared.source.fetch());
            let fetched = match AssertUnwindSafe(fetch).catch_unwind().await {
                Ok(Ok(fetched)) => fetched,
                Ok(Err(_)) => Err(format!("no credentials within {MAX_FETCH:?}").into()),
                Err(_) => Err("the fetch panicked; please report this".to_owned().into()),
            };
            shared.finish(fetched, replacing);
            drop(guard);
        });
        ended
    }

    fn finish(self: &Arc<Self>, fetched: Result<FetchedKey, FetchError>, replacing: bool) {
        let now = self.now();
        let fetched = fetched.and_then(|fetched| match fetched.expires {
            Some(expires) if expires.since(now) < MIN_LEFT => Err(format!(
                "the new credentials expired at {}; check the clock of this host",
                format_date(expires)
            )
            .into()),
            _ => Ok(fetched),
        });
        let mut state = self.lock();
        state.running = None;
        if state.closed {
            return;
        }
        let result = if fetched.is_ok() {
            "success"
        } else {
            "failure"
        };
        let refreshes = &self.source.deps.metrics.credential_refreshes_total;
        refreshes.with_label_values(&[&self.name, result]).inc();
        match fetched {
            Ok(fetched) => self.keep(&mut state, fetched, replacing, now),
            Err(why) => self.fail(&mut state, why, now),
        }
        if state.outdated {
            self.start(&mut state);
        }
    }

    fn keep(&self, state: &mut State, fetched: FetchedKey, replacing: bool, now: Timestamp) {
        let (name, deps) = (self.name.as_str(), &self.source.deps);
        let FetchedKey { key, expires } = fetched;
        let expiry = &deps.metrics.credential_expiry_timestamp_seconds;
        match expires {
            Some(expires) => expiry.with_label_values(&[name]).set(expires.as_seconds()),
            // Earlier credentials of this name may have expired; without any, this fails.
            None => drop(expiry.remove_label_values(&[name])),
        }
        if state.failure.take().is_some() {
            tracing::info!(credentials = name, "credentials recovered");
        }
        state.errors.clear(Instant::now(), |()| true);
        let changed = state
            .current
            .as_ref()
            .is_none_or(|current| *current.key != key);
        state.replaced += u64::from(replacing && changed);
        let until = expires.map_or_else(|| "revoked".to_owned(), format_date);
        tracing::debug!(
            credentials = name,
            changed,
            valid_until = until,
            "fetched credentials"
        );
        let times = expires.map(|expires| (expires, schedule::renewal(now, expires, &deps.random)));
        let key = Arc::new(key);
        state.current = Some(Current { key, times });
    }

    fn fail(&self, state: &mut State, why: FetchError, now: Timestamp) {
        if let Some(suppressed) = state.errors.record((), Instant::now()) {
            let what = if state.valid(now).is_some() {
                "cannot refresh the credentials; the current ones stay in use"
            } else {
                "cannot get credentials"
            };
            tracing::warn!(credentials = self.name, "{what}: {why}{suppressed}");
        }
        let in_a_row = state.failure.as_ref().map_or(0, |failure| failure.in_a_row) + 1;
        state.failure = Some(FetchFailure {
            why,
            in_a_row,
            until: Instant::now() + schedule::pause(in_a_row, &self.source.deps.random),
        });
    }
}

impl State {
    /// The current credentials, unless they have expired.
    fn valid(&self, now: Timestamp) -> Option<&Current> {
        self.current
            .as_ref()
            .filter(|current| current.times.is_none_or(|(expires, _)| now < expires))
    }

    /// The failure whose pause continues.
    fn paused(&self) -> Option<&FetchError> {
        self.failure
            .as_ref()
            .filter(|failure| Instant::now() < failure.until)
            .map(|failure| &failure.why)
    }
}
