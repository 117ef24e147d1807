//! The registry of the metrics that the exporter counts about its own work.

use std::time::Duration;

use prometheus::core::{MetricVec, MetricVecBuilder};
use prometheus::{DEFAULT_BUCKETS, TextEncoder};

use super::table::Metrics;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The revision of the source of this build: the environment variable `MQTT_PRESENCE_REVISION` at
/// compile time, in release builds otherwise the commit (`build.rs`). Empty without either, which
/// Prometheus treats as an absent label.
pub const REVISION: &str = match option_env!("MQTT_PRESENCE_REVISION") {
    Some(revision) => revision,
    None => "",
};

/// The values of the label `result` of [`Metrics::confirmations_total`].
pub const CONFIRMATION_RESULTS: [&str; 3] = ["confirmed", "rejected", "failed"];

impl Metrics {
    /// All at zero. A call is given up after `call_timeout`.
    #[must_use]
    pub fn new(call_timeout: Duration) -> Self {
        let metrics = Self::register(&buckets(call_timeout));
        metrics.web_config_last_reload_successful.set(1.0);
        let build = metrics.build_info.with_label_values(&[VERSION, REVISION]);
        build.set(1.0);
        metrics
    }

    /// Creates the series of an instance at zero, so that `rate()` sees the first call and the
    /// first error: all counters for each of `operations`, errors for each of `codes`.
    pub fn touch_instance(&self, instance_id: &str, operations: &[&str], codes: &[&str]) {
        for operation in operations {
            touch(&self.api_billed_calls_total, &[instance_id, operation]);
            touch(&self.api_requests_total, &[instance_id, operation]);
            touch(&self.api_retries_total, &[instance_id, operation]);
            touch(&self.api_request_duration_seconds, &[operation]);
            for code in codes {
                touch(&self.api_errors_total, &[instance_id, operation, code]);
            }
        }
        touch(&self.clients_missing_total, &[instance_id]);
        for result in CONFIRMATION_RESULTS {
            touch(&self.confirmations_total, &[instance_id, result]);
        }
    }

    /// Creates the counters of credentials, at zero.
    pub fn touch_credentials(&self, name: &str) {
        for result in ["success", "failure"] {
            touch(&self.credential_refreshes_total, &[name, result]);
        }
    }

    /// Creates the series of a source of clients, at zero.
    pub fn touch_source(&self, name: &str) {
        touch(&self.discovery_clients, &[name]);
        touch(&self.discovery_failures_total, &[name]);
        touch(&self.discovery_last_success_timestamp_seconds, &[name]);
    }

    /// All of them, and those of the process, in the text format 0.0.4.
    #[must_use]
    pub fn gather_text(&self) -> String {
        let text = self.registered_text();
        #[cfg(target_os = "linux")]
        let text = text + &super::process::text();
        text
    }

    fn registered_text(&self) -> String {
        let text = TextEncoder.encode_to_string(&self.registry.gather());
        text.expect("the registry gathers no empty family")
    }
}

/// Creates a series at zero, unless it exists.
fn touch<T: MetricVecBuilder>(family: &MetricVec<T>, labels: &[&str]) {
    let _ = family.with_label_values(labels);
}

/// The usual bounds from 5 ms up, then the call timeout: a longer call was given up.
fn buckets(call_timeout: Duration) -> Vec<f64> {
    let last = call_timeout.as_secs_f64();
    let usual = DEFAULT_BUCKETS.iter().copied().chain([30.0]);
    let below = usual.filter(|&bound| bound < last);
    below.chain([last]).collect()
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
        metrics.remove_series("instance_id", "post-cn-1");
        let text = metrics.gather_text();
        assert!(!text.contains("post-cn-1"), "{text}");
        assert!(text.contains("post-cn-2"), "{text}");
    }

    #[test]
    fn touching_an_instance_again_loses_no_count() {
        let metrics = metrics();
        metrics.touch_instance("post-cn-1", &["Query"], &[]);
        metrics
            .api_requests_total
            .with_label_values(&["post-cn-1", "Query"])
            .inc();
        metrics.touch_instance("post-cn-1", &["Query"], &[]);
        assert_eq!(
            metrics
                .api_requests_total
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
    fn build_info_has_the_version() {
        let series = format!(
            "mqtt_presence_build_info{{revision=\"{REVISION}\",version=\"{VERSION}\"}} 1\n"
        );
        assert!(metrics().gather_text().contains(&series));
    }
}
