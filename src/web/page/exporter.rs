//! How the exporter itself fares, by its own metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::proto::MetricFamily;

use super::format::{When, number, rate, span};
use crate::clock::Timestamp;
use crate::config::{Config, Mode, Query};
use crate::telemetry::{Metric, Metrics, table};

/// One thing that is to be said, and whether it wants a look.
pub(super) struct Fact {
    pub(super) about: &'static str,
    pub(super) what: String,
    pub(super) is_bad: bool,
}

impl Fact {
    fn fine(about: &'static str, what: impl Into<String>) -> Self {
        Self {
            about,
            what: what.into(),
            is_bad: false,
        }
    }

    fn bad(about: &'static str, what: impl Into<String>) -> Self {
        Self {
            is_bad: true,
            ..Self::fine(about, what)
        }
    }
}

/// What there is to say at `now`.
pub(super) fn facts(metrics: &Metrics, config: &Config, now: Timestamp) -> Vec<Fact> {
    let own = Own {
        families: metrics.gather(),
        now,
    };
    let mut facts = vec![sweeping(config)];
    facts.extend(own.calls());
    facts.extend(own.throttling());
    facts.push(own.errors());
    facts.extend(own.credentials());
    facts.extend(own.reload("Configuration", CONFIG));
    facts.extend(own.reload("TLS and users", WEB_CONFIG));
    facts.extend(own.discovery());
    facts.extend(own.shard());
    facts
}

fn sweeping(config: &Config) -> Fact {
    let asked = match config.collect.query {
        Query::Single => "one by one",
        Query::Batch => "in batches, each change confirmed",
    };
    let when = match config.collect.mode {
        Mode::Scrape => format!(
            "when scraped, and younger than {} is young enough",
            span(config.collect.max_age)
        ),
        Mode::Poll => format!(
            "all the time, everybody once in {}",
            span(config.collect.interval)
        ),
    };
    Fact::fine("Devices are asked for", format!("{when}; {asked}"))
}

/// Whether the last reload worked, and when one last did.
const CONFIG: [&Metric; 2] = [
    &table::CONFIG_LAST_RELOAD_SUCCESSFUL,
    &table::CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS,
];
const WEB_CONFIG: [&Metric; 2] = [
    &table::WEB_CONFIG_LAST_RELOAD_SUCCESSFUL,
    &table::WEB_CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS,
];

struct Own {
    families: Vec<MetricFamily>,
    now: Timestamp,
}

/// A sample: the values of its labels, in the order of their names, and its own.
type Sample = (Vec<String>, f64);

impl Own {
    fn samples(&self, metric: &Metric) -> Vec<Sample> {
        let family = self
            .families
            .iter()
            .find(|family| family.name() == metric.name);
        let sample = |one: &prometheus::proto::Metric| {
            let labels = one
                .get_label()
                .iter()
                .map(|label| label.value().to_owned())
                .collect();
            (
                labels,
                one.get_gauge().get_value() + one.get_counter().get_value(),
            )
        };
        family
            .into_iter()
            .flat_map(MetricFamily::get_metric)
            .map(sample)
            .collect()
    }

    fn sum(&self, metric: &Metric, of: impl Fn(&[String]) -> bool) -> f64 {
        let values = self
            .samples(metric)
            .into_iter()
            .filter(|(labels, _)| of(labels))
            .map(|(_, value)| value);
        // The sum of no floats is minus zero.
        values.fold(0.0, |sum, value| sum + value)
    }

    /// How long ago it was that a gauge tells the time of; `None` where it was never.
    fn ago(&self, seconds: f64) -> Option<String> {
        (seconds > 0.0).then(|| When::new(timestamp(seconds), self.now).ago)
    }

    /// By operation, what is spent of the quota.
    fn calls(&self) -> Vec<Fact> {
        let quotas = self.samples(&table::QUOTA_CALLS_PER_SECOND);
        let fact = |(labels, quota): &Sample| {
            let operation = &labels[0];
            let spent = self.sum(&table::PROJECTED_CALLS_PER_SECOND, |labels| {
                labels.contains(operation)
            });
            let so_far = self.sum(&table::API_REQUESTS_TOTAL, |labels| {
                labels.contains(operation)
            });
            let (may, so_far) = (rate(*quota), whole(so_far));
            let text = if spent > 0.0 {
                format!(
                    "{} a second of {may} that may be spent; {so_far} so far",
                    rate(spent)
                )
            } else {
                format!(
                    "{may} a second may be spent, how many are is not known yet; {so_far} so far"
                )
            };
            let about = if operation.starts_with("Batch") {
                "Batch calls"
            } else {
                "Single calls"
            };
            if spent > *quota {
                Fact::bad(about, text)
            } else {
                Fact::fine(about, text)
            }
        };
        quotas.iter().map(fact).collect()
    }

