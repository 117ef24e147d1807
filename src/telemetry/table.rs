//! Every metric of the exporter, declared once: a doc comment is the help text, a field the name.
//!
//! `docs/metrics.md` is the same table for people, and a test compares the two.

use prometheus::{CounterVec, Gauge, GaugeVec, HistogramVec, IntCounter, IntCounterVec, Registry};

use super::metric::{Family, Metric, MetricKind, metric, registered, rendered};

rendered! {
    /// Metrics of devices and sweeps, which `exposition` renders from the state.
    pub static STATE: StateMetrics = "mqtt_presence_" {
        /// Always 1, one series for each client of the fleet, whatever its status; carries the
        /// configured labels.
        client_info: Gauge[client_id, group_id, instance_id].with_configured_labels(),
        /// 1 if the API reported the client as connected, 0 if not. Absent while the status is
        /// unknown.
        client_online: Gauge[client_id, group_id, instance_id].with_configured_labels(),
        /// Unix time in seconds, by the clock of this host, at which the call with the latest
        /// answer of the API about the client was sent. Absent while the status is unknown.
        client_last_observation_timestamp_seconds: Gauge[client_id, group_id, instance_id],
        /// Unix time in seconds, by the clock of this host, of the first of the latest equal
        /// answers about the client; starts again after a restart or an unknown status. Absent
        /// while the status is unknown.
        client_status_since_timestamp_seconds: Gauge[client_id, group_id, instance_id],
        /// Number of clients of the group that are online, offline or unknown; the sum is the
        /// fleet.
        clients: Gauge[group_id, instance_id, status],
        /// Changes of clients of the group from offline to online, with or without an unknown
        /// status in between.
        connects_total: Counter[group_id, instance_id],
        /// Changes of clients of the group from online to offline, with or without an unknown
        /// status in between.
        disconnects_total: Counter[group_id, instance_id],
        /// 1 if the latest finished call reached the API and was authorised, else 0. Absent until
        /// a call has finished.
        api_up: Gauge[instance_id],
        /// Finished sweeps of an instance, by result: complete (an answer for each client),
        /// incomplete, or stopped (given up because further calls could not succeed).
        sweeps_total: Counter[instance_id, result],
        /// Duration of the latest sweep, in seconds. Absent until a sweep has ended.
        sweep_duration_seconds: Gauge[instance_id],
        /// Unix time in seconds, by the clock of this host, of the end of the latest sweep. Absent
        /// until a sweep has ended.
        sweep_last_end_timestamp_seconds: Gauge[instance_id],
        /// The ratio of clients with an answer in the latest sweep, from 0 to 1. Absent until a
        /// sweep has ended.
        sweep_coverage_ratio: Gauge[instance_id],
        /// Age in seconds at which an observation expires and its client becomes unknown.
        stale_after_seconds: Gauge[instance_id],
        /// Clock of the API minus clock of this host, in seconds, as corrected in requests; 0
        /// until a call is refused for its timestamp.
        clock_offset_seconds: Gauge[instance_id],
    }
}

