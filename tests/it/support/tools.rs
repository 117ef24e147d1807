//! What providers of credentials use, in a test.

use std::sync::Arc;
use std::time::Duration;

use mqtt_presence_exporter::aliyun::credentials::Tools;
use mqtt_presence_exporter::clock::Clock;
use mqtt_presence_exporter::config::{Env, Signature};
use mqtt_presence_exporter::random::Random;
use mqtt_presence_exporter::telemetry::Metrics;

/// Tools without chance, which find these environment variables.
pub(crate) fn tools(clock: Clock, env: &Env) -> Tools {
    Tools {
        env: env.clone(),
        clock,
        random: Random::new(|| 0),
        metrics: Arc::new(Metrics::new(Duration::from_secs(5))),
        signature: Signature::V3,
        ca_file: None,
    }
}
