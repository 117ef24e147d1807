//! The HTTP edge: routes, headers, deadlines of scrapes, compression, TLS and authentication.
//!
//! The rows below provide the contents. Nothing here calls the API: `/metrics` and `/probe` request
//! sweeps and probes, which decide about calls.

mod auth;
mod chunked;
mod clients;
mod encoding;
mod health;
mod metrics;
mod page;
mod paths;
mod probe;
mod query;
mod reload;
mod scrape_limits;
mod sd;
pub mod toolkit;
mod web_config;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, LOCATION, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use clap::Parser;

pub use health::Readiness;
pub use paths::PathError;
pub use reload::{Reload, ReloadOutcome, ReloadRequest};
pub use web_config::ActiveWebConfig;

use crate::config::{self, Config};
use crate::sweep::Sweeps;
use crate::telemetry::Metrics;
use paths::Prefix;
use query::SnapshotReader;
use scrape_limits::ScrapeLimits;

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

impl Default for WebOptions {
    /// The options of a command line without flags.
    fn default() -> Self {
        Self::try_parse_from([""; 0]).expect("every flag has a default")
    }
}

/// The HTTP edge and its sources.
#[derive(Clone)]
pub struct Web {
    /// The flags.
    pub options: WebOptions,
    /// The state of all instances.
    pub sweeps: Arc<Sweeps>,
    /// The metrics of this process.
    pub metrics: Arc<Metrics>,
    /// The state of `/-/ready`.
    pub readiness: Readiness,
    /// The configuration in effect, which a reload replaces.
    pub config: Arc<ArcSwap<Config>>,
    /// Requests reloads; `None` if `/-/reload` is disabled.
    pub reload: Option<Reload>,
}

impl Web {
    /// The routes, or an error that names an invalid flag.
    pub fn router(self) -> Result<Router, PathError> {
        let Self {
            options,
            sweeps,
            metrics,
            readiness,
            config,
            reload,
        } = self;
        let prefix = Prefix::new(
            options.external_url.as_deref(),
            options.route_prefix.as_deref(),
        )?;
        let telemetry_path = paths::telemetry(&options.telemetry_path)?;
        let reader = SnapshotReader::new(Arc::clone(&sweeps));
        let shown = Arc::clone(&config);
        let limits =
            |kind| ScrapeLimits::new(kind, options.max_requests, options.timeout_offset, &config);
        // Path, purpose and routes of what the status page and the 404 link to.
        let endpoints = [
            (
                telemetry_path,
                "metrics of all devices, for Prometheus",
                metrics::routes(limits("scrapes"), &sweeps, &metrics),
            ),
            (
                "/api/v1/clients",
                "all devices as JSON: filtered, sorted and paged",
                clients::routes(reader.clone()),
            ),
            (
                "/probe",
                "queries one device: ?client_id=…&instance_id=…",
                probe::routes(limits("probes"), &sweeps),
            ),
            (
                "/sd",
                "all devices as targets of /probe, for Prometheus",
                sd::routes(sweeps, &prefix),
            ),
            (
                "/config",
                "the configuration in effect",
                get(async move || config::render(&shown.load())),
            ),
            (
                "/-/healthy",
                "200 while the exporter runs",
                get(async || health::HEALTHY),
            ),
            (
                "/-/ready",
                "200 when the exporter can be scraped",
                health::ready(readiness),
            ),
        ];
        let mut others = endpoints[1..].iter().map(|(path, ..)| *path);
        if telemetry_path == RELOAD || others.any(|path| path == telemetry_path) {
            return Err(PathError::Taken(telemetry_path.to_owned()));
        }

        let index = endpoints.iter();
        let index: Arc<[_]> = index
            .map(|(path, about, _)| (prefix.link(path), *about))
            .collect();
        let mut not_found = "no endpoint has this path; the endpoints are:\n".to_owned();
        for (path, about) in &*index {
            not_found.extend([path, ": ", about, "\n"]);
        }
        let mut router = Router::new().without_v07_checks();
        if telemetry_path != "/" {
            let page = page::routes(page::PageSources {
                reader,
                metrics,
                config,
                index,
            });
            router = router.route(&prefix.route("/"), page);
        }
        for path in prefix.roots() {
            let home = [(LOCATION, prefix.route("/"))];
            router = router.route(path, get(async move || (StatusCode::FOUND, home)));
        }
        for (path, _, routes) in endpoints {
            router = router.route(&prefix.route(path), routes);
        }
        // Not among the endpoints, because a browser cannot follow a link to it.
        router = router.route(&prefix.route(RELOAD), reload::routes(reload));
        Ok(router
            .fallback(async move || (StatusCode::NOT_FOUND, not_found))
            .method_not_allowed_fallback(async || {
                let text = "method not allowed; the header Allow lists the methods\n";
                (StatusCode::METHOD_NOT_ALLOWED, text)
            })
            .layer(map_response(with_common_headers)))
    }
}

const RELOAD: &str = "/-/reload";

/// Browsers must not guess the type of a response, and caches must not keep it.
async fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
