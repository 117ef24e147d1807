//! The state of this process, from its metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::core::Collector;

use crate::clock::Timestamp;
use crate::config::Collect;
use crate::telemetry::{Metrics, Sample, samples};

/// The state of this process.
pub(super) struct ProcessState<'a> {
    pub(super) collect: &'a Collect,
    pub(super) calls: Vec<CallRate>,
    /// Layers whose rate in force is below the limit because the API throttled, and this rate.
    pub(super) throttled: Vec<(String, f64)>,
    /// The most frequent error codes, and the number of failed calls.
    pub(super) errors: Vec<(String, f64)>,
    /// Names of credentials, and the time until they expire.
    pub(super) credentials: Vec<(String, Duration)>,
    /// Files, whether the last reload of each succeeded, and the time of the version in effect;
    /// `None` without a file.
    pub(super) reloads: [(&'static str, bool, Option<Timestamp>); 2],
    pub(super) sources: Vec<SourceState>,
    /// The shard and the number of shards, if there are several.
    pub(super) shard: Option<Sample>,
}

/// The calls of an operation.
pub(super) struct CallRate {
    pub(super) about: &'static str,
    /// In calls a second, as the next.
    pub(super) limit: f64,
    /// 0 if it is not known yet.
    pub(super) projected: f64,
    pub(super) total: f64,
}

/// A source of clients.
pub(super) struct SourceState {
    pub(super) name: String,
    pub(super) clients: f64,
    pub(super) failures: f64,
    pub(super) last_success: Option<Timestamp>,
}

impl<'a> ProcessState<'a> {
    /// The state at `now`.
    pub(super) fn new(metrics: &Metrics, collect: &'a Collect, now: Timestamp) -> Self {
        let calls = samples(&metrics.quota_calls_per_second);
        let credentials = samples(&metrics.credential_expiry_timestamp_seconds);
        let sources = samples(&metrics.discovery_clients);
        let shards = samples(&metrics.shard_info).into_iter();
        Self {
            collect,
            calls: (calls.iter())
                .map(|limit| CallRate::new(limit, metrics))
                .collect(),
            throttled: throttled(metrics),
            errors: errors(metrics),
            credentials: (credentials.iter())
                .map(|expiry| {
                    let left = timestamp(expiry.value).map_or(Duration::ZERO, |at| at.since(now));
                    (expiry.label("credentials").to_owned(), left)
                })
                .collect(),
            reloads: [
                (
                    "Configuration",
                    metrics.config_last_reload_successful.get() != 0.0,
                    timestamp(metrics.config_last_reload_success_timestamp_seconds.get()),
                ),
                (
                    "Web configuration",
                    metrics.web_config_last_reload_successful.get() != 0.0,
                    timestamp(
                        metrics
                            .web_config_last_reload_success_timestamp_seconds
                            .get(),
                    ),
                ),
            ],
            sources: (sources.iter())
                .map(|clients| SourceState::new(clients, metrics))
                .collect(),
            shard: { shards }.find(|info| info.label("shards") != "1"),
        }
    }
}

impl CallRate {
    fn new(limit: &Sample, metrics: &Metrics) -> Self {
        let operation = limit.label("operation");
        Self {
            about: if operation.starts_with("Batch") {
                "Batch calls"
            } else {
                "Single calls"
            },
            limit: limit.value,
            projected: sum(&metrics.projected_calls_per_second, "operation", operation),
            total: sum(&metrics.api_requests_total, "operation", operation),
        }
    }
}

impl SourceState {
    fn new(clients: &Sample, metrics: &Metrics) -> Self {
        let source = clients.label("source");
        let success = &metrics.discovery_last_success_timestamp_seconds;
        Self {
            name: source.to_owned(),
            clients: clients.value,
            failures: sum(&metrics.discovery_failures_total, "source", source),
            last_success: timestamp(sum(success, "source", source)),
        }
    }
}

fn throttled(metrics: &Metrics) -> Vec<(String, f64)> {
    let mut throttled = Vec::new();
    for layer in samples(&metrics.limiter_calls_per_second) {
        let mut labels = ["layer", "name", "operation"]
            .map(|name| layer.label(name))
            .to_vec();
        let limit = sum(&metrics.quota_calls_per_second, "operation", labels[2]);
        if labels[0] != "instance" && layer.value < 0.99 * limit {
            labels.retain(|label| !label.is_empty());
            throttled.push((labels.join(" "), layer.value));
        }
    }
    throttled
}

fn errors(metrics: &Metrics) -> Vec<(String, f64)> {
    let mut codes = BTreeMap::<String, f64>::new();
    for errors in samples(&metrics.api_errors_total) {
        *codes.entry(errors.label("code").to_owned()).or_default() += errors.value;
    }
    let codes = codes.into_iter();
    let mut codes: Vec<_> = codes.filter(|(_, count)| *count > 0.0).collect();
    codes.sort_by(|a, b| b.1.total_cmp(&a.1));
    codes.truncate(5);
    codes
}

/// The sum of the series whose label `name` is `value`.
fn sum(family: &impl Collector, name: &str, value: &str) -> f64 {
    let samples = samples(family).into_iter();
    let samples = samples.filter(|sample| sample.label(name) == value);
    // The sum of no floats is minus zero.
    samples.fold(0.0, |sum, sample| sum + sample.value)
}

/// A timestamp in seconds; `None` for 0, which means never.
fn timestamp(seconds: f64) -> Option<Timestamp> {
    let since_epoch = Duration::try_from_secs_f64(seconds).ok();
    let millis = since_epoch.filter(|_| seconds > 0.0)?.as_millis();
    Some(Timestamp::from_millis(
        u64::try_from(millis).unwrap_or(u64::MAX),
    ))
}
