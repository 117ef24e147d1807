//! Reloads the configuration, and follows client files and client URLs.
//!
//! One task does one thing after the other, so that two reloads, or a reload and a changed file,
//! never overlap. Everything that can fail is done before anything is changed.

use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::api_clients::{Transport, transports};
use super::checked_config::{CheckedConfig, plan};
use super::client_sources::urls;
use super::error::CommandError;
use super::runtime::Runtime;
use crate::aliyun::RULES;
use crate::config::{Config, Problem};
use crate::discovery::{
    self, Discovered, Refreshed, SourceFailure, SourceLocation, UrlPoller, UrlUpdate,
};
use crate::presence::Fleet;
use crate::web::{ReloadOutcome, ReloadRequests};

/// The interval at which client files that could not be used are read again.
const RETRY_FILES: Duration = Duration::from_secs(60);

/// The owner of the runtime while the exporter runs.
#[derive(Debug)]
pub(super) struct Reloader {
    pub(super) runtime: Runtime,
    /// The configuration file, if there is one.
    pub(super) file: Option<PathBuf>,
    /// Reloads the configuration when notified.
    pub(super) hangup: Arc<Notify>,
}

impl Reloader {
    /// Runs until it is dropped.
    pub(super) async fn run(mut self, mut requests: ReloadRequests) {
        let (mut poller, mut updates) = UrlPoller::new(self.runtime.environment.resolver.clone());
        let mut retry = interval_at(Instant::now() + RETRY_FILES, RETRY_FILES);
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            poller.poll(urls(&self.runtime.config.load()));
            let mut waiting = Vec::new();
            tokio::select! {
                () = self.hangup.notified() => drop(self.reload().await),
                // One reload answers all requests that arrived before it starts.
                1.. = requests.recv_many(&mut waiting, usize::MAX) => {
                    let outcome = self.reload().await;
                    for request in waiting {
                        drop(request.send(outcome.clone()));
                    }
                }
                Some(update) = updates.recv() => self.update_url(update).await,
                () = self.runtime.sources.watch.changed() => self.refresh(None).await,
                _ = retry.tick() => self.retry_files().await,
            }
        }
    }

    /// Loads the configuration file and applies it, or changes nothing.
    async fn reload(&mut self) -> ReloadOutcome {
        let file = self.file.as_ref();
        let config_file = file.map(|file| tracing::field::display(file.display()));
        match self.prepare().await {
            Ok((checked, transports)) => {
                let fleets = &checked.discovered.fleets;
                let clients: usize = fleets.iter().map(Fleet::len).sum();
                let instances = fleets.len();
                let text =
                    format!("configuration reloaded; instances: {instances}, clients: {clients}");
                let warnings = checked.warnings.iter();
                let outcome = warnings.fold(text.clone(), |outcome, warning| {
                    format!("{outcome}\nwarning: {warning}")
                });
                self.runtime.apply(checked, transports).await;
                tracing::info!(config_file, "{text}");
                Ok(outcome)
            }
            Err(problems) => {
                self.runtime.metrics.config_last_reload_successful.set(0.0);
                tracing::error!(
                    config_file,
                    "configuration not reloaded, the previous one stays in use: {problems}"
                );
                Err(format!(
                    "{problems}\nconfiguration not reloaded, the previous one stays in use"
                ))
            }
        }
    }

    /// Does everything of a reload that can fail.
    async fn prepare(&self) -> Result<(CheckedConfig, Vec<Transport>), String> {
        let file = self
            .file
            .clone()
            .ok_or("there is no configuration file to reload")?;
        let texts = self.runtime.sources.texts.clone();
        let before = self.runtime.api_clients.transports();
        let (shard, resolver) = (
            self.runtime.environment.shard,
            self.runtime.environment.resolver.clone(),
        );
        let prepare = move || -> Result<_, CommandError> {
            let loaded = Config::load(&file, &RULES)?;
            let checked = CheckedConfig::new(loaded, &texts, shard)?;
            let transports = transports(&checked.config, &before, &resolver)?;
            Ok((checked, transports))
        };
        let prepared = spawn_blocking(prepare).await;
        prepared
            .map_err(|panic| panic.to_string())?
            .map_err(|error| error.to_string())
    }

    /// Applies the response of a client URL, if it is still configured.
    async fn update_url(&mut self, UrlUpdate { url, body }: UrlUpdate) {
        if !urls(&self.runtime.config.load()).any(|configured| *configured == url) {
            return;
        }
        match body {
            Ok(text) => {
                self.refresh(Some((SourceLocation::Url(url.url), text)))
                    .await;
            }
            Err(message) => {
                let name: Arc<str> = url.url.to_string().into();
                let problem = Problem::of_key("client_urls", format!("{name} {message}"));
                let problems = problem.into();
                self.runtime
                    .sources
                    .failed(&[SourceFailure { name, problems }]);
            }
        }
    }

    /// Reads the client files again if one of them could not be used; otherwise they are unchanged.
    async fn retry_files(&mut self) {
        let config = self.runtime.config.load_full();
        let now = self.runtime.environment.clock.now();
        if !self.runtime.sources.files_unchanged(&config, now) {
            self.refresh(None).await;
        }
    }

    /// Reads all client files, takes the `response` of a client URL if there is one, and replaces the
    /// fleets that have changed.
    async fn refresh(&mut self, response: Option<(SourceLocation, Vec<u8>)>) {
        let config = self.runtime.config.load_full();
        let shard = self.runtime.environment.shard;
        let texts = self.runtime.sources.texts.clone();
        let refresh = move || {
            let response = response
                .as_ref()
                .map(|(location, text)| (location, &**text));
            let plan = |discovered: &Discovered| plan(&config, shard, discovered);
            discovery::refresh(&config, shard, &texts, response, plan)
        };
        let Refreshed {
            discovered,
            failures,
            good,
        } = match spawn_blocking(refresh).await {
            Ok(refreshed) => refreshed,
            Err(failure) => {
                tracing::error!(%failure, "reading client files panicked; it is retried, please report this");
                return;
            }
        };
        if let Some((mut discovered, plan)) = discovered {
            let fleets = mem::take(&mut discovered.fleets);
            // First, so that a scrape shows no client before its source.
            self.runtime.sources.set_content(&discovered);
            self.runtime.set_fleets(fleets, &plan).await;
            self.runtime.sources.warn(&discovered.warnings);
        }
        let now = self.runtime.environment.clock.now();
        self.runtime.sources.failed(&failures);
        self.runtime.sources.succeeded(&good, now);
    }
}
