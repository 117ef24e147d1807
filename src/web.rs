//! The HTTP edge: routes, headers, the deadline of a scrape, compression, and who comes in.
//!
//! What an answer says comes from the rows below; how it travels is decided here. Nothing here
//! makes a call to the API: `/metrics` and `/probe` ask the sweeps, and they decide.

mod auth;
mod clients;
mod concurrency_limit;
mod deadline;
mod encoding;
mod health;
mod metrics;
mod page;
mod paths;
mod probe;
mod query;
mod reload;
mod sd;
pub mod toolkit;
mod web_config;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, LOCATION, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

pub use health::Readiness;
pub use paths::PathError;
pub use reload::{Reload, ReloadOutcome, ReloadRequest};
pub use web_config::ActiveWebConfig;

use crate::config::{self, Config};
use crate::sweep::Sweeps;
use crate::telemetry::Metrics;
use paths::Prefix;
use query::SnapshotReader;

/// What the flags `--web.…` and `--timeout-offset` say about the edge.
#[derive(Clone, Debug, PartialEq)]
pub struct WebOptions {
    /// Where the metrics are; `--web.telemetry-path`.
    pub telemetry_path: String,
    /// Below which path every endpoint is; `--web.route-prefix`. By default the path of
    /// [`WebOptions::external_url`].
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

impl Default for WebOptions {
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

/// The HTTP edge, and what it shows.
#[derive(Clone)]
pub struct Web {
    /// How it is shown.
    pub options: WebOptions,
    /// Where scrapes find what is known.
    pub sweeps: Arc<Sweeps>,
    /// The exporter's own metrics.
    pub metrics: Arc<Metrics>,
    /// What `/-/ready` says.
    pub readiness: Readiness,
    /// The configuration in effect, which a reload replaces.
    pub config: Arc<ArcSwap<Config>>,
    /// How to ask for a reload; `None` where `/-/reload` is to refuse.
    pub reload: Option<Reload>,
}

impl Web {
    /// The routes. An error says which flag does not fit.
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
        let page = page::PageSources {
            reader: reader.clone(),
            metrics: Arc::clone(&metrics),
            config: Arc::clone(&config),
            index: Arc::default(),
        };
        let probed = Arc::clone(&sweeps);
        let targets = sd::routes(Arc::clone(&sweeps), &prefix);
        let endpoints = [
            Endpoint {
                path: telemetry_path,
                about: "what is known of every device, for Prometheus",
                routes: metrics::routes(&options, Arc::clone(&config), sweeps, metrics),
            },
            Endpoint {
                path: "/api/v1/clients",
                about: "what is known of every device, as JSON: filtered, sorted, a page at a time",
                routes: clients::routes(reader),
            },
            Endpoint {
                path: "/probe",
                about: "one device, asked for now: ?client_id=…&instance_id=…",
                routes: probe::routes(&options, Arc::clone(&config), probed),
            },
            Endpoint {
                path: "/sd",
                about: "every device as a target of /probe, for Prometheus",
                routes: targets,
            },
            Endpoint {
                path: "/config",
                about: "the configuration in effect",
                routes: get(move || async move { config::render(&config.load()) }),
            },
            Endpoint {
                path: "/-/healthy",
                about: "whether the exporter runs",
                routes: health::healthy(),
            },
            Endpoint {
                path: "/-/ready",
                about: "whether the exporter is ready to be scraped",
                routes: health::ready(readiness),
            },
        ];
        if endpoints[1..]
            .iter()
            .any(|endpoint| endpoint.path == telemetry_path)
        {
            return Err(PathError::Taken(telemetry_path.to_owned()));
        }

        if telemetry_path == RELOAD {
            return Err(PathError::Taken(telemetry_path.to_owned()));
        }

        let index: Vec<_> = endpoints
            .iter()
            .map(|endpoint| (prefix.link(endpoint.path), endpoint.about))
            .collect();
        let not_found = not_found_text(&index);
        let page = page::PageSources {
            index: index.into(),
            ..page
        };
        let mut router = Router::new().without_v07_checks();
        if telemetry_path != "/" {
            router = router.route(&prefix.route("/"), page::routes(page));
        }
        for path in prefix.roots() {
            let home = prefix.route("/");
            router = router.route(path, get(move || async move { found(&home) }));
        }
        for Endpoint { path, routes, .. } in endpoints {
            router = router.route(&prefix.route(path), routes);
        }
        // Not among the endpoints, which are what a browser may follow a link to.
        router = router.route(&prefix.route(RELOAD), reload::routes(reload));
        Ok(router
            .fallback(move || async move { (StatusCode::NOT_FOUND, not_found) })
            .method_not_allowed_fallback(async || {
                (
                    StatusCode::METHOD_NOT_ALLOWED,
                    "this endpoint answers other methods; the header Allow names them\n",
                )
            })
            .layer(map_response(with_common_headers)))
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web")
            .field("options", &self.options)
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}

const RELOAD: &str = "/-/reload";

/// One endpoint: a link of the status page, a line of the 404, and what answers.
struct Endpoint<'a> {
    path: &'a str,
    about: &'static str,
    routes: MethodRouter,
}

fn not_found_text(index: &[(String, &str)]) -> String {
    let mut text = "there is nothing at this path; there is:\n".to_owned();
    for (path, about) in index {
        text.extend([path, ": ", about, "\n"]);
    }
    text
}

fn found(location: &str) -> Response {
    (StatusCode::FOUND, [(LOCATION, location.to_owned())]).into_response()
}

/// No browser is to guess what an answer is, and no cache to keep what changes all the time.
async fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
