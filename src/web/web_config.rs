//! The web configuration in force: read at the start, and again when a file of it changes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::auth::AccessControl;
use super::toolkit::WebConfig;
use crate::clock::Clock;
use crate::config::{self, Problem, Problems};
use crate::net::{FileWatch, Tls, WatchedFiles};
use crate::telemetry::Metrics;

/// What stands between the network and the endpoints; clones are the same one.
#[derive(Clone)]
pub struct ActiveWebConfig(Arc<Shared>);

struct Shared {
    path: PathBuf,
    clock: Clock,
    tls: Option<Tls>,
    guard: AccessControl,
    /// The files and their states before the last reload, successful or not.
    files: Mutex<WatchedFiles>,
}

impl fmt::Debug for ActiveWebConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveWebConfig")
            .field("path", &self.0.path)
            .field("tls", &self.0.tls)
            .finish_non_exhaustive()
    }
}

impl ActiveWebConfig {
    /// Reads the web configuration at `path`. Beside it: what is odd, but possible.
    pub fn load(path: &Path, clock: Clock) -> Result<(Self, Vec<Problem>), Problems> {
        let (outcome, files) = read(path, clock);
        let (config, warnings) = outcome?;
        let guard = AccessControl::default();
        guard.set(config.headers, config.users, config.rate_limit);
        let tls = config.tls.map(Tls::new);
        let shared = Shared {
            path: path.to_owned(),
            clock,
            tls,
            guard,
            files: Mutex::new(files),
        };
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
        *self.lock_files() = files;
        let (config, warnings) = outcome?;
        match (&self.0.tls, config.tls) {
            (Some(tls), Some(config)) => tls.replace(config),
            (None, None) => {}
            (secured, _) => {
                let (path, what) = (
                    self.0.path.as_path().into(),
                    if secured.is_some() { "off" } else { "on" },
                );
                return Err(Problem::of_file(
                    &path,
                    format!("TLS is turned {what} by a restart alone"),
                )
                .into());
            }
        }
        self.0
            .guard
            .set(config.headers, config.users, config.rate_limit);
        Ok(warnings)
    }

    /// Reloads the files whenever they have changed. Ends when it is dropped.
    pub async fn follow(self, metrics: Arc<Metrics>) {
        metrics
            .web_config_last_reload_success_timestamp_seconds
            .set(self.0.clock.now().as_seconds());
        loop {
            let files = std::mem::take(&mut *self.lock_files());
            FileWatch::new(files).changed().await;
            let edge = self.clone();
            match spawn_blocking(move || edge.reload()).await {
                Ok(outcome) => self.tell(outcome, &metrics),
                // The runtime ends.
                Err(_) => return,
            }
        }
    }

    fn lock_files(&self) -> MutexGuard<'_, WatchedFiles> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, outcome: Result<Vec<Problem>, Problems>, metrics: &Metrics) {
        let file = self.0.path.display();
        metrics
            .web_config_last_reload_successful
            .set(f64::from(u8::from(outcome.is_ok())));
        match outcome {
            Ok(warnings) => {
                metrics
                    .web_config_last_reload_success_timestamp_seconds
                    .set(self.0.clock.now().as_seconds());
                for warning in warnings {
                    warn!("{warning}");
                }
                info!(%file, "the web configuration has changed and is in force");
            }
            Err(problems) => {
                for problem in problems.iter() {
                    error!("{problem}");
                }
                error!(%file, "the web configuration has changed and cannot be used; the one before stays in force");
            }
        }
    }
}

type Outcome = Result<(WebConfig, Vec<Problem>), Problems>;

/// What the configuration at `path` comes to, and the files that were read for it.
fn read(path: &Path, clock: Clock) -> (Outcome, WatchedFiles) {
    let mut files = WatchedFiles::default();
    let mut read = |path: &Path| {
        files.add(path);
        config::read(path)
    };
    let outcome = match read(path) {
        Ok(text) => WebConfig::parse(&text, path, clock, &mut read),
        Err(message) => Err(Problem::of_file(&path.into(), message).into()),
    };
    (outcome, files)
}
