//! The exporter itself: a configuration made into sources, states, sweeps and routes.

use std::sync::Arc;

use anyhow::Context as _;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::aliyun::credentials::Provider;
use crate::aliyun::{self, Client, ClientOptions};
use crate::clock::Clock;
use crate::config::{self, Address, Config, Env, Instance};
use crate::discovery::Discovered;
use crate::net;
use crate::presence::{InstanceState, Operation};
use crate::sweep::plan::Plan;
use crate::sweep::{Gate, Quotas, Random, Subject, Sweeps, Tools};
use crate::telemetry::Metrics;
use crate::web::{self, Readiness, Web};

/// What the exporter takes from the world outside of its configuration.
#[derive(Clone, Debug)]
pub struct World {
    /// The environment variables.
    pub env: Env,
    /// Wall time.
    pub clock: Clock,
    /// Random numbers.
    pub random: Random,
}

impl World {
    /// The real one, with these environment variables.
    ///
    /// # Panics
    /// When jitter is needed and the operating system has no random numbers.
    #[must_use]
    pub fn real(env: Env) -> Self {
        let random = Random::new(|| getrandom::u64().expect("the operating system has random numbers"));
        Self { env, clock: Clock::system(), random }
    }
}

/// A configured exporter; nothing is asked and nothing served before [`Exporter::run`].
#[derive(Debug)]
pub struct Exporter {
    sweeps: Arc<Sweeps>,
    metrics: Arc<Metrics>,
    config: Config,
}

/// How long making a connection may take, as a part of the time that a call may take.
const CONNECT_PART: u32 = 2;

impl Exporter {
    /// The exporter that `config` describes, with the clients that were `discovered` for it.
    pub fn new(config: Config, discovered: Discovered, world: &World) -> Result<Self, Failure> {
        let clients: Vec<_> = discovered.fleets.iter().map(crate::presence::Fleet::len).collect();
        let plan = Plan::new(&config, &clients).map_err(|problems| Failure::Usage(problems.to_string()))?;
        let metrics = Arc::new(Metrics::new(config.collect.call_timeout));
        describe(&metrics, &config, &plan, &discovered, world.clock);
        let endpoints = config.instances.iter().map(|instance| endpoint(&config, instance));
        let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
        let connect_timeout = config.collect.call_timeout / CONNECT_PART;
        let http = net::client::client(&endpoints, config.api.ca_file.as_deref(), connect_timeout)
            .map_err(|error| Failure::Usage(format!("cannot set up HTTPS: {error}")))?;
        let mut providers = Providers { made: Vec::new(), env: &world.env };
        let mut subjects = Vec::new();
        let instances = config.instances.iter().zip(endpoints).zip(discovered.fleets).zip(&plan.instances);
        for (((instance, endpoint), fleet), plan) in instances {
            let options = ClientOptions {
                instance: instance.id.clone(),
                endpoint,
                signature: config.api.signature,
                call_timeout: config.collect.call_timeout,
            };
            let credentials = providers.of(&instance.credentials.provider);
            subjects.push(Subject {
                state: Arc::new(InstanceState::new(fleet, plan.stale_after)),
                source: Arc::new(Client::new(http.clone(), credentials, world.clock, options)),
                account: instance.credentials.account.clone(),
                calls_per_second: instance.calls_per_second,
            });
        }
        let tools = Tools {
            gate: Arc::new(Gate::new(Quotas::serve(&config))),
            metrics: Arc::clone(&metrics),
            clock: world.clock,
            random: world.random.clone(),
        };
        let sweeps = Arc::new(Sweeps::new(subjects, &config.collect, tools));
        Ok(Self { sweeps, metrics, config })
    }

    /// Serves on `listeners` until `shutdown`; then no connection is accepted, requests in flight
    /// are answered, sweeps end, and it returns, after five seconds at most.
    pub async fn run(
        self,
        options: web::Options,
        listeners: Vec<TcpListener>,
        shutdown: CancellationToken,
    ) -> Result<(), Failure> {
        let Self { sweeps, metrics, config } = self;
        let readiness = Readiness::starting();
        let options = web::Options {
            scrape_timeout: config.collect.scrape_timeout,
            per_client: config.exposition.per_client,
            ..options
        };
        let shown: Arc<str> = config::render(&config).into();
        let web = Web {
            options,
            sweeps: Arc::clone(&sweeps),
            metrics,
            readiness: readiness.clone(),
            config: Arc::new(move || shown.to_string()),
        };
        let router = web.router().map_err(|error| Failure::Usage(error.to_string()))?;
        sweeps.start();
        readiness.ready();
        let draining = shutdown.clone();
        let drain = tokio::spawn(async move {
            draining.cancelled().await;
            readiness.draining();
        });
        net::serve(listeners, TowerToHyperService::new(router), net::ServeOptions::default(), shutdown).await;
        drain.await.context("the shutdown was not announced")?;
        sweeps.stop().await;
        Ok(())
    }
}

/// The metrics that a configuration alone decides.
fn describe(metrics: &Metrics, config: &Config, plan: &Plan, discovered: &Discovered, clock: Clock) {
    let now = clock.now().as_seconds();
    let operations = [Operation::Single].map(aliyun::operation_name);
    for instance in &config.instances {
        metrics.touch_instance(instance.id.as_str(), &operations, aliyun::ERROR_LABELS);
    }
    let single = aliyun::operation_name(Operation::Single);
    metrics.quota_calls_per_second.with_label_values(&[single]).set(plan.rates.single);
    for source in &discovered.sources {
        let name = source.to_string();
        metrics.discovery_clients.with_label_values(&[&name]).add(i64::try_from(source.clients).unwrap_or(i64::MAX));
        metrics.discovery_last_success_timestamp_seconds.with_label_values(&[&name]).set(now);
        let _ = metrics.discovery_failures.with_label_values(&[&name]);
    }
    metrics.config_last_reload_successful.set(1);
    metrics.config_last_reload_success_timestamp_seconds.set(now);
}

fn endpoint(config: &Config, instance: &Instance) -> Result<reqwest::Url, Failure> {
    match &instance.address {
        Address::Endpoint { url, .. } => Ok(url.clone()),
        Address::Region(region) => aliyun::endpoint(region, config.api.network)
            .map_err(|error| Failure::Usage(format!("instance {}: {error}", instance.id))),
    }
}

/// One provider for all instances whose credentials are configured alike.
struct Providers<'a> {
    made: Vec<(config::Provider, Arc<Provider>)>,
    env: &'a Env,
}

impl Providers<'_> {
    fn of(&mut self, config: &config::Provider) -> Arc<Provider> {
        if let Some((_, made)) = self.made.iter().find(|(known, _)| known == config) {
            return Arc::clone(made);
        }
        let provider = Arc::new(Provider::new(config, self.env));
        self.made.push((config.clone(), Arc::clone(&provider)));
        provider
    }
}
