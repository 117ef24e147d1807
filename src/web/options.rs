//! The flags of the HTTP edge.

use std::time::Duration;

use axum::http::uri::Authority;
use clap::Parser;

/// The flags `--web.…` and `--timeout-offset`.
#[derive(Clone, Debug, PartialEq, Parser)]
pub struct WebOptions {
    /// Path of the metrics.
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics"
    )]
    pub telemetry_path: String,
    /// Prefix of all paths. Default: the path of --web.external-url.
    #[arg(long = "web.route-prefix", value_name = "PREFIX")]
    pub route_prefix: Option<String>,
    /// URL, or only its path, under which browsers reach the exporter, for example through a reverse
    /// proxy.
    #[arg(long = "web.external-url", value_name = "URL")]
    pub external_url: Option<String>,
    /// Host name of the exporter, next to that of --web.external-url; repeatable. If one is set, requests for other names with a dot are refused.
    #[arg(
        long = "web.allowed-hosts",
        value_name = "HOST",
        value_delimiter = ',',
        value_parser = host
    )]
    pub allowed_hosts: Vec<String>,
    /// Maximum number of concurrent scrapes, 0 for no limit; further scrapes receive status 503.
    #[arg(long = "web.max-requests", value_name = "N", default_value_t = 40)]
    pub max_requests: usize,
    /// Enable POST /-/reload, for every client that can reach the port.
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
    /// Seconds subtracted from the scrape timeout of Prometheus, so that the response arrives in time.
    #[arg(
        long = "timeout-offset",
        value_name = "SECONDS",
        default_value = "0.5",
        value_parser = timeout_offset
    )]
    pub timeout_offset: Duration,
}

/// Parses seconds; a day or more is an error.
fn timeout_offset(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| (0.0..86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or("must be a number of seconds, 0 or more")
}

/// Parses a host name.
fn host(text: &str) -> Result<String, &'static str> {
    let host = text.parse::<Authority>().ok();
    let host = host.filter(|host| host.host() == text);
    host.map(|_| text.to_owned())
        .ok_or("must be a host name, without scheme, port and path")
}

impl Default for WebOptions {
    /// The options of a command line without flags.
    fn default() -> Self {
        Self::try_parse_from([""; 0]).expect("every flag has a default")
    }
}