registered! {
    /// The metrics that the exporter counts about its own work, in a registry of their own.
    pub struct Metrics = "mqtt_presence_" {
        /// API calls answered with a result, which is what Alibaba Cloud bills.
        api_billed_calls_total: IntCounterVec[instance_id, operation],
        /// API calls sent, including retries.
        api_requests_total: IntCounterVec[instance_id, operation],
        /// Failed API calls, by error code of the API or by kind of transport error; a code that
        /// the documentation does not list counts as "other".
        api_errors_total: IntCounterVec[instance_id, operation, code],
        /// Duration of one API call in seconds, without the wait for its permit; each attempt
        /// counts separately. The last bucket bound is the call timeout configured at start.
        api_request_duration_seconds: HistogramVec[operation],
        /// API calls repeated after a failure.
        api_retries_total: IntCounterVec[instance_id, operation],
        /// Clients that were queried in a batch and missing in its answer; such a client keeps its
        /// last status.
        clients_missing_total: IntCounterVec[instance_id],
        /// Single calls that verify a new status from a batch, by result: confirmed, rejected (the
        /// cache of the batch operation was stale) or failed.
        confirmations_total: IntCounterVec[instance_id, result],
        /// Rate in force of a layer of the limits, in calls per second; lower than configured
        /// after throttling by the API. The name is that of the account or instance, empty for the
        /// egress IP.
        limiter_calls_per_second: GaugeVec[layer, name, operation],
        /// Time in seconds that calls waited for a permit, counted for the layer of the limits
        /// that held them back last.
        limiter_wait_seconds_total: CounterVec[layer, name, operation],
        /// API calls per second that this configuration needs at the current interval of scrapes
        /// or polls. Absent until that interval is known.
        projected_calls_per_second: GaugeVec[instance_id, operation],
        /// API calls per second that this process may make for all instances, as configured.
        quota_calls_per_second: GaugeVec[operation],
        /// Unix time in seconds, by the clock of this host, at which the temporary access key in
        /// use expires; it is renewed before. Absent for keys that do not expire, and until the
        /// first one is fetched.
        credential_expiry_timestamp_seconds: GaugeVec[credentials],
        /// Attempts to read or fetch an access key, by result: success or failure; after a failure
        /// a valid key stays in use.
        credential_refreshes_total: IntCounterVec[credentials, result],
        /// Scrapes answered before their sweep had ended, with the data known by then; normal for
        /// long sweeps.
        scrapes_incomplete_total: IntCounter[],
        /// 1 if the latest load of the configuration succeeded, else 0.
        config_last_reload_successful: Gauge[],
        /// Unix time in seconds of the latest successful load of the configuration.
        config_last_reload_success_timestamp_seconds: Gauge[],
        /// 1 if the latest load of the web configuration and of the files named in it succeeded,
        /// 0 if it failed and the previous one stays in use; 1 without a web configuration.
        web_config_last_reload_successful: Gauge[],
        /// Unix time in seconds of the latest successful load of the web configuration; 0 without
        /// one.
        web_config_last_reload_success_timestamp_seconds: Gauge[],
        /// Number of client IDs in the source when it was last read.
        discovery_clients: GaugeVec[source],
        /// Failed reads of the source; its last valid content stays in use.
        discovery_failures_total: IntCounterVec[source],
        /// Unix time in seconds of the latest successful read of the source; 0 before the first.
        discovery_last_success_timestamp_seconds: GaugeVec[source],
        /// Always 1; the labels are the shard of this process, counted from 0, and the number of
        /// shards.
        shard_info: GaugeVec[shard, shards],
        /// Always 1; the labels are the version of the exporter and the revision of its source.
        build_info: GaugeVec[version, revision],
    }
}

rendered! {
    /// Metrics of the process.
    pub static PROCESS: ProcessMetrics = "process_" {
        /// Total user and system CPU time spent in seconds.
        cpu_seconds_total: Counter[],
        /// Number of open file descriptors.
        open_fds: Gauge[],
        /// Maximum number of open file descriptors.
        max_fds: Gauge[],
        /// Virtual memory size in bytes.
        virtual_memory_bytes: Gauge[],
        /// Maximum amount of virtual memory available in bytes.
        virtual_memory_max_bytes: Gauge[],
        /// Resident memory size in bytes.
        resident_memory_bytes: Gauge[],
        /// Start time of the process since unix epoch in seconds.
        start_time_seconds: Gauge[],
        /// Number of OS threads in the process.
        threads: Gauge[],
    }
}

rendered! {
    /// Metrics of `/probe`, which also has [`client_online`](StateMetrics::client_online).
    pub static PROBE: ProbeMetrics = "probe_" {
        /// 1 if the probe returned a status, else 0.
        success: Gauge[],
        /// Duration of the probe in seconds, including its wait for the limits on calls.
        duration_seconds: Gauge[],
    }
}

/// All metrics on `/metrics`.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    let rendered = STATE.all().into_iter();
    rendered.chain(Metrics::DECLARED).chain(PROCESS.all())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The base unit in the name of a metric; empty for counts and flags.
    fn unit(metric: &Metric) -> &'static str {
        let name = metric.name.trim_end_matches("_total");
        let mut units = ["calls_per_second", "seconds", "bytes", "ratio"].into_iter();
        units.find(|unit| name.ends_with(unit)).unwrap_or_default()
    }

    #[test]
    fn names_follow_the_conventions_and_each_is_declared_once() {
        let mut names = std::collections::HashSet::new();
        for Metric { name, kind, .. } in all().chain(PROBE.all()) {
            assert!(names.insert(*name), "{name} is declared twice");
            assert_eq!(
                *kind == MetricKind::Counter,
                name.ends_with("_total"),
                "{name}"
            );
            for word in ["_ms", "_millis", "_minutes", "_kb", "_percent"] {
                assert!(!name.contains(word), "{name} is not in base units");
            }
        }
    }

    #[test]
    fn a_help_is_sentences_that_name_the_unit_and_do_not_repeat_the_name() {
        for metric in all().chain(PROBE.all()) {
            let Metric { name, help, .. } = metric;
            assert!(
                help.ends_with('.') && !help.contains(['\n', '\\']) && !help.contains("  "),
                "{name}: {help}"
            );
            let unit = unit(metric).replace('_', " ");
            assert!(help.contains(&unit), "{name} does not name {unit}");
            let words = name
                .trim_start_matches("mqtt_presence_")
                .trim_end_matches("_total")
                .replace('_', " ");
            assert!(
                name.starts_with("process_") || !help.to_lowercase().starts_with(&words),
                "{name}: {help}"
            );
        }
    }
}
