//! Every metric of the exporter, declared once.
//!
//! `docs/metrics.md` is the same table for people, and a test compares the two.

use super::Metric;

const CLIENT: &[&str] = &["client_id", "group_id", "instance_id"];
const GROUP: &[&str] = &["group_id", "instance_id"];
const INSTANCE: &[&str] = &["instance_id"];
const INSTANCE_OPERATION: &[&str] = &["instance_id", "operation"];
const OPERATION: &[&str] = &["operation"];
const LAYER: &[&str] = &["layer", "operation"];
const SOURCE: &[&str] = &["source"];

/// Which clients there are.
pub const CLIENT_INFO: Metric = Metric::gauge(
    "mqtt_presence_client_info",
    "Always 1, for each client of the fleet, whatever is known of it; carries its configured labels.",
)
.labels(CLIENT)
.with_configured_labels();

/// Which of them are online.
pub const CLIENT_ONLINE: Metric = Metric::gauge(
    "mqtt_presence_client_online",
    "Whether the API said that the client is connected: 1 online, 0 offline. Absent while its status is unknown.",
)
.labels(CLIENT)
.with_configured_labels();

/// How old the knowledge about a client is.
pub const CLIENT_LAST_OBSERVATION_TIMESTAMP_SECONDS: Metric = Metric::gauge(
    "mqtt_presence_client_last_observation_timestamp_seconds",
    "When the API gave its newest answer about the client, in seconds since the Unix epoch by this host's clock. \
     Absent while its status is unknown.",
)
.unit("seconds")
.labels(CLIENT);

/// How long a client has been what it is.
pub const CLIENT_STATUS_SINCE_TIMESTAMP_SECONDS: Metric = Metric::gauge(
    "mqtt_presence_client_status_since_timestamp_seconds",
    "When the first of the latest equal answers about the client was given, in seconds since the Unix epoch by this \
     host's clock; starts anew after a restart or an unknown status. Absent while its status is unknown.",
)
.unit("seconds")
.labels(CLIENT);

/// Counts of clients.
pub const CLIENTS: Metric = Metric::gauge(
    "mqtt_presence_clients",
    "How many devices of a group are online, offline or unknown; the three add up to the fleet.",
)
.labels(&["group_id", "instance_id", "status"]);

/// Changes to online.
pub const CONNECTS_TOTAL: Metric = Metric::counter(
    "mqtt_presence_connects_total",
    "How often a client of the group was seen online after it had been seen offline, also across an unknown in between.",
)
.labels(GROUP);

/// Changes to offline.
pub const DISCONNECTS_TOTAL: Metric = Metric::counter(
    "mqtt_presence_disconnects_total",
    "How often a client of the group was seen offline after it had been seen online, also across an unknown in between.",
)
.labels(GROUP);

/// Whether the API works for us.
pub const API_UP: Metric = Metric::gauge(
    "mqtt_presence_api_up",
    "Whether the newest finished call reached the service and was authorised: 1 yes, 0 no. \
     Absent until a call has finished.",
)
.labels(INSTANCE);

/// Calls made.
pub const API_REQUESTS_TOTAL: Metric = Metric::counter(
    "mqtt_presence_api_requests_total",
    "Calls sent to the service, retries included.",
)
.labels(INSTANCE_OPERATION);

/// Calls that failed.
pub const API_ERRORS_TOTAL: Metric = Metric::counter(
    "mqtt_presence_api_errors_total",
    "Calls that failed, by the service's error code or by what went wrong on the way; codes not listed in the \
     documentation count as \"other\".",
)
.labels(&["instance_id", "operation", "code"]);

/// How long calls take.
pub const API_REQUEST_DURATION_SECONDS: Metric = Metric::histogram(
    "mqtt_presence_api_request_duration_seconds",
    "How long one call took, in seconds, each attempt by itself and without the wait for its permit; one bound is \
     the call timeout that was configured at start.",
)
.unit("seconds")
.labels(OPERATION);

/// Calls made again.
pub const API_RETRIES_TOTAL: Metric = Metric::counter(
    "mqtt_presence_api_retries_total",
    "Calls that were made again after a failure.",
)
.labels(INSTANCE_OPERATION);

/// Clients that batches lack.
pub const CLIENTS_MISSING_TOTAL: Metric = Metric::counter(
    "mqtt_presence_clients_missing_total",
    "How often a client was asked for in a batch and the answer had nothing about it; it keeps its last status.",
)
.labels(INSTANCE);

