//! The edge as flags want it.

use std::time::Duration;

/// What the flags `--web.…` and `--timeout-offset` say about the edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where the metrics are; `--web.telemetry-path`.
    pub telemetry_path: String,
    /// Below which path every endpoint is; `--web.route-prefix`. By default the path of
    /// [`Options::external_url`].
    pub route_prefix: Option<String>,
    /// Under which URL people reach the exporter, by way of a proxy for example;
    /// `--web.external-url`. A path alone will do.
    pub external_url: Option<String>,
    /// How many scrapes may be answered at once, 0 for any number; `--web.max-requests`.
    pub max_requests: usize,
    /// What is kept of a scrape's timeout for the way back; `--timeout-offset`.
    pub timeout_offset: Duration,
    /// Whether `/-/reload` reloads; `--web.enable-lifecycle`.
    pub enable_lifecycle: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            telemetry_path: "/metrics".to_owned(),
            route_prefix: None,
            external_url: None,
            max_requests: 40,
            timeout_offset: Duration::from_millis(500),
            enable_lifecycle: false,
        }
    }
}
