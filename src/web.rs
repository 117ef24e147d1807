//! The HTTP edge: routes, headers, deadlines of scrapes, compression, TLS and authentication.
//!
//! The rows below provide the contents. Nothing here calls the API: `/metrics` and `/probe` request
//! sweeps and probes, which decide about calls.

mod auth;
mod chunked;
mod clients;
mod common_headers;
mod encoding;
mod health;
mod metrics;
mod options;
mod page;
mod paths;
mod probe;
mod query;
mod reload;
mod request_check;
mod scrape_limits;
mod sd;
mod shared;
pub mod toolkit;
mod web_config;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post};

pub use health::Readiness;
pub use options::WebOptions;
pub use paths::PathError;
pub use reload::{Reload, ReloadOutcome, ReloadRequest, ReloadRequests};
pub use shared::Web;
pub use web_config::ActiveWebConfig;

use crate::config;
use paths::Prefix;
use request_check::{AllowedHosts, check_host, not_cross_site};
use shared::{Shared, SharedState};

impl Web {
    /// The routes, or an error that names an invalid flag.
    pub fn router(self) -> Result<Router, PathError> {
        let (external_url, route_prefix) = (&self.options.external_url, &self.options.route_prefix);
        let prefix = Prefix::new(external_url.as_deref(), route_prefix.as_deref())?;
        let telemetry_path = self.options.telemetry_path.clone();
        paths::telemetry(&telemetry_path)?;
        // Path, purpose and routes of what the status page and the 404 link to.
        let endpoints = [
            (
                &*telemetry_path,
                "metrics of all devices, for Prometheus",
                not_cross_site(get(metrics::scrape).head(metrics::head)),
            ),
            (
                "/api/v1/clients",
                "all devices as JSON: filtered, sorted and paged",
                get(clients::list),
            ),
            (
                "/probe",
                "queries one device: ?client_id=…&instance_id=…",
                not_cross_site(get(probe::probe).head(probe::head)),
            ),
            (
                "/sd",
                "all devices as targets of /probe, for Prometheus",
                get(sd::targets),
            ),
            (
                "/config",
                "the configuration in effect",
                get(async |State(shared): SharedState| config::render(&shared.web.config.load())),
            ),
            (
                "/-/healthy",
                "200 while the exporter runs",
                get(async || health::HEALTHY),
            ),
            (
                "/-/ready",
                "200 when the exporter can be scraped",
                get(async |State(shared): SharedState| shared.web.readiness.response()),
            ),
        ];
        let mut others = endpoints[1..].iter().map(|(path, ..)| *path);
        if telemetry_path == RELOAD || others.any(|path| path == telemetry_path) {
            return Err(PathError::Taken(telemetry_path));
        }

        let index = endpoints.iter();
        let index: Vec<_> = index
            .map(|(path, about, _)| (prefix.link(path), *about))
            .collect();
        let mut not_found = "no endpoint has this path; the endpoints are:\n".to_owned();
        for (path, about) in &index {
            not_found.extend([path, ": ", about, "\n"]);
        }
        let mut router = Router::new().without_v07_checks();
        if telemetry_path != "/" {
            router = router.route(&prefix.route("/"), get(page::show));
        }
        for path in prefix.roots() {
            let home = [(LOCATION, prefix.route("/"))];
            router = router.route(path, get(async move || (StatusCode::FOUND, home)));
        }
        for (path, _, routes) in endpoints {
            router = router.route(&prefix.route(path), routes);
        }
        // Not among the endpoints, because a browser cannot follow a link to it. `PUT` as in
        // Prometheus.
        let reload =
            async |State(shared): SharedState| reload::respond(shared.web.reload.as_ref()).await;
        router = router.route(
            &prefix.route(RELOAD),
            not_cross_site(post(reload).put(reload)),
        );
        let hosts = AllowedHosts::new(&self.options, &prefix.external);
        Ok(router
            .with_state(Arc::new(Shared::new(self, prefix, index)))
            .fallback(async move || (StatusCode::NOT_FOUND, not_found))
            .method_not_allowed_fallback(async || {
                let text = "method not allowed; the header Allow lists the methods\n";
                (StatusCode::METHOD_NOT_ALLOWED, text)
            })
            .layer(from_fn_with_state(hosts, check_host))
            .layer(map_response(common_headers::add)))
    }
}

const RELOAD: &str = "/-/reload";