/// What asking again showed.
pub const CONFIRMATIONS_TOTAL: Metric = Metric::counter(
    "mqtt_presence_confirmations_total",
    "Single calls about clients of which a batch said something new: confirmed, rejected (the service's cache was \
     stale) or failed.",
)
.labels(&["instance_id", "result"]);

/// The rates in force.
pub const LIMITER_CALLS_PER_SECOND: Metric = Metric::gauge(
    "mqtt_presence_limiter_calls_per_second",
    "The rate, in calls per second, that a layer of the limits allows right now; lower than configured after the \
     service throttled.",
)
.unit("calls_per_second")
.labels(LAYER);

/// What waiting for permits cost.
pub const LIMITER_WAIT_SECONDS_TOTAL: Metric = Metric::counter(
    "mqtt_presence_limiter_wait_seconds_total",
    "How many seconds calls waited for a permit, counted for the layer of the limits that held them back last.",
)
.unit("seconds")
.labels(LAYER);

/// What the configuration spends.
pub const PROJECTED_CALLS_PER_SECOND: Metric = Metric::gauge(
    "mqtt_presence_projected_calls_per_second",
    "How many calls per second this configuration comes to at the pace at which it is scraped or polled. \
     Absent until that pace is known.",
)
.unit("calls_per_second")
.labels(INSTANCE_OPERATION);

/// What may be spent.
pub const QUOTA_CALLS_PER_SECOND: Metric = Metric::gauge(
    "mqtt_presence_quota_calls_per_second",
    "How many calls per second this process may make, as configured, over all instances.",
)
.unit("calls_per_second")
.labels(OPERATION);

/// Sweeps that ended.
pub const SWEEPS_TOTAL: Metric = Metric::counter(
    "mqtt_presence_sweeps_total",
    "Passes over the clients of an instance that ended: complete (an answer for each client), incomplete, or stopped \
     (given up because calling on made no sense).",
)
.labels(&["instance_id", "result"]);

/// How long a sweep takes.
pub const SWEEP_DURATION_SECONDS: Metric = Metric::gauge(
    "mqtt_presence_sweep_duration_seconds",
    "How long the newest pass over the clients took, in seconds. Absent until one has ended.",
)
.unit("seconds")
.labels(INSTANCE);

/// When the last sweep ended.
pub const SWEEP_LAST_END_TIMESTAMP_SECONDS: Metric = Metric::gauge(
    "mqtt_presence_sweep_last_end_timestamp_seconds",
    "When the newest pass over the clients ended, in seconds since the Unix epoch by this host's clock. \
     Absent until one has ended.",
)
.unit("seconds")
.labels(INSTANCE);

/// How much of the fleet a sweep reached.
pub const SWEEP_COVERAGE_RATIO: Metric = Metric::gauge(
    "mqtt_presence_sweep_coverage_ratio",
    "The ratio of clients that the newest pass had an answer for, from 0 to 1. Absent until one has ended.",
)
.unit("ratio")
.labels(INSTANCE);

/// How old an observation may get.
pub const STALE_AFTER_SECONDS: Metric = Metric::gauge(
    "mqtt_presence_stale_after_seconds",
    "How many seconds old an answer may get before its client counts as unknown.",
)
.unit("seconds")
.labels(INSTANCE);

/// How far the clocks are apart.
pub const CLOCK_OFFSET_SECONDS: Metric = Metric::gauge(
    "mqtt_presence_clock_offset_seconds",
    "The service's clock minus this host's, in seconds, as corrected for in requests; 0 while no call was refused for \
     its time.",
)
.unit("seconds")
.labels(INSTANCE);

/// When credentials stop working.
pub const CREDENTIAL_EXPIRY_TIMESTAMP_SECONDS: Metric = Metric::gauge(
    "mqtt_presence_credential_expiry_timestamp_seconds",
    "When the temporary access key in use stops working, in seconds since the Unix epoch by this host's clock; it is \
     renewed before. Absent for keys that do not expire, and until one was fetched.",
)
.unit("seconds")
.labels(&["credentials"]);

/// How often credentials were fetched.
pub const CREDENTIAL_REFRESHES_TOTAL: Metric = Metric::counter(
    "mqtt_presence_credential_refreshes_total",
    "How often an access key was read or fetched anew, by whether that worked: success or failure; what is valid \
     stays in use after a failure.",
)
.labels(&["credentials", "result"]);

