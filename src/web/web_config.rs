//! The web configuration in effect: read at the start, and again when one of its files changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::auth::AccessControl;
use super::toolkit::WebConfig;
use crate::clock::Clock;
use crate::config::{self, Problem, Problems};
use crate::net::{FileWatch, Tls, WatchedFiles};
use crate::secret;
use crate::telemetry::Metrics;

/// What a file with a private key (PEM) contains.
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";

/// TLS and access control in front of the endpoints; clones share them.
#[derive(Clone)]
pub struct ActiveWebConfig {
    path: PathBuf,
    clock: Clock,
    tls: Option<Tls>,
    access: AccessControl,
    /// The files and their states before the last read, successful or not.
    files: WatchedFiles,
}

impl ActiveWebConfig {
    /// Reads the web configuration at `path`. Returns the warnings with it.
    pub fn load(path: &Path, clock: Clock) -> Result<(Self, Vec<Problem>), Problems> {
        let mut loaded = Self {
            path: path.to_owned(),
            clock,
            tls: None,
            access: AccessControl::default(),
            files: WatchedFiles::default(),
        };
        let (mut config, warnings) = loaded.read()?;
        loaded.tls = config.tls.take().map(Tls::new);
        loaded.access.set(config);
        Ok((loaded, warnings))
    }

    /// Secures connections; `None` if they are not secured.
    #[must_use]
    pub fn tls(&self) -> Option<Tls> {
        self.tls.clone()
    }

    /// `router` behind the rules of the configuration.
    pub fn protect(&self, router: Router) -> Router {
        self.access.protect(router)
    }

    /// Reads the configuration and the files that it names.
    fn read(&mut self) -> Result<(WebConfig, Vec<Problem>), Problems> {
        self.files = WatchedFiles::default();
        let mut exposed = Vec::new();
        let mut read = |path: &Path| {
            self.files.add(path);
            let bytes = config::read(path)?;
            let mut parts = bytes.windows(PRIVATE_KEY.len());
            if parts.any(|part| part == PRIVATE_KEY) {
                let exposure = secret::exposure(path);
                exposed.extend(exposure.map(|message| Problem::of_file(&path.into(), message)));
            }
            Ok(bytes)
        };
        let text = read(&self.path)
            .map_err(|message| Problem::of_file(&self.path.as_path().into(), message))?;
        let (config, mut warnings) =
            WebConfig::parse(&text, &self.path, self.clock.clone(), &mut read)?;
        warnings.append(&mut exposed);
        Ok((config, warnings))
    }

    /// Applies the current files. If they are invalid, the previous configuration stays in effect.
    /// Existing connections and requests continue in any case.
    fn reload(&mut self) -> Result<Vec<Problem>, Problems> {
        let (mut config, warnings) = self.read()?;
        match (&self.tls, config.tls.take()) {
            (Some(tls), Some(config)) => tls.replace(config),
            (None, None) => {}
            (secured, _) => {
                let state = if secured.is_some() { "off" } else { "on" };
                let message = format!("TLS can only be turned {state} by a restart");
                return Err(Problem::of_file(&self.path.as_path().into(), message).into());
            }
        }
        self.access.set(config);
        Ok(warnings)
    }

    /// Reloads the files whenever they have changed. Ends when it is dropped.
    pub async fn follow(mut self, metrics: Arc<Metrics>) {
        metrics
            .web_config_last_reload_success_timestamp_seconds
            .set(self.clock.now().as_seconds());
        loop {
            FileWatch::new(std::mem::take(&mut self.files))
                .changed()
                .await;
            let reload = move || (self.reload(), self);
            let Ok((outcome, reloaded)) = spawn_blocking(reload).await else {
                // The runtime ends.
                return;
            };
            reloaded.report(outcome, &metrics);
            self = reloaded;
        }
    }

    fn report(&self, outcome: Result<Vec<Problem>, Problems>, metrics: &Metrics) {
        let file = self.path.display();
        metrics
            .web_config_last_reload_successful
            .set(f64::from(u8::from(outcome.is_ok())));
        match outcome {
            Ok(warnings) => {
                metrics
                    .web_config_last_reload_success_timestamp_seconds
                    .set(self.clock.now().as_seconds());
                for warning in warnings {
                    warn!("{warning}");
                }
                info!(%file, "web configuration reloaded");
            }
            Err(problems) => {
                for problem in problems.iter() {
                    error!("{problem}");
                }
                error!(%file, "web configuration is invalid; the previous configuration stays in effect");
            }
        }
    }
}
