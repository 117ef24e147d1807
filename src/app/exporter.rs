//! The exporter itself: a configuration made into sources, states, sweeps and routes.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::CommandError;
use super::api_clients::{ApiClients, Transports};
use super::reloader::{Reloader, Runtime, subjects};
use crate::aliyun::{self, credentials};
use crate::clock::Clock;
use crate::config::{Config, Env, Quotas};
use crate::discovery::Discovered;
use crate::net;
use crate::planner::Plan;
use crate::presence::{Fleet, InstanceState, Operation, Shard};
use crate::random::Random;
use crate::sweep::{Limiter, SweepDeps, Sweeps};
use crate::telemetry::Metrics;
use crate::web::{self, ActiveWebConfig, Readiness, Reload, Web};

/// What the exporter takes from the world outside of its configuration.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The environment variables.
    pub env: Env,
    /// Wall time.
    pub clock: Clock,
    /// Random numbers.
    pub random: Random,
    /// Which part of the clients, and of every limit, is this process's.
    pub shard: Shard,
}

impl Environment {
    /// The real one, with these environment variables, where no other process has a shard.
    ///
    /// # Panics
    /// When jitter is needed and the operating system has no random numbers.
    #[must_use]
    pub fn real(env: Env) -> Self {
        let random =
            Random::new(|| getrandom::u64().expect("the operating system has random numbers"));
        Self {
            env,
            clock: Clock::system(),
            random,
            shard: Shard::WHOLE,
        }
    }
}

/// A configuration together with everything that it takes to put it in force, so that this
/// cannot fail any more.
pub(super) struct PreparedConfig {
    pub(super) config: Config,
    pub(super) discovered: Discovered,
    pub(super) plan: Plan,
    pub(super) transports: Transports,
}

impl PreparedConfig {
    /// Prepares `config` with the clients that were `discovered` for it. Requests travel as they
    /// did `before`, as far as nothing about that has changed.
    pub(super) fn new(
        config: Config,
        discovered: Discovered,
        before: &Transports,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        let clients: Vec<_> = discovered.fleets.iter().map(Fleet::len).collect();
        let plan = Plan::new(&config, environment.shard, &clients)
            .map_err(|problems| CommandError::Usage(problems.to_string()))?;
        let transports = before.next(&config)?;
        Ok(Self {
            config,
            discovered,
            plan,
            transports,
        })
    }
}

/// A configured exporter; nothing is asked and nothing served before [`Exporter::run`].
#[derive(Debug)]
pub struct Exporter {
    sweeps: Arc<Sweeps>,
    metrics: Arc<Metrics>,
    config: Arc<ArcSwap<Config>>,
    reloader: Reloader,
    hangup: Arc<Notify>,
    edge: Option<ActiveWebConfig>,
}

impl Exporter {
    /// The exporter that `config` describes, with the clients that were `discovered` for it.
    pub fn new(
        config: Config,
        discovered: Discovered,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        let quotas = Quotas::serve(&config, environment.shard);
        Self::within(quotas, config, discovered, environment)
    }

    /// The same, within other quotas.
    pub(super) fn within(
        quotas: Quotas,
        config: Config,
        discovered: Discovered,
        environment: &Environment,
    ) -> Result<Self, CommandError> {
        let prepared =
            PreparedConfig::new(config, discovered, &Transports::default(), environment)?;
        let PreparedConfig {
            config,
            mut discovered,
            plan,
            transports,
        } = prepared;
        let metrics = Arc::new(Metrics::new(config.collect.call_timeout));
        let mut api_clients = ApiClients::new(credentials::ProviderDeps {
            env: environment.env.clone(),
            clock: environment.clock,
            random: environment.random.clone(),
            metrics: Arc::clone(&metrics),
            signature: config.api.signature,
            ca_file: config.api.ca_file.clone(),
        });
        api_clients.set(&config, transports);
        set_config_metrics(&metrics, &config, &plan, environment);
        let fleets = std::mem::take(&mut discovered.fleets)
            .into_iter()
            .zip(&plan.instances);
        let states: Vec<_> = fleets
            .map(|(fleet, plan)| Arc::new(InstanceState::new(fleet, plan.stale_after)))
            .collect();
        let limiter = Arc::new(Limiter::new(quotas));
        let deps = SweepDeps {
            limiter: Arc::clone(&limiter),
            metrics: Arc::clone(&metrics),
            clock: environment.clock,
            random: environment.random.clone(),
        };
        let sweeps = Arc::new(Sweeps::new(
            subjects(&config, &states, &api_clients),
            &config.collect,
            deps,
        ));
        let config = Arc::new(ArcSwap::from_pointee(config));
        let running = Runtime {
            config: Arc::clone(&config),
            sweeps: Arc::clone(&sweeps),
            limiter,
            metrics: Arc::clone(&metrics),
            api_clients,
            states,
        };
        let reloader = Reloader::new(running, &discovered, environment.clone());
        Ok(Self {
            sweeps,
            metrics,
            config,
            reloader,
            hangup: Arc::default(),
            edge: None,
        })
    }

