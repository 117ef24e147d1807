//! The web configuration in force: read at the start, and again when a file of it changes.

mod files;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use super::config::WebConfig;
use super::guard::Guard;
use crate::clock::Clock;
use crate::config::{Problem, Problems};
use crate::net::Tls;
use crate::telemetry::Metrics;
use files::Files;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What stands between the network and the endpoints; clones are the same one.
#[derive(Clone)]
pub struct Edge(Arc<Shared>);

struct Shared {
    path: PathBuf,
    clock: Clock,
    tls: Option<Tls>,
    guard: Guard,
    /// As they were when they were last read, with success or without.
    files: Mutex<Files>,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("path", &self.0.path).field("tls", &self.0.tls).finish_non_exhaustive()
    }
}

impl Edge {
    /// Reads the web configuration at `path`. Beside it: what is odd, but possible.
    pub fn load(path: &Path, clock: Clock) -> Result<(Self, Vec<Problem>), Problems> {
        let (outcome, files) = read(path, clock);
        let (config, warnings) = outcome?;
        let guard = Guard::default();
        guard.set(config.headers, config.users, config.rate_limit);
        let tls = config.tls.map(Tls::new);
        let shared = Shared { path: path.to_owned(), clock, tls, guard, files: Mutex::new(files) };
        Ok((Self(Arc::new(shared)), warnings))
    }

    /// What secures connections, if anything does.
    #[must_use]
    pub fn tls(&self) -> Option<Tls> {
        self.0.tls.clone()
    }

    /// `router` behind the rules of the configuration.
    pub fn protect(&self, router: Router) -> Router {
        self.0.guard.protect(router)
    }

    /// Takes the files over as they are now. What was in force stays so if something is wrong with
    /// them; connections and requests that are there stay in any case.
    fn reload(&self) -> Result<Vec<Problem>, Problems> {
        let (outcome, files) = read(&self.0.path, self.0.clock);
        *self.0.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
        let (config, warnings) = outcome?;
        match (&self.0.tls, config.tls) {
            (Some(tls), Some(config)) => tls.replace(config),
            (None, None) => {}
            (secured, _) => {
                let (path, what) = (self.0.path.as_path().into(), if secured.is_some() { "off" } else { "on" });
                return Err(Problem::of_file(&path, format!("TLS is turned {what} by a restart alone")).into());
            }
        }
        self.0.guard.set(config.headers, config.users, config.rate_limit);
        Ok(warnings)
    }

    /// Reads the files again whenever they have changed. Ends when it is dropped.
    ///
    /// A change is taken over when it has lasted for two looks: a certificate and its key are two
    /// files, and neither is written at once.
    pub async fn follow(self, metrics: Arc<Metrics>) {
        metrics.web_config_last_reload_success_timestamp_seconds.set(self.0.clock.now().as_seconds());
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changed = None;
        loop {
            looks.tick().await;
            let edge = self.clone();
            let look = tokio::task::spawn_blocking(move || edge.look(changed)).await;
            // It only fails where the runtime ends.
            let Ok((now_changed, outcome)) = look else { return };
            changed = now_changed;
            match outcome {
                None => {}
                Some(Ok(warnings)) => {
                    metrics.web_config_last_reload_successful.set(1);
                    metrics.web_config_last_reload_success_timestamp_seconds.set(self.0.clock.now().as_seconds());
                    warnings.iter().for_each(|warning| warn!("{warning}"));
                    info!(file = %self.0.path.display(), "the web configuration has changed and is in force");
                }
                Some(Err(problems)) => {
                    metrics.web_config_last_reload_successful.set(0);
                    for problem in problems.iter() {
                        error!("{problem}");
                    }
                    error!(file = %self.0.path.display(), "the web configuration has changed and cannot be used; the one before stays in force");
                }
            }
        }
    }

    /// Looks at the files: how they have changed, if they have, and what taking that over came to,
    /// if they had at the look before as well.
    fn look(&self, before: Option<Files>) -> (Option<Files>, Option<Result<Vec<Problem>, Problems>>) {
        let known = self.0.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = known.again();
        if now == known {
            (None, None)
        } else if before.as_ref() == Some(&now) {
            (None, Some(self.reload()))
        } else {
            (Some(now), None)
        }
    }
}

type Outcome = Result<(WebConfig, Vec<Problem>), Problems>;

/// What the configuration at `path` comes to, and the files that were read for it.
fn read(path: &Path, clock: Clock) -> (Outcome, Files) {
    let mut files = Files::default();
    let outcome = match files.read(path) {
        Ok(text) => WebConfig::parse(&text, path, clock, &mut |path| files.read(path)),
        Err(message) => Err(Problem::of_file(&path.into(), message).into()),
    };
    (outcome, files)
}
