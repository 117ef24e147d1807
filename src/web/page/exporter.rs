//! How the exporter itself fares, by its own metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::Gauge;
use prometheus::core::Collector;

use super::format::{ago, number, rate, span};
use crate::clock::Timestamp;
use crate::config::{Config, Mode, Query};
use crate::telemetry::{Metrics, Sample, samples};

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
    let own = Own { metrics, now };
    let mut facts = vec![sweeping(config)];
    facts.extend(own.calls());
    facts.extend(own.throttling());
    facts.push(own.errors());
    facts.extend(own.credentials());
    facts.extend(own.reload(
        "Configuration",
        &metrics.config_last_reload_successful,
        &metrics.config_last_reload_success_timestamp_seconds,
    ));
    facts.extend(own.reload(
        "TLS and users",
        &metrics.web_config_last_reload_successful,
        &metrics.web_config_last_reload_success_timestamp_seconds,
    ));
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

struct Own<'a> {
    metrics: &'a Metrics,
    now: Timestamp,
}

/// The sum of the series `of` a family.
fn sum(family: &impl Collector, of: impl Fn(&Sample) -> bool) -> f64 {
    let samples = samples(family).into_iter().filter(of);
    // The sum of no floats is minus zero.
    samples.fold(0.0, |sum, sample| sum + sample.value)
}

impl Own<'_> {
    /// The time since a timestamp; `None` for 0, which means never.
    fn ago(&self, seconds: f64) -> Option<String> {
        (seconds > 0.0).then(|| ago(timestamp(seconds), self.now))
    }

    /// By operation, what is spent of the quota.
    fn calls(&self) -> Vec<Fact> {
        let fact = |quota: &Sample| {
            let operation = quota.label("operation");
            let of = |sample: &Sample| sample.label("operation") == operation;
            let spent = sum(&self.metrics.projected_calls_per_second, of);
            let so_far = sum(&self.metrics.api_requests_total, of);
            let (may, so_far) = (rate(quota.value), whole(so_far));
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
            if spent > quota.value {
                Fact::bad(about, text)
            } else {
                Fact::fine(about, text)
            }
        };
        let quotas = samples(&self.metrics.quota_calls_per_second);
        quotas.iter().map(fact).collect()
    }

    /// Layers that are slower than the quota of their operation because the vendor throttled.
    fn throttling(&self) -> Option<Fact> {
        let quotas = samples(&self.metrics.quota_calls_per_second);
        let is_slow = |layer: &Sample| {
            let operation = layer.label("operation");
            let mut quotas = quotas.iter();
            let quota = quotas.find(|quota| quota.label("operation") == operation);
            layer.label("layer") != "instance"
                && quota.is_some_and(|quota| layer.value < 0.99 * quota.value)
        };
        let layers = samples(&self.metrics.limiter_calls_per_second).into_iter();
        let slow: Vec<_> = layers
            .filter(is_slow)
            .map(|slow| {
                let labels = ["layer", "name", "operation"].map(|name| slow.label(name));
                let labels: Vec<_> = labels.into_iter().filter(|it| !it.is_empty()).collect();
                format!("{} at {} calls/s", labels.join(" "), rate(slow.value))
            })
            .collect();
        (!slow.is_empty()).then(|| Fact::bad("Throttled by the vendor", slow.join(", ")))
    }

    fn errors(&self) -> Fact {
        let mut codes = BTreeMap::<String, f64>::new();
        for errors in samples(&self.metrics.api_errors_total) {
            *codes.entry(errors.label("code").to_owned()).or_default() += errors.value;
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
        let fact = |expiry: &Sample| {
            let name = expiry.label("credentials");
            match timestamp(expiry.value).since(self.now) {
                left if left.is_zero() => Fact::bad("Credentials", format!("{name}: expired")),
                left => Fact::fine(
                    "Credentials",
                    format!("{name}: renewed in time, expire in {}", span(left)),
                ),
            }
        };
        let expiries = samples(&self.metrics.credential_expiry_timestamp_seconds);
        expiries.iter().map(fact).collect()
    }

    fn reload(
        &self,
        about: &'static str,
        successful: &Gauge,
        success_timestamp: &Gauge,
    ) -> Option<Fact> {
        // Without a file for it, there is nothing to load, and never was.
        let last = self.ago(success_timestamp.get())?;
        Some(if successful.get() > 0.0 {
            Fact::fine(about, format!("loaded {last}"))
        } else {
            Fact::bad(
                about,
                format!("the last reload failed, see the log; in effect is what was loaded {last}"),
            )
        })
    }

    fn discovery(&self) -> Vec<Fact> {
        let fact = |clients: &Sample| {
            let source = clients.label("source");
            let of = |sample: &Sample| sample.label("source") == source;
            let failures = sum(&self.metrics.discovery_failures_total, of);
            let seconds = sum(&self.metrics.discovery_last_success_timestamp_seconds, of);
            let text = format!("{source}: {} devices", whole(clients.value));
            match self.ago(seconds) {
                Some(ago) if failures > 0.0 => Fact::fine(
                    "Source",
                    format!("{text}, read {ago}; {} failures so far", whole(failures)),
                ),
                Some(ago) => Fact::fine("Source", format!("{text}, read {ago}")),
                None => Fact::bad("Source", format!("{text}; it never worked, see the log")),
            }
        };
        let sources = samples(&self.metrics.discovery_clients);
        sources.iter().map(fact).collect()
    }

    fn shard(&self) -> Option<Fact> {
        let info = samples(&self.metrics.shard_info).pop()?;
        let (shard, shards) = (info.label("shard"), info.label("shards"));
        (shards != "1").then(|| Fact::fine("Shard", format!("{shard} of {shards}, counted from 0")))
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
