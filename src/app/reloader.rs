//! The owner of the configuration in force: reloads it, and follows client files and URLs.
//!
//! It is one task that does one thing after the other, so that two reloads, or a reload and a
//! changed file, never meet. Whatever can fail is done before anything is changed.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::api_clients::ApiClients;
use super::exporter::{Environment, PreparedConfig, set_config_metrics};
use super::source_metrics::SourceMetrics;
use crate::config::{ClientUrl, Config, Instance, Problem, Quotas};
use crate::discovery::{
    self, Discovered, Failure, Inventories, Inventory, Place, Refreshed, Texts,
};
use crate::net::Watch;
use crate::planner::Plan;
use crate::presence::{Fleet, InstanceState};
use crate::sweep::{Limiter, SweepConfig, Sweeps};
use crate::telemetry::{LogThrottle, Metrics};
use crate::web::{ReloadOutcome, ReloadRequest};

/// How often client files are looked at though nothing told of a change.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Everything that may change while the exporter runs.
#[derive(Debug)]
pub(super) struct Reloader {
    environment: Environment,
    /// The configuration file; without one there is nothing to reload.
    file: Option<PathBuf>,
    config: Arc<ArcSwap<Config>>,
    sweeps: Arc<Sweeps>,
    limiter: Arc<Limiter>,
    metrics: Arc<Metrics>,
    api_clients: ApiClients,
    states: Vec<Arc<InstanceState>>,
    texts: Texts,
    directories: BTreeSet<PathBuf>,
    source_metrics: SourceMetrics,
    /// Failures of sources that were spoken of, by the name of the source and what was said.
    failures: LogThrottle<(Arc<str>, String)>,
    /// The names of the sources that failed last.
    bad: BTreeSet<Arc<str>>,
    /// Warnings that were given since the configuration was loaded.
    warned: HashSet<String>,
}

/// What [`Reloader`] looks after.
pub(super) struct Runtime {
    pub(super) config: Arc<ArcSwap<Config>>,
    pub(super) sweeps: Arc<Sweeps>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) api_clients: ApiClients,
    pub(super) states: Vec<Arc<InstanceState>>,
}

impl Reloader {
    /// Looks after what is `running` with the clients that were `discovered`.
    pub(super) fn new(running: Runtime, discovered: &Discovered, environment: Environment) -> Self {
        let Runtime {
            config,
            sweeps,
            limiter,
            metrics,
            api_clients,
            states,
        } = running;
        let mut reloader = Self {
            environment,
            file: None,
            source_metrics: SourceMetrics::new(Arc::clone(&metrics)),
            config,
            sweeps,
            limiter,
            metrics,
            api_clients,
            states,
            texts: Texts::default(),
            directories: BTreeSet::new(),
            failures: LogThrottle::default(),
            bad: BTreeSet::new(),
            warned: HashSet::new(),
        };
        reloader.loaded(discovered);
        reloader.warned = discovered.warnings.iter().map(Problem::to_string).collect();
        reloader
    }

    /// Reloads the configuration from this file.
    pub(super) fn reload_from(&mut self, file: PathBuf) {
        self.file = Some(file);
    }

    /// Works until it is dropped: a reload for each hangup and for each request.
    pub(super) async fn run(
        mut self,
        hangup: Arc<Notify>,
        mut requests: mpsc::Receiver<ReloadRequest>,
    ) {
        let (mut inventories, mut answers) = Inventories::new();
        let mut watch = Watch::new();
        let mut again = interval_at(Instant::now() + LOOK_AGAIN, LOOK_AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            inventories.ask(urls(&self.config.load()));
            watch.set(&self.directories);
            tokio::select! {
                () = hangup.notified() => drop(self.reload().await),
                Some(request) = requests.recv() => {
                    // Those that came meanwhile are answered by the same reload, which is yet to begin.
                    let waiting: Vec<_> = std::iter::from_fn(|| requests.try_recv().ok()).collect();
                    let outcome = self.reload().await;
                    waiting.into_iter().chain([request]).for_each(|request| request.answer(outcome.clone()));
                }
                Some(inventory) = answers.recv() => self.answered(inventory).await,
                () = watch.changed() => self.refresh(None).await,
                _ = again.tick(), if !self.directories.is_empty() => self.refresh(None).await,
            }
        }
    }