    /// Has the configuration reloaded from `file` whenever `hangup` is notified, and over HTTP
    /// where that is enabled.
    #[must_use]
    pub fn reloading(mut self, file: PathBuf, hangup: Arc<Notify>) -> Self {
        self.reloader.reload_from(file);
        self.hangup = hangup;
        self
    }

    /// Who asks the API.
    pub(super) fn sweeps(&self) -> &Sweeps {
        &self.sweeps
    }

    /// The same, behind `edge` where there is one.
    #[must_use]
    pub fn behind(self, edge: Option<ActiveWebConfig>) -> Self {
        Self { edge, ..self }
    }

    /// Serves on `listeners` until `shutdown`; then no connection is accepted, requests in flight
    /// are answered, sweeps end, and it returns, after five seconds at most.
    pub async fn run(
        self,
        options: web::WebOptions,
        listeners: Vec<TcpListener>,
        shutdown: CancellationToken,
    ) -> Result<(), CommandError> {
        let Self {
            sweeps,
            metrics,
            config,
            reloader,
            hangup,
            edge,
        } = self;
        let follow = edge
            .clone()
            .map(|edge| AbortOnDropHandle::new(tokio::spawn(edge.follow(Arc::clone(&metrics)))));
        let readiness = Readiness::starting();
        let (reload, requests) = Reload::channel();
        let web = Web {
            reload: options.enable_lifecycle.then_some(reload),
            options,
            sweeps: Arc::clone(&sweeps),
            metrics,
            readiness: readiness.clone(),
            config,
        };
        let router = web
            .router()
            .map_err(|error| CommandError::Usage(error.to_string()))?;
        let tls = edge.as_ref().and_then(ActiveWebConfig::tls);
        let router = match &edge {
            Some(edge) => edge.protect(router),
            None => router,
        };
        sweeps.start();
        let reloader = AbortOnDropHandle::new(tokio::spawn(reloader.run(hangup, requests)));
        readiness.ready();
        let draining = shutdown.clone();
        let drain = tokio::spawn(async move {
            draining.cancelled().await;
            readiness.draining();
        });
        let service = TowerToHyperService::new(router);
        net::serve_secured(
            listeners,
            tls,
            service,
            net::ServeOptions::default(),
            shutdown,
        )
        .await;
        drop(follow);
        drain.await.context("the shutdown was not announced")?;
        drop(reloader);
        sweeps.stop().await;
        Ok(())
    }
}

/// The metrics that a configuration alone decides.
pub(super) fn set_config_metrics(
    metrics: &Metrics,
    config: &Config,
    plan: &Plan,
    environment: &Environment,
) {
    let used = config.collect.query.operations();
    let operations: Vec<_> = used.iter().map(|&operation| operation.name()).collect();
    for instance in &config.instances {
        metrics.touch_instance(instance.id.as_str(), &operations, aliyun::ERROR_LABELS);
    }
    for unused in [Operation::Single, Operation::Batch]
        .into_iter()
        .filter(|one| !used.contains(one))
    {
        // It is there only where the configuration before used it.
        let _ = metrics
            .quota_calls_per_second
            .remove_label_values(&[unused.name()]);
    }
    for (&operation, name) in used.iter().zip(&operations) {
        metrics
            .quota_calls_per_second
            .with_label_values(&[name])
            .set(plan.quotas.rate(operation));
    }
    let shard = environment.shard;
    let labels = [shard.index(), shard.total()].map(|number| number.to_string());
    metrics.shard_info.with_label_values(&labels).set(1.0);
    metrics.config_last_reload_successful.set(1.0);
    metrics
        .config_last_reload_success_timestamp_seconds
        .set(environment.clock.now().as_seconds());
}
