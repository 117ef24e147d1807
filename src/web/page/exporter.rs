//! The state of this process, from its metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::Gauge;
use prometheus::core::Collector;

use super::format::{ago, number, rate, span};
use crate::clock::Timestamp;
use crate::config::{Config, Mode, Query};
use crate::telemetry::{Metrics, samples};

/// A line of the page.
pub(super) struct Fact {
    pub(super) about: &'static str,
    pub(super) text: String,
    /// Whether it needs attention.
    pub(super) is_bad: bool,
}

/// All lines at `now`.
pub(super) fn facts(metrics: &Metrics, config: &Config, now: Timestamp) -> Vec<Fact> {
    let mut facts = Facts(Vec::new());
    facts.add("Queries", false, queries(config));
    facts.add_calls(metrics);
    facts.add_throttling(metrics);
    facts.add("Failed calls since start", false, errors(metrics));
    facts.add_credentials(metrics, now);
    facts.add_reload(
        "Configuration",
        &metrics.config_last_reload_successful,
        &metrics.config_last_reload_success_timestamp_seconds,
        now,
    );
    facts.add_reload(
        "Web configuration",
        &metrics.web_config_last_reload_successful,
        &metrics.web_config_last_reload_success_timestamp_seconds,
        now,
    );
    facts.add_sources(metrics, now);
    facts.add_shard(metrics);
    facts.0
}

fn queries(config: &Config) -> String {
    let collect = &config.collect;
    let query = match collect.query {
        Query::Single => "single queries",
        Query::Batch => "batch queries, changes confirmed by single queries",
    };
    let (max_age, interval) = (span(collect.max_age), span(collect.interval));
    match collect.mode {
        Mode::Scrape => format!("on scrape; results up to {max_age} old are reused; {query}"),
        Mode::Poll => format!("continuously, a sweep in {interval}; {query}"),
    }
}

/// The most frequent error codes.
fn errors(metrics: &Metrics) -> String {
    let mut codes = BTreeMap::<String, f64>::new();
    for errors in samples(&metrics.api_errors_total) {
        *codes.entry(errors.label("code").to_owned()).or_default() += errors.value;
    }
    let mut codes: Vec<_> = codes.iter().filter(|(_, count)| **count > 0.0).collect();
    codes.sort_by(|a, b| b.1.total_cmp(a.1));
    let codes = codes.iter().take(5);
    let most: Vec<_> = codes
        .map(|(code, count)| format!("{code} {}", whole(**count)))
        .collect();
    match &*most {
        [] => "none".to_owned(),
        most => most.join(", "),
    }
}

struct Facts(Vec<Fact>);

impl Facts {
    fn add(&mut self, about: &'static str, is_bad: bool, text: String) {
        self.0.push(Fact {
            about,
            text,
            is_bad,
        });
    }

    /// The calls of each operation, and their limit.
    fn add_calls(&mut self, metrics: &Metrics) {
        for limit in samples(&metrics.quota_calls_per_second) {
            let operation = limit.label("operation");
            let projected = sum(&metrics.projected_calls_per_second, "operation", operation);
            let total = whole(sum(&metrics.api_requests_total, "operation", operation));
            let current = if projected > 0.0 {
                format!("{} calls/s", rate(projected))
            } else {
                "current rate not known yet".to_owned()
            };
            let about = if operation.starts_with("Batch") {
                "Batch calls"
            } else {
                "Single calls"
            };
            let allowed = rate(limit.value);
            let text = format!("limit {allowed} calls/s; {current}; {total} calls since start");
            self.add(about, projected > limit.value, text);
        }
    }

    /// Layers whose rate in force is below the limit because the API throttled.
    fn add_throttling(&mut self, metrics: &Metrics) {
        let mut slow = Vec::new();
        for layer in samples(&metrics.limiter_calls_per_second) {
            let mut labels = ["layer", "name", "operation"]
                .map(|name| layer.label(name))
                .to_vec();
            let limit = sum(&metrics.quota_calls_per_second, "operation", labels[2]);
            if labels[0] != "instance" && layer.value < 0.99 * limit {
                labels.retain(|label| !label.is_empty());
                slow.push(format!(
                    "{} at {} calls/s",
                    labels.join(" "),
                    rate(layer.value)
                ));
            }
        }
        if !slow.is_empty() {
            self.add("Throttled by the API", true, slow.join(", "));
        }
    }

    fn add_credentials(&mut self, metrics: &Metrics, now: Timestamp) {
        for expiry in samples(&metrics.credential_expiry_timestamp_seconds) {
            let name = expiry.label("credentials");
            let left = timestamp(expiry.value).since(now);
            let text = if left.is_zero() {
                format!("{name}: expired")
            } else {
                format!("{name}: expire in {}, renewed before", span(left))
            };
            self.add("Credentials", left.is_zero(), text);
        }
    }

    /// Nothing without a file: there is nothing to load.
    fn add_reload(
        &mut self,
        about: &'static str,
        successful: &Gauge,
        time: &Gauge,
        now: Timestamp,
    ) {
        let failed = successful.get() == 0.0;
        let what = if failed {
            "last reload failed, see the log; in effect is the version loaded"
        } else {
            "loaded"
        };
        if let Some(ago) = time_since(time.get(), now) {
            self.add(about, failed, format!("{what} {ago}"));
        }
    }

    fn add_sources(&mut self, metrics: &Metrics, now: Timestamp) {
        for clients in samples(&metrics.discovery_clients) {
            let source = clients.label("source");
            let failures = sum(&metrics.discovery_failures_total, "source", source);
            let success = &metrics.discovery_last_success_timestamp_seconds;
            let success = time_since(sum(success, "source", source), now);
            let read = match &success {
                Some(ago) => format!("read {ago}"),
                None => "never read successfully, see the log".to_owned(),
            };
            let failures = if failures > 0.0 {
                format!("; {} failures since start", whole(failures))
            } else {
                String::new()
            };
            let text = format!(
                "{source}: {} devices, {read}{failures}",
                whole(clients.value)
            );
            self.add("Source", success.is_none(), text);
        }
    }

    fn add_shard(&mut self, metrics: &Metrics) {
        for info in samples(&metrics.shard_info) {
            let (shard, shards) = (info.label("shard"), info.label("shards"));
            if shards != "1" {
                let text = format!("{shard} of {shards}, counted from 0");
                self.add("Shard", false, text);
            }
        }
    }
}

/// The sum of the series whose label `name` is `value`.
fn sum(family: &impl Collector, name: &str, value: &str) -> f64 {
    let samples = samples(family).into_iter();
    let samples = samples.filter(|sample| sample.label(name) == value);
    // The sum of no floats is minus zero.
    samples.fold(0.0, |sum, sample| sum + sample.value)
}

/// The time since a timestamp in seconds; `None` for 0, which means never.
fn time_since(seconds: f64, now: Timestamp) -> Option<String> {
    (seconds > 0.0).then(|| ago(timestamp(seconds), now))
}

fn timestamp(seconds: f64) -> Timestamp {
    let since_epoch = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// A count, which `prometheus` keeps as a float.
fn whole(count: f64) -> String {
    number(format_args!("{count:.0}"))
}
