//! What runs in the exporter, and the one way to apply a configuration to it: a start and a reload
//! are the same [`Runtime::apply`].

use std::mem;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::api_clients::{ApiClients, Transport, transports};
use super::checked_config::CheckedConfig;
use super::client_sources::ClientSources;
use super::error::CommandError;
use crate::aliyun::{self, credentials::ProviderDeps};
use crate::clock::Clock;
use crate::config::{Config, Env};
use crate::net::Resolver;
use crate::planner::Plan;
use crate::presence::{Fleet, InstanceState, Operation, Shard};
use crate::random::Random;
use crate::sweep::{Limiter, SweepConfig, SweepDeps, Sweeps};
use crate::telemetry::Metrics;

/// What a command takes from its process, besides flags and files.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The environment variables.
    pub env: Env,
    /// Wall time.
    pub clock: Clock,
    /// Random numbers.
    pub random: Random,
    /// DNS.
    pub resolver: Resolver,
    /// The part of the clients, and of every limit, that belongs to this process.
    pub shard: Shard,
}

impl Environment {
    /// The environment of an unsharded process with these environment variables.
    ///
    /// # Panics
    /// When a random number is needed and the operating system has none.
    #[must_use]
    pub fn real(env: Env) -> Self {
        let random =
            Random::new(|| getrandom::u64().expect("the operating system has random numbers"));
        Self {
            env,
            clock: Clock::system(),
            random,
            resolver: Resolver::system(),
            shard: Shard::WHOLE,
        }
    }
}

/// Everything that a configuration changes.
#[derive(Debug)]
pub(super) struct Runtime {
    pub(super) environment: Environment,
    pub(super) config: Arc<ArcSwap<Config>>,
    pub(super) sweeps: Arc<Sweeps>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) sources: ClientSources,
    pub(super) api_clients: ApiClients,
    limiter: Arc<Limiter>,
    pub(super) states: Vec<Arc<InstanceState>>,
}

impl Runtime {
    /// A runtime to which `checked` is applied. No call is made before [`Sweeps::start`].
    pub(super) async fn start(
        checked: CheckedConfig,
        environment: Environment,
    ) -> Result<Self, CommandError> {
        let CheckedConfig { config, plan, .. } = &checked;
        let metrics = Arc::new(Metrics::new(config.collect.call_timeout));
        let limiter = Arc::new(Limiter::new(plan.quotas, &environment.random));
        let deps = SweepDeps {
            limiter: Arc::clone(&limiter),
            metrics: Arc::clone(&metrics),
            clock: environment.clock.clone(),
            random: environment.random.clone(),
        };
        let api_clients = ApiClients::new(ProviderDeps {
            env: environment.env.clone(),
            clock: environment.clock.clone(),
            random: environment.random.clone(),
            metrics: Arc::clone(&metrics),
            signature: config.api.signature,
            ca_file: config.api.ca_file.clone(),
            resolver: environment.resolver.clone(),
        });
        let transports = transports(config, &[], &environment.resolver)?;
        let mut runtime = Self {
            environment,
            sweeps: Arc::new(Sweeps::new(Vec::new(), &config.collect, deps)),
            config: Arc::new(ArcSwap::from_pointee(config.clone())),
            sources: ClientSources::new(Arc::clone(&metrics)),
            metrics,
            api_clients,
            limiter,
            states: Vec::new(),
        };
        runtime.apply(checked, transports).await;
        Ok(runtime)
    }

    /// Replaces the configuration in force by `checked`, for which `transports` were made. Instances, clients, connections and credentials that the
    /// new configuration keeps also keep their state.
    pub(super) async fn apply(&mut self, checked: CheckedConfig, transports: Vec<Transport>) {
        let CheckedConfig {
            config,
            mut discovered,
            plan,
            warnings,
        } = checked;
        self.limiter.reconfigure(plan.quotas);
        self.set_fleets(mem::take(&mut discovered.fleets), &plan)
            .await;
        let sources = self.api_clients.set(&config, transports);
        let instances = config.instances.iter().zip(&self.states);
        let sweeps = instances.zip(sources);
        let sweeps = sweeps.map(|((instance, state), (source, place))| SweepConfig {
            state: Arc::clone(state),
            source,
            account: instance.credentials.account.clone(),
            place,
            calls_per_second: instance.calls_per_second,
        });
        self.sweeps.replace(sweeps.collect(), &config.collect).await;
        self.set_config_metrics(&config, &plan);
        let now = self.environment.clock.now();
        self.sources.configure(&config, &discovered, now);
        self.sources.warn(&warnings);
        self.config.store(Arc::new(config));
    }

    /// Sets the fleet of each instance. An instance with a state keeps it, and so do the clients
    /// that were in its fleet.
    pub(super) async fn set_fleets(&mut self, fleets: Vec<Fleet>, plan: &Plan) {
        let before = mem::take(&mut self.states);
        let stale_after = plan.instances.iter().map(|instance| instance.stale_after);
        let fleets: Vec<_> = fleets.into_iter().zip(stale_after).collect();
        let states = fleets.into_iter().map(move |(fleet, stale_after)| {
            let Some(state) = before.iter().find(|state| state.id() == fleet.instance()) else {
                return Arc::new(InstanceState::new(fleet, stale_after));
            };
            state.record(|stats| stats.plan_stale_after(stale_after));
            let current = state.fleet();
            if *current != fleet {
                tracing::info!(instance_id = %state.id(), clients = fleet.len(), before = current.len(), "client list changed");
                state.swap(fleet);
            }
            Arc::clone(state)
        });
        // At a million clients, carrying over their state takes some 200 ms.
        self.states = tokio::task::spawn_blocking(|| states.collect())
            .await
            .expect("swapping fleets does not panic");
        self.sweeps.fleets_changed();
    }

    /// Sets the metrics that depend on the configuration only.
    fn set_config_metrics(&self, config: &Config, plan: &Plan) {
        let metrics = &self.metrics;
        let used = config.collect.query.operations();
        let operations: Vec<_> = used.iter().map(|&operation| operation.name()).collect();
        for instance in &config.instances {
            metrics.touch_instance(instance.id.as_str(), &operations, &aliyun::ERROR_LABELS);
        }
        let quota = &metrics.quota_calls_per_second;
        for operation in [Operation::Single, Operation::Batch] {
            if used.contains(&operation) {
                let rate = plan.quotas.rate(operation);
                quota.with_label_values(&[operation.name()]).set(rate);
            } else {
                // The series exists only if the previous configuration used the operation.
                let _ = quota.remove_label_values(&[operation.name()]);
            }
        }
        let shard = self.environment.shard;
        let labels = [shard.index(), shard.total()].map(|number| number.to_string());
        metrics.shard_info.with_label_values(&labels).set(1.0);
        metrics.config_last_reload_successful.set(1.0);
        metrics
            .config_last_reload_success_timestamp_seconds
            .set(self.environment.clock.now().as_seconds());
    }
}