    /// Loads the configuration file and puts it in force, or changes nothing.
    async fn reload(&mut self) -> ReloadOutcome {
        let outcome = match self.prepare().await {
            Ok((prepared, warnings)) => {
                let text = self.put_in_force(prepared, &warnings).await;
                tracing::info!(config_file = self.shown_file(), "{text}");
                Ok(warnings
                    .iter()
                    .fold(text, |text, warning| format!("{text}\nwarning: {warning}")))
            }
            Err(problems) => {
                tracing::error!(
                    config_file = self.shown_file(),
                    "the configuration was not reloaded, nothing has changed: {problems}"
                );
                Err(format!(
                    "{problems}\nthe configuration was not reloaded, nothing has changed"
                ))
            }
        };
        self.metrics
            .config_last_reload_successful
            .set(f64::from(u8::from(outcome.is_ok())));
        outcome
    }

    fn shown_file(&self) -> String {
        self.file
            .as_ref()
            .map(|file| file.display().to_string())
            .unwrap_or_default()
    }

    /// Everything of a reload that can fail.
    async fn prepare(&self) -> Result<(PreparedConfig, Vec<Problem>), String> {
        let file = self
            .file
            .clone()
            .ok_or("there is no configuration file to reload")?;
        let (texts, transports, environment) = (
            self.texts.clone(),
            self.api_clients.transports().clone(),
            self.environment.clone(),
        );
        let prepare = move || {
            let loaded = Config::load(&file).map_err(|problems| problems.to_string())?;
            let discovered = discovery::read(&loaded.config, environment.shard, &texts)
                .map_err(|problems| problems.to_string())?;
            let warnings = loaded
                .warnings
                .iter()
                .chain(&discovered.warnings)
                .cloned()
                .collect();
            let prepared =
                PreparedConfig::new(loaded.config, discovered, &transports, &environment);
            prepared
                .map(|prepared| (prepared, warnings))
                .map_err(|failure| failure.to_string())
        };
        tokio::task::spawn_blocking(prepare)
            .await
            .unwrap_or_else(|failure| Err(failure.to_string()))
    }

    async fn put_in_force(&mut self, prepared: PreparedConfig, warnings: &[Problem]) -> String {
        let PreparedConfig {
            config,
            mut discovered,
            plan,
            transports,
        } = prepared;
        let fleets = std::mem::take(&mut discovered.fleets);
        let clients: usize = fleets.iter().map(Fleet::len).sum();
        let text = format!(
            "configuration reloaded; instances: {}, clients: {clients}",
            fleets.len()
        );
        self.limiter
            .reconfigure(Quotas::serve(&config, self.environment.shard));
        self.states = self.swap(fleets, &plan).await;
        self.api_clients.set(&config, transports);
        let subjects = subjects(&config, &self.states, &self.api_clients);
        self.sweeps.replace(subjects, &config.collect).await;
        set_config_metrics(&self.metrics, &config, &plan, &self.environment);
        self.config.store(Arc::new(config));
        self.loaded(&discovered);
        self.warned.clear();
        self.warn(warnings);
        text
    }

    /// Takes note of the sources of a configuration that is new in force.
    fn loaded(&mut self, discovered: &Discovered) {
        let config = self.config.load_full();
        let asked: BTreeSet<Arc<str>> = urls(&config)
            .map(|url| url.url.to_string().into())
            .collect();
        let files = config
            .instances
            .iter()
            .flat_map(|instance| &instance.client_files);
        let configured = discovered
            .sources
            .iter()
            .filter(|source| source.place == Place::Config);
        let read = configured
            .map(|source| Arc::clone(&source.name))
            .chain(files.map(|pattern| pattern.as_str().into()));
        let read: BTreeSet<Arc<str>> = read.collect();
        self.source_metrics
            .set(read.union(&asked).cloned().collect());
        self.source_metrics
            .read(&read, self.environment.clock.now());
        self.mark_healthy(|name| !asked.contains(name));
        self.directories.clone_from(&discovered.directories);
        self.record_sources(discovered);
    }

    /// Takes note of what the sources said.
    fn record_sources(&mut self, discovered: &Discovered) {
        self.source_metrics.listed(&discovered.sources);
        self.texts = discovered.texts.clone();
    }

    /// An inventory has answered, or has not.
    async fn answered(&mut self, Inventory { url, answer }: Inventory) {
        if !urls(&self.config.load()).any(|configured| *configured == url) {
            return;
        }
        match answer {
            Ok(text) => self.refresh(Some((Place::Url(url.url), text))).await,
            Err(message) => {
                let name: Arc<str> = url.url.to_string().into();
                let problem = Problem::of_key("client_urls", format!("{name} {message}"));
                self.failed(&[Failure {
                    name,
                    problems: problem.into(),
                }]);
            }
        }
    }