    /// Layers that are slower than the quota of their operation because the vendor throttled.
    fn throttling(&self) -> Option<Fact> {
        let quotas = self.samples(&table::QUOTA_CALLS_PER_SECOND);
        let slow = self
            .samples(&table::LIMITER_CALLS_PER_SECOND)
            .into_iter()
            .filter(|(labels, rate)| {
                let is_whole = |layer: &str| layer == "egress" || layer.starts_with("account/");
                let quota = quotas
                    .iter()
                    .find(|(operation, _)| labels.contains(&operation[0]));
                labels.iter().any(|label| is_whole(label))
                    && quota.is_some_and(|(_, quota)| *rate < 0.99 * quota)
            });
        let slow: Vec<_> = slow
            .map(|(labels, now)| format!("{} at {} calls/s", labels.join(" "), rate(now)))
            .collect();
        (!slow.is_empty()).then(|| Fact::bad("Throttled by the vendor", slow.join(", ")))
    }

    fn errors(&self) -> Fact {
        let mut codes = BTreeMap::<String, f64>::new();
        for (labels, count) in self.samples(&table::API_ERRORS_TOTAL) {
            // The labels are in the order of their names: code, instance_id, operation.
            *codes.entry(labels[0].clone()).or_default() += count;
        }
        let mut codes: Vec<_> = codes
            .into_iter()
            .filter(|(_, count)| *count > 0.0)
            .collect();
        codes.sort_by(|a, b| b.1.total_cmp(&a.1));
        let most: Vec<_> = codes
            .iter()
            .take(5)
            .map(|(code, count)| format!("{code} {}", whole(*count)))
            .collect();
        Fact::fine(
            "Failed calls so far",
            if most.is_empty() {
                "none".to_owned()
            } else {
                most.join(", ")
            },
        )
    }

    fn credentials(&self) -> Vec<Fact> {
        let expiries = self.samples(&table::CREDENTIAL_EXPIRY_TIMESTAMP_SECONDS);
        let fact = |(labels, expiry): &Sample| match timestamp(*expiry).since(self.now) {
            left if left.is_zero() => Fact::bad("Credentials", format!("{}: expired", labels[0])),
            left => Fact::fine(
                "Credentials",
                format!("{}: renewed in time, expire in {}", labels[0], span(left)),
            ),
        };
        expiries.iter().map(fact).collect()
    }

    fn reload(
        &self,
        about: &'static str,
        [successful, success_timestamp]: [&Metric; 2],
    ) -> Option<Fact> {
        let (_, good) = self.samples(successful).into_iter().next()?;
        // Without a file for it, there is nothing to load, and never was.
        let last = self
            .samples(success_timestamp)
            .first()
            .and_then(|(_, seconds)| self.ago(*seconds))?;
        Some(if good > 0.0 {
            Fact::fine(about, format!("loaded {last}"))
        } else {
            Fact::bad(
                about,
                format!("the last reload failed, see the log; in effect is what was loaded {last}"),
            )
        })
    }

    fn discovery(&self) -> Vec<Fact> {
        let worked = self.samples(&table::DISCOVERY_LAST_SUCCESS_TIMESTAMP_SECONDS);
        let fact = |(labels, clients): &Sample| {
            let failures = self.sum(&table::DISCOVERY_FAILURES_TOTAL, |of| of == labels);
            let seconds = worked
                .iter()
                .find(|(of, _)| of == labels)
                .map_or(0.0, |(_, seconds)| *seconds);
            let text = format!("{}: {} devices", labels[0], whole(*clients));
            match self.ago(seconds) {
                Some(ago) if failures > 0.0 => Fact::fine(
                    "Source",
                    format!("{text}, read {ago}; {} failures so far", whole(failures)),
                ),
                Some(ago) => Fact::fine("Source", format!("{text}, read {ago}")),
                None => Fact::bad("Source", format!("{text}; it never worked, see the log")),
            }
        };
        self.samples(&table::DISCOVERY_CLIENTS)
            .iter()
            .map(fact)
            .collect()
    }

    fn shard(&self) -> Option<Fact> {
        let [shard, shards] =
            [&table::SHARD, &table::SHARDS].map(|metric| self.sum(metric, |_| true));
        (shards > 1.0).then(|| Fact::fine("Shard", format!("{shard} of {shards}, counted from 0")))
    }
}

fn timestamp(seconds: f64) -> Timestamp {
    let since_epoch = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// A count, which `prometheus` keeps as a float.
fn whole(count: f64) -> String {
    number(format_args!("{count:.0}"))
}