/// Scrapes that did not wait for their sweep.
pub const SCRAPES_INCOMPLETE_TOTAL: Metric = Metric::counter(
    "mqtt_presence_scrapes_incomplete_total",
    "Scrapes that were answered with what was known before their sweep had ended, which is normal for long sweeps.",
);

/// Whether the configuration in force is the one in the file.
pub const CONFIG_LAST_RELOAD_SUCCESSFUL: Metric = Metric::gauge(
    "mqtt_presence_config_last_reload_successful",
    "Whether the newest attempt to load the configuration succeeded: 1 yes, 0 no.",
);

/// Since when it is in force.
pub const CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS: Metric = Metric::gauge(
    "mqtt_presence_config_last_reload_success_timestamp_seconds",
    "When the configuration was loaded with success for the last time, in seconds since the Unix epoch.",
)
.unit("seconds");

/// Whether the web configuration in force is the one in the file.
pub const WEB_CONFIG_LAST_RELOAD_SUCCESSFUL: Metric = Metric::gauge(
    "mqtt_presence_web_config_last_reload_successful",
    "Whether the newest attempt to load the file of --web.config.file, and those that it names, succeeded: 1 yes, \
     0 no, and what was loaded before is in force; 1 where there is no such file.",
);

/// Since when it is in force.
pub const WEB_CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS: Metric = Metric::gauge(
    "mqtt_presence_web_config_last_reload_success_timestamp_seconds",
    "When the file of --web.config.file was loaded with success for the last time, in seconds since the Unix epoch; \
     0 where there is no such file.",
)
.unit("seconds");

/// What a source of clients gave.
pub const DISCOVERY_CLIENTS: Metric = Metric::gauge(
    "mqtt_presence_discovery_clients",
    "How many client IDs the source gave when it was last read.",
)
.labels(SOURCE);

/// Reads of a source that failed.
pub const DISCOVERY_FAILURES_TOTAL: Metric = Metric::counter(
    "mqtt_presence_discovery_failures_total",
    "How often the source could not be read, or not be understood; its last good content stays in use.",
)
.labels(SOURCE);

/// When a source last worked.
pub const DISCOVERY_LAST_SUCCESS_TIMESTAMP_SECONDS: Metric = Metric::gauge(
    "mqtt_presence_discovery_last_success_timestamp_seconds",
    "When the source was last read with success, in seconds since the Unix epoch; 0 until then.",
)
.unit("seconds")
.labels(SOURCE);

/// Which part of the clients this process asks for.
pub const SHARD: Metric = Metric::gauge(
    "mqtt_presence_shard",
    "Which of the processes that share the clients between them this one is, counted from 0.",
);

/// How many parts there are.
pub const SHARDS: Metric = Metric::gauge(
    "mqtt_presence_shards",
    "How many processes share the clients between them, as configured.",
);

/// Which exporter this is.
pub const BUILD_INFO: Metric = Metric::gauge(
    "mqtt_presence_build_info",
    "Always 1; its labels say which version of the exporter this is, and from which revision of its source it was built.",
)
.labels(&["version", "revision"]);

/// Processor time of this process.
pub const PROCESS_CPU_SECONDS_TOTAL: Metric = Metric::counter(
    "process_cpu_seconds_total",
    "Total user and system CPU time spent in seconds.",
)
.unit("seconds");

/// Open files of this process.
pub const PROCESS_OPEN_FDS: Metric =
    Metric::gauge("process_open_fds", "Number of open file descriptors.");

/// How many files it may open.
pub const PROCESS_MAX_FDS: Metric = Metric::gauge(
    "process_max_fds",
    "Maximum number of open file descriptors.",
);

/// Address space of this process.
pub const PROCESS_VIRTUAL_MEMORY_BYTES: Metric = Metric::gauge(
    "process_virtual_memory_bytes",
    "Virtual memory size in bytes.",
)
.unit("bytes");

/// How much address space it may have.
pub const PROCESS_VIRTUAL_MEMORY_MAX_BYTES: Metric = Metric::gauge(
    "process_virtual_memory_max_bytes",
    "Maximum amount of virtual memory available in bytes.",
)
.unit("bytes");

/// Memory of this process.
pub const PROCESS_RESIDENT_MEMORY_BYTES: Metric = Metric::gauge(
    "process_resident_memory_bytes",
    "Resident memory size in bytes.",
)
.unit("bytes");

/// When this process began.
pub const PROCESS_START_TIME_SECONDS: Metric = Metric::gauge(
    "process_start_time_seconds",
    "Start time of the process since unix epoch in seconds.",
)
.unit("seconds");