    /// Looks at all sources and swaps the fleets that have changed.
    async fn refresh(&mut self, answer: Option<(Place, Vec<u8>)>) {
        let (config, texts) = (self.config.load_full(), self.texts.clone());
        let refresh = {
            let (config, shard) = (Arc::clone(&config), self.environment.shard);
            move || {
                discovery::refresh(
                    &config,
                    shard,
                    &texts,
                    answer.as_ref().map(|(place, text)| (place, &**text)),
                )
            }
        };
        let Refreshed {
            mut discovered,
            mut failures,
            mut good,
            changed,
            directories,
        } = match tokio::task::spawn_blocking(refresh).await {
            Ok(refreshed) => refreshed,
            Err(failure) => {
                tracing::error!(%failure, "looking at client files failed by itself; it will be tried again, please report this");
                return;
            }
        };
        self.directories = directories.unwrap_or(std::mem::take(&mut self.directories));
        let plan = discovered.as_ref().map(|discovered| {
            let clients: Vec<_> = discovered.fleets.iter().map(Fleet::len).collect();
            Plan::new(&config, self.environment.shard, &clients)
        });
        match (&mut discovered, plan) {
            (Some(discovered), Some(Ok(plan))) => {
                let fleets = std::mem::take(&mut discovered.fleets);
                self.states = self.swap(fleets, &plan).await;
                self.record_sources(discovered);
                self.warn(&discovered.warnings);
            }
            (_, Some(Err(problems))) => {
                good.retain(|name| !changed.contains(name));
                failures.extend(changed.into_iter().map(|name| Failure {
                    name,
                    problems: problems.clone(),
                }));
            }
            _ => {}
        }
        self.failed(&failures);
        self.source_metrics
            .read(&good, self.environment.clock.now());
        self.mark_healthy(|name| good.contains(name));
    }

    /// The states of these fleets. What is known of an instance that stays, stays.
    async fn swap(&self, fleets: Vec<Fleet>, plan: &Plan) -> Vec<Arc<InstanceState>> {
        let before = self.states.clone();
        let stale_after: Vec<_> = plan
            .instances
            .iter()
            .map(|instance| instance.stale_after)
            .collect();
        // Carrying over what is known of a million clients takes a moment.
        let swap = move || {
            let state = |(fleet, stale_after): (Fleet, Duration)| {
                let Some(state) = before.iter().find(|state| state.id() == fleet.instance()) else {
                    return Arc::new(InstanceState::new(fleet, stale_after));
                };
                state.record(|stats| stats.stale_after = stale_after);
                let current = state.fleet();
                if *current != fleet {
                    tracing::info!(instance_id = %state.id(), clients = fleet.len(), before = current.len(), "the clients have changed");
                    state.swap(fleet);
                }
                Arc::clone(state)
            };
            fleets.into_iter().zip(stale_after).map(state).collect()
        };
        tokio::task::spawn_blocking(swap)
            .await
            .expect("swapping fleets does not panic")
    }

    /// Counts failures of sources, and speaks of those that are new.
    fn failed(&mut self, failures: &[Failure]) {
        self.source_metrics.failed(failures);
        for Failure { name, problems } in failures {
            self.bad.insert(Arc::clone(name));
            let problems = problems.to_string();
            let key = (Arc::clone(name), problems.clone());
            if let Some(suppressed) = self.failures.record(key, Instant::now()) {
                tracing::error!(source = %name, "{problems}; the previous content stays in use{suppressed}");
            }
        }
    }

    /// Those sources are as they should be, or are no sources any more.
    fn mark_healthy(&mut self, good: impl Fn(&Arc<str>) -> bool) {
        self.failures.clear(Instant::now(), |(name, _)| good(name));
        for source in self.bad.iter().filter(|name| good(name)) {
            tracing::info!(%source, "the source of clients fails no more");
        }
        self.bad.retain(|name| !good(name));
    }

    /// Gives the warnings that were not given yet.
    fn warn(&mut self, warnings: &[Problem]) {
        for warning in warnings {
            let text = warning.to_string();
            if self.warned.insert(text) {
                tracing::warn!("{warning}");
            }
        }
    }
}

fn urls(config: &Config) -> impl Iterator<Item = &ClientUrl> {
    config
        .instances
        .iter()
        .flat_map(|instance| &instance.client_urls)
}

/// What is to be swept.
pub(super) fn subjects(
    config: &Config,
    states: &[Arc<InstanceState>],
    api_clients: &ApiClients,
) -> Vec<SweepConfig> {
    let instances = config.instances.iter().zip(states).zip(api_clients.iter());
    let subject =
        |((instance, state), source): ((&Instance, &Arc<InstanceState>), _)| SweepConfig {
            state: Arc::clone(state),
            source,
            account: instance.credentials.account.clone(),
            calls_per_second: instance.calls_per_second,
        };
    instances.map(subject).collect()
}
