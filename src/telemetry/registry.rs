//! The metrics that the exporter keeps about its own work.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::proto::MetricFamily;
use prometheus::{
    CounterVec, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::{Metric, table};

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The revision of the source that this build was made from, as the environment variable
/// `MQTT_PRESENCE_REVISION` gave it to the compiler; empty where it did not, which Prometheus
/// takes for an absent label.
pub const REVISION: &str = match option_env!("MQTT_PRESENCE_REVISION") {
    Some(revision) => revision,
    None => "",
};

/// The values of the label `result` of [`table::CONFIRMATIONS_TOTAL`].
pub const CONFIRMATION_RESULTS: [&str; 3] = ["confirmed", "rejected", "failed"];

/// The exporter's own metrics, in a registry of their own.
///
/// The fields are named like the metrics in [`table`], which says what they mean and which labels
/// they have, in the order in which the values are given here.
pub struct Metrics {
    registry: Registry,
    /// [`table::API_REQUESTS_TOTAL`].
    pub api_requests: IntCounterVec,
    /// [`table::API_ERRORS_TOTAL`].
    pub api_errors: IntCounterVec,
    /// [`table::API_REQUEST_DURATION_SECONDS`].
    pub api_request_duration: HistogramVec,
    /// [`table::API_RETRIES_TOTAL`].
    pub api_retries: IntCounterVec,
    /// [`table::CLIENTS_MISSING_TOTAL`].
    pub clients_missing: IntCounterVec,
    /// [`table::CONFIRMATIONS_TOTAL`].
    pub confirmations: IntCounterVec,
    /// [`table::LIMITER_CALLS_PER_SECOND`].
    pub limiter_calls_per_second: GaugeVec,
    /// [`table::LIMITER_WAIT_SECONDS_TOTAL`].
    pub limiter_wait_seconds: CounterVec,
    /// [`table::PROJECTED_CALLS_PER_SECOND`].
    pub projected_calls_per_second: GaugeVec,
    /// [`table::QUOTA_CALLS_PER_SECOND`].
    pub quota_calls_per_second: GaugeVec,
    /// [`table::CREDENTIAL_EXPIRY_TIMESTAMP_SECONDS`].
    pub credential_expiry_timestamp_seconds: GaugeVec,
    /// [`table::CREDENTIAL_REFRESHES_TOTAL`].
    pub credential_refreshes: IntCounterVec,
    /// [`table::SCRAPES_INCOMPLETE_TOTAL`].
    pub scrapes_incomplete: IntCounter,
    /// [`table::CONFIG_LAST_RELOAD_SUCCESSFUL`].
    pub config_last_reload_successful: IntGauge,
    /// [`table::CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS`].
    pub config_last_reload_success_timestamp_seconds: Gauge,
    /// [`table::WEB_CONFIG_LAST_RELOAD_SUCCESSFUL`].
    pub web_config_last_reload_successful: IntGauge,
    /// [`table::WEB_CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS`].
    pub web_config_last_reload_success_timestamp_seconds: Gauge,
    /// [`table::DISCOVERY_CLIENTS`].
    pub discovery_clients: IntGaugeVec,
    /// [`table::DISCOVERY_FAILURES_TOTAL`].
    pub discovery_failures: IntCounterVec,
    /// [`table::DISCOVERY_LAST_SUCCESS_TIMESTAMP_SECONDS`].
    pub discovery_last_success_timestamp_seconds: GaugeVec,
    /// [`table::SHARD`].
    pub shard: IntGauge,
    /// [`table::SHARDS`].
    pub shards: IntGauge,
}

impl Metrics {
    /// All of them, at zero where they have no labels. A call is given up after `call_timeout`.
    #[must_use]
    pub fn new(call_timeout: Duration) -> Self {
        let registry = Registry::new();
        let r = &registry;
        let duration = |opts: Opts, labels: &[&str]| {
            HistogramVec::new(
                HistogramOpts::from(opts).buckets(buckets(call_timeout)),
                labels,
            )
        };
        let web_config_last_reload_successful =
            register(r, &table::WEB_CONFIG_LAST_RELOAD_SUCCESSFUL, |opts, _| {
                IntGauge::with_opts(opts)
            });
        // Without such a file there is nothing that could have failed.
        web_config_last_reload_successful.set(1);
        register(r, &table::BUILD_INFO, IntGaugeVec::new)
            .with_label_values(&[VERSION, REVISION])
            .set(1);
        Self {
            api_requests: register(r, &table::API_REQUESTS_TOTAL, IntCounterVec::new),
            api_errors: register(r, &table::API_ERRORS_TOTAL, IntCounterVec::new),
            api_request_duration: register(r, &table::API_REQUEST_DURATION_SECONDS, duration),
            api_retries: register(r, &table::API_RETRIES_TOTAL, IntCounterVec::new),
            clients_missing: register(r, &table::CLIENTS_MISSING_TOTAL, IntCounterVec::new),
            confirmations: register(r, &table::CONFIRMATIONS_TOTAL, IntCounterVec::new),
            limiter_calls_per_second: register(r, &table::LIMITER_CALLS_PER_SECOND, GaugeVec::new),
            limiter_wait_seconds: register(r, &table::LIMITER_WAIT_SECONDS_TOTAL, CounterVec::new),
            projected_calls_per_second: register(
                r,
                &table::PROJECTED_CALLS_PER_SECOND,
                GaugeVec::new,
            ),
            quota_calls_per_second: register(r, &table::QUOTA_CALLS_PER_SECOND, GaugeVec::new),
            credential_expiry_timestamp_seconds: register(
                r,
                &table::CREDENTIAL_EXPIRY_TIMESTAMP_SECONDS,
                GaugeVec::new,
            ),
            credential_refreshes: register(
                r,
                &table::CREDENTIAL_REFRESHES_TOTAL,
                IntCounterVec::new,
            ),
            scrapes_incomplete: register(r, &table::SCRAPES_INCOMPLETE_TOTAL, |opts, _| {
                IntCounter::with_opts(opts)
            }),
            config_last_reload_successful: register(
                r,
                &table::CONFIG_LAST_RELOAD_SUCCESSFUL,
                |opts, _| IntGauge::with_opts(opts),
            ),
            config_last_reload_success_timestamp_seconds: register(
                r,
                &table::CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS,
                |opts, _| Gauge::with_opts(opts),
            ),
            web_config_last_reload_successful,
            web_config_last_reload_success_timestamp_seconds: register(
                r,
                &table::WEB_CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS,
                |opts, _| Gauge::with_opts(opts),
            ),
            discovery_clients: register(r, &table::DISCOVERY_CLIENTS, IntGaugeVec::new),
            discovery_failures: register(r, &table::DISCOVERY_FAILURES_TOTAL, IntCounterVec::new),
            discovery_last_success_timestamp_seconds: register(
                r,
                &table::DISCOVERY_LAST_SUCCESS_TIMESTAMP_SECONDS,
                GaugeVec::new,
            ),
            shard: register(r, &table::SHARD, |opts, _| IntGauge::with_opts(opts)),
            shards: register(r, &table::SHARDS, |opts, _| IntGauge::with_opts(opts)),
            registry,
        }
    }

    /// Creates the series of an instance, so that `rate()` sees the first call and the first
    /// error: all counters at zero, for each of `operations`, errors for each of `codes`.
    pub fn touch_instance(&self, instance_id: &str, operations: &[&str], codes: &[&str]) {
        for operation in operations {
            let _ = self
                .api_requests
                .with_label_values(&[instance_id, operation]);
            let _ = self
                .api_retries
                .with_label_values(&[instance_id, operation]);
            let _ = self.api_request_duration.with_label_values(&[operation]);
            for code in codes {
                let _ = self
                    .api_errors
                    .with_label_values(&[instance_id, operation, code]);
            }
        }
        let _ = self.clients_missing.with_label_values(&[instance_id]);
        for result in CONFIRMATION_RESULTS {
            let _ = self.confirmations.with_label_values(&[instance_id, result]);
        }
    }

    /// Removes every series of an instance. Whatever is counted for it afterwards creates some
    /// anew: call it when no call on the instance is left in flight.
    pub fn forget_instance(&self, instance_id: &str) {
        forget(&self.api_requests, "instance_id", instance_id);
        forget(&self.api_errors, "instance_id", instance_id);
        forget(&self.api_retries, "instance_id", instance_id);
        forget(&self.clients_missing, "instance_id", instance_id);
        forget(&self.confirmations, "instance_id", instance_id);
        forget(&self.projected_calls_per_second, "instance_id", instance_id);
    }

    /// Creates the counters of credentials, at zero.
    pub fn touch_credentials(&self, name: &str) {
        for result in ["success", "failure"] {
            let _ = self.credential_refreshes.with_label_values(&[name, result]);
        }
    }

    /// Removes every series of credentials that nobody uses any more.
    pub fn forget_credentials(&self, name: &str) {
        forget(
            &self.credential_expiry_timestamp_seconds,
            "credentials",
            name,
        );
        forget(&self.credential_refreshes, "credentials", name);
    }

    /// All of them, but for those of the process.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// All of them, and those of the process, in the text format 0.0.4.
    #[must_use]
    pub fn gather_text(&self) -> String {
        #[cfg_attr(
            not(target_os = "linux"),
            expect(unused_mut, reason = "only Linux has the process's own")
        )]
        let mut text = encode(&self.gather());
        #[cfg(target_os = "linux")]
        super::process::write(&mut text);
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Makes a collector of what the table says about `metric`, and puts it into `registry`.
fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: &Metric,
    make: impl FnOnce(Opts, &[&str]) -> prometheus::Result<C>,
) -> C {
    let collector = make(Opts::new(metric.name, metric.help), metric.labels)
        .expect("the table has valid names");
    registry
        .register(Box::new(collector.clone()))
        .expect("the table has each name once");
    collector
}

