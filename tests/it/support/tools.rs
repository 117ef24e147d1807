//! What providers of credentials use, in a test.

use std::sync::Arc;
use std::time::Duration;

use mqtt_presence_exporter::aliyun::credentials::ProviderDeps;
use mqtt_presence_exporter::clock::Clock;
use mqtt_presence_exporter::config::{Env, Signature};
use mqtt_presence_exporter::net::Resolver;
use mqtt_presence_exporter::random::Random;
use mqtt_presence_exporter::telemetry::Metrics;

/// Deterministic dependencies of a credential provider, with `env` as its environment.
pub(crate) fn tools(clock: Clock, env: &Env) -> ProviderDeps {
    ProviderDeps {
        env: env.clone(),
        clock,
        random: Random::new(|| 0),
        metrics: Arc::new(Metrics::new(Duration::from_secs(5))),
        signature: Signature::V3,
        ca_file: None,
        resolver: Resolver::system(),
    }
}
