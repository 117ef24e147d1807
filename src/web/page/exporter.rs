//! The state of this process, from its metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::Gauge;
use prometheus::core::Collector;

use super::format::{ago, number, rate, span};
use crate::clock::Timestamp;
use crate::config::{Config, Mode, Query};
use crate::telemetry::{Metrics, Sample, samples};

/// A line of the page.
pub(super) struct Fact {
    pub(super) about: &'static str,
    pub(super) text: String,
    /// Whether it needs attention.
    pub(super) is_bad: bool,
}

impl Fact {
    fn new(about: &'static str, is_bad: bool, text: String) -> Self {
        Self {
            about,
            text,
            is_bad,
        }
    }
}

/// All lines at `now`.
pub(super) fn facts(metrics: &Metrics, config: &Config, now: Timestamp) -> Vec<Fact> {
    let mut facts = vec![queries(config)];
    facts.extend(calls(metrics));
    facts.extend(throttling(metrics));
    facts.push(errors(metrics));
    facts.extend(credentials(metrics, now));
    facts.extend(reload(
        "Configuration",
        &metrics.config_last_reload_successful,
        &metrics.config_last_reload_success_timestamp_seconds,
        now,
    ));
    facts.extend(reload(
        "Web configuration",
        &metrics.web_config_last_reload_successful,
        &metrics.web_config_last_reload_success_timestamp_seconds,
        now,
    ));
    facts.extend(discovery(metrics, now));
    facts.extend(shard(metrics));
    facts
}

fn queries(config: &Config) -> Fact {
    let collect = &config.collect;
    let query = match collect.query {
        Query::Single => "single queries",
        Query::Batch => "batch queries, changes confirmed by single queries",
    };
    let text = match collect.mode {
        Mode::Scrape => {
            let max_age = span(collect.max_age);
            format!("on scrape; results up to {max_age} old are reused; {query}")
        }
        Mode::Poll => format!(
            "continuously, a sweep in {}; {query}",
            span(collect.interval)
        ),
    };
    Fact::new("Queries", false, text)
}

/// The sum of the series `of` a family.
fn sum(family: &impl Collector, of: impl Fn(&Sample) -> bool) -> f64 {
    let samples = samples(family).into_iter().filter(of);
    // The sum of no floats is minus zero.
    samples.fold(0.0, |sum, sample| sum + sample.value)
}

/// The calls of each operation, and their limit.
fn calls(metrics: &Metrics) -> impl Iterator<Item = Fact> {
    let fact = |limit: Sample| {
        let operation = limit.label("operation");
        let of = |sample: &Sample| sample.label("operation") == operation;
        let projected = sum(&metrics.projected_calls_per_second, of);
        let total = whole(sum(&metrics.api_requests_total, of));
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
        let text = format!(
            "limit {} calls/s; {current}; {total} calls since start",
            rate(limit.value)
        );
        Fact::new(about, projected > limit.value, text)
    };
    samples(&metrics.quota_calls_per_second)
        .into_iter()
        .map(fact)
}

/// Layers whose rate in force is below the limit because the API throttled.
fn throttling(metrics: &Metrics) -> Option<Fact> {
    let limits = samples(&metrics.quota_calls_per_second);
    let is_slow = |layer: &Sample| {
        let operation = layer.label("operation");
        let mut limits = limits.iter();
        let limit = limits.find(|limit| limit.label("operation") == operation);
        layer.label("layer") != "instance"
            && limit.is_some_and(|limit| layer.value < 0.99 * limit.value)
    };
    let layers = samples(&metrics.limiter_calls_per_second).into_iter();
    let slow = layers.filter(is_slow).map(|slow| {
        let labels = ["layer", "name", "operation"].map(|name| slow.label(name));
        let labels: Vec<_> = labels.into_iter().filter(|it| !it.is_empty()).collect();
        format!("{} at {} calls/s", labels.join(" "), rate(slow.value))
    });
    let slow: Vec<_> = slow.collect();
    (!slow.is_empty()).then(|| Fact::new("Throttled by the API", true, slow.join(", ")))
}

/// The most frequent error codes.
fn errors(metrics: &Metrics) -> Fact {
    let mut codes = BTreeMap::<String, f64>::new();
    for errors in samples(&metrics.api_errors_total) {
        *codes.entry(errors.label("code").to_owned()).or_default() += errors.value;
    }
    codes.retain(|_, count| *count > 0.0);
    let mut codes: Vec<_> = codes.into_iter().collect();
    codes.sort_by(|a, b| b.1.total_cmp(&a.1));
    let most = codes.iter().take(5);
    let most: Vec<_> = most
        .map(|(code, count)| format!("{code} {}", whole(*count)))
        .collect();
    let text = if most.is_empty() {
        "none".to_owned()
    } else {
        most.join(", ")
    };
    Fact::new("Failed calls since start", false, text)
}

fn credentials(metrics: &Metrics, now: Timestamp) -> impl Iterator<Item = Fact> {
    let expiries = samples(&metrics.credential_expiry_timestamp_seconds);
    expiries.into_iter().map(move |expiry| {
        let name = expiry.label("credentials");
        let left = timestamp(expiry.value).since(now);
        let text = if left.is_zero() {
            format!("{name}: expired")
        } else {
            format!("{name}: expire in {}, renewed before", span(left))
        };
        Fact::new("Credentials", left.is_zero(), text)
    })
}

fn reload(
    about: &'static str,
    successful: &Gauge,
    success_timestamp: &Gauge,
    now: Timestamp,
) -> Option<Fact> {
    // Without a file, there is nothing to load.
    let last = time_since(success_timestamp.get(), now)?;
    let failed = successful.get() == 0.0;
    let text = if failed {
        format!("last reload failed, see the log; in effect is the version loaded {last}")
    } else {
        format!("loaded {last}")
    };
    Some(Fact::new(about, failed, text))
}

fn discovery(metrics: &Metrics, now: Timestamp) -> impl Iterator<Item = Fact> {
    let sources = samples(&metrics.discovery_clients).into_iter();
    sources.map(move |clients| {
        let source = clients.label("source");
        let of = |sample: &Sample| sample.label("source") == source;
        let failures = sum(&metrics.discovery_failures_total, of);
        let success = sum(&metrics.discovery_last_success_timestamp_seconds, of);
        let success = time_since(success, now);
        let mut text = format!("{source}: {} devices, ", whole(clients.value));
        match &success {
            Some(ago) => text.extend(["read ", ago]),
            None => text.push_str("never read successfully, see the log"),
        }
        if failures > 0.0 {
            text.extend(["; ", &whole(failures), " failures since start"]);
        }
        Fact::new("Source", success.is_none(), text)
    })
}

fn shard(metrics: &Metrics) -> Option<Fact> {
    let info = samples(&metrics.shard_info).pop()?;
    let (shard, shards) = (info.label("shard"), info.label("shards"));
    let text = format!("{shard} of {shards}, counted from 0");
    (shards != "1").then(|| Fact::new("Shard", false, text))
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