fn encode(families: &[MetricFamily]) -> String {
    TextEncoder
        .encode_to_string(families)
        .expect("the registry gathers no empty family")
}

/// Removes the series of `family` whose label `name` is `value`.
fn forget<T: MetricVecBuilder>(family: &MetricVec<T>, name: &str, value: &str) {
    for metric in family.collect().iter().flat_map(MetricFamily::get_metric) {
        let labels: HashMap<_, _> = metric
            .get_label()
            .iter()
            .map(|label| (label.name(), label.value()))
            .collect();
        if labels.get(name) == Some(&value) {
            // It fails only where the series is gone already.
            let _ = family.remove(&labels);
        }
    }
}

/// The usual steps from 5 ms on, and the call timeout as the last one: what lies above it was given up.
fn buckets(call_timeout: Duration) -> Vec<f64> {
    const STEPS: [f64; 12] = [
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ];
    let last = call_timeout.as_secs_f64();
    STEPS
        .into_iter()
        .filter(|&step| step < last)
        .chain([last])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        Metrics::new(Duration::from_secs(5))
    }

    #[test]
    fn the_series_of_an_instance_exist_at_zero_and_leave_with_it() {
        let metrics = metrics();
        metrics.touch_instance("post-cn-1", &["Query"], &["Throttling.User", "other"]);
        metrics.touch_instance("post-cn-2", &["Query"], &["other"]);
        metrics
            .projected_calls_per_second
            .with_label_values(&["post-cn-1", "Query"])
            .set(2.5);
        let text = metrics.gather_text();
        for series in [
            r#"mqtt_presence_api_requests_total{instance_id="post-cn-1",operation="Query"} 0"#,
            r#"mqtt_presence_api_retries_total{instance_id="post-cn-1",operation="Query"} 0"#,
            r#"mqtt_presence_api_errors_total{code="Throttling.User",instance_id="post-cn-1",operation="Query"} 0"#,
            r#"mqtt_presence_api_request_duration_seconds_count{operation="Query"} 0"#,
        ] {
            assert!(
                text.lines().any(|line| line == series),
                "{series} is not in\n{text}"
            );
        }
        metrics.forget_instance("post-cn-1");
        let text = metrics.gather_text();
        assert!(!text.contains("post-cn-1"), "{text}");
        assert!(text.contains("post-cn-2"), "{text}");
    }

    #[test]
    fn touching_an_instance_again_loses_no_count() {
        let metrics = metrics();
        metrics.touch_instance("post-cn-1", &["Query"], &[]);
        metrics
            .api_requests
            .with_label_values(&["post-cn-1", "Query"])
            .inc();
        metrics.touch_instance("post-cn-1", &["Query"], &[]);
        assert_eq!(
            metrics
                .api_requests
                .with_label_values(&["post-cn-1", "Query"])
                .get(),
            1
        );
    }

    #[test]
    fn the_call_timeout_is_the_last_bound() {
        assert_eq!(buckets(Duration::from_millis(5)), [0.005]);
        assert_eq!(
            buckets(Duration::from_millis(60)),
            [0.005, 0.01, 0.025, 0.05, 0.06]
        );
        assert_eq!(buckets(Duration::from_secs(5)).last(), Some(&5.0));
        assert_eq!(buckets(Duration::from_secs(60)).last(), Some(&60.0));
    }

    #[test]
    fn the_build_says_its_version() {
        let series = format!(
            "mqtt_presence_build_info{{revision=\"{REVISION}\",version=\"{VERSION}\"}} 1\n"
        );
        assert!(metrics().gather_text().contains(&series));
    }
}