/// Threads of this process.
pub const PROCESS_THREADS: Metric =
    Metric::gauge("process_threads", "Number of OS threads in the process.");

/// Whether a probe found out what it was to find out.
pub const PROBE_SUCCESS: Metric = Metric::gauge(
    "probe_success",
    "Whether the API said if the client is connected: 1 yes, 0 no, and then there is no status.",
);

/// How long a probe took.
pub const PROBE_DURATION_SECONDS: Metric = Metric::gauge(
    "probe_duration_seconds",
    "How many seconds the probe took, waiting for the limits on calls included.",
)
.unit("seconds");

/// Those that stand on `/probe`, beside [`CLIENT_ONLINE`], and nowhere else.
pub const PROBE: &[&Metric] = &[&PROBE_SUCCESS, &PROBE_DURATION_SECONDS];

/// All that stand on `/metrics`.
pub const ALL: &[&Metric] = &[
    &CLIENT_INFO,
    &CLIENT_ONLINE,
    &CLIENT_LAST_OBSERVATION_TIMESTAMP_SECONDS,
    &CLIENT_STATUS_SINCE_TIMESTAMP_SECONDS,
    &CLIENTS,
    &CONNECTS_TOTAL,
    &DISCONNECTS_TOTAL,
    &API_UP,
    &SWEEPS_TOTAL,
    &SWEEP_DURATION_SECONDS,
    &SWEEP_LAST_END_TIMESTAMP_SECONDS,
    &SWEEP_COVERAGE_RATIO,
    &STALE_AFTER_SECONDS,
    &CLOCK_OFFSET_SECONDS,
    &API_REQUESTS_TOTAL,
    &API_ERRORS_TOTAL,
    &API_REQUEST_DURATION_SECONDS,
    &API_RETRIES_TOTAL,
    &CLIENTS_MISSING_TOTAL,
    &CONFIRMATIONS_TOTAL,
    &LIMITER_CALLS_PER_SECOND,
    &LIMITER_WAIT_SECONDS_TOTAL,
    &PROJECTED_CALLS_PER_SECOND,
    &QUOTA_CALLS_PER_SECOND,
    &CREDENTIAL_EXPIRY_TIMESTAMP_SECONDS,
    &CREDENTIAL_REFRESHES_TOTAL,
    &SCRAPES_INCOMPLETE_TOTAL,
    &CONFIG_LAST_RELOAD_SUCCESSFUL,
    &CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS,
    &WEB_CONFIG_LAST_RELOAD_SUCCESSFUL,
    &WEB_CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS,
    &DISCOVERY_CLIENTS,
    &DISCOVERY_FAILURES_TOTAL,
    &DISCOVERY_LAST_SUCCESS_TIMESTAMP_SECONDS,
    &SHARD,
    &SHARDS,
    &BUILD_INFO,
    &PROCESS_CPU_SECONDS_TOTAL,
    &PROCESS_OPEN_FDS,
    &PROCESS_MAX_FDS,
    &PROCESS_VIRTUAL_MEMORY_BYTES,
    &PROCESS_VIRTUAL_MEMORY_MAX_BYTES,
    &PROCESS_RESIDENT_MEMORY_BYTES,
    &PROCESS_START_TIME_SECONDS,
    &PROCESS_THREADS,
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::telemetry::MetricKind;

    #[test]
    fn names_follow_the_conventions_and_each_is_declared_once() {
        let mut names = HashSet::new();
        for Metric {
            name, kind, unit, ..
        } in ALL.iter().chain(PROBE)
        {
            assert!(names.insert(*name), "{name} is declared twice");
            assert!(
                ["mqtt_presence_", "process_", "probe_"]
                    .iter()
                    .any(|prefix| name.starts_with(prefix)),
                "{name}"
            );
            assert_eq!(
                *kind == MetricKind::Counter,
                name.ends_with("_total"),
                "{name}"
            );
            assert!(
                name.trim_end_matches("_total").ends_with(unit),
                "{name} does not carry its unit"
            );
        }
    }

    #[test]
    fn a_help_is_sentences_that_tell_the_unit_and_do_not_repeat_the_name() {
        for Metric {
            name, help, unit, ..
        } in ALL.iter().chain(PROBE)
        {
            assert!(
                help.ends_with('.') && !help.contains('\n') && !help.contains("  "),
                "{name}: {help}"
            );
            assert!(
                help.contains(&unit.replace('_', " ")),
                "{name} does not say {unit}"
            );
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
