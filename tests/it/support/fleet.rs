//! Instances of which something is known, and the HTTP edge in front of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::clock::{Clock, Moment, Timestamp};
use mqtt_presence_exporter::config::{Config, Quotas};
use mqtt_presence_exporter::presence::{
    FleetBuilder, InstanceId, InstanceState, LabelName, Observation, Operation, PresenceSource,
};
use mqtt_presence_exporter::random::Random;
use mqtt_presence_exporter::sweep::{Limiter, SweepConfig, SweepDeps, Sweeps};
use mqtt_presence_exporter::telemetry::Metrics;
use mqtt_presence_exporter::web::{Readiness, Web, WebOptions};

/// The time at which everything begins, by the exporter's clock, in seconds.
pub(crate) const NOW: u64 = 1_700_000_000;

/// A client of a fleet: its ID, its labels, and whether it was seen online so many seconds ago.
pub(crate) type Known<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<(bool, u64)>);

/// An instance with these clients.
pub(crate) fn instance(id: &str, clients: &[Known<'_>]) -> Arc<InstanceState> {
    let mut fleet = FleetBuilder::new(InstanceId::new(id).expect("not empty"));
    for (client, labels, _) in clients {
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| (LabelName::new(name).expect("a name"), *value))
            .collect();
        fleet
            .push(client, labels.iter().map(|(name, value)| (name, *value)))
            .expect("new");
    }
    let state = InstanceState::new(fleet.build(), Duration::from_secs(300));
    for (client, _, seen) in clients {
        if let Some((online, ago)) = *seen {
            let at = Moment::from_micros((NOW - ago) * 1_000_000);
            state.publish(
                client,
                Observation {
                    online,
                    at,
                    answered: at,
                    operation: Operation::Single,
                },
            );
        }
    }
    Arc::new(state)
}

/// The HTTP edge of an exporter of `instances`, all of which ask `source`, as the lines `more` of
/// its configuration want it.
pub(crate) fn web(
    instances: Vec<Arc<InstanceState>>,
    source: &Arc<dyn PresenceSource>,
    more: &str,
    options: WebOptions,
) -> Web {
    let config =
        format!("{more}\ninstances: [{{id: post-cn-1, region: cn-hangzhou, clients: []}}]");
    let config = Config::parse(config, Path::new("config.yaml"), &RULES)
        .expect("valid")
        .config;
    let subject = |state| SweepConfig {
        state,
        source: Arc::clone(source),
        account: None,
        place: "http://127.0.0.1".to_owned(),
        calls_per_second: 100,
    };
    let metrics = Arc::new(Metrics::new(Duration::from_secs(5)));
    let deps = SweepDeps {
        limiter: Arc::new(Limiter::new(Quotas::query(), &Random::new(|| 0))),
        metrics: Arc::clone(&metrics),
        clock: Clock::manual(Timestamp::from_millis(NOW * 1000)),
        random: Random::new(|| 0),
    };
    let subjects = instances.into_iter().map(subject).collect();
    Web {
        options,
        sweeps: Arc::new(Sweeps::new(subjects, &config.collect, deps)),
        metrics,
        readiness: Readiness::starting(),
        config: Arc::new(ArcSwap::from_pointee(config)),
        reload: None,
    }
}
