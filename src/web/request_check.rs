//! Requests that are refused before an endpoint handles them: requests without a valid host or for
//! another host, and requests that pages of other sites send.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{StatusCode, Uri, Version};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;

use super::options::WebOptions;

/// Browsers report in this header whether a page of the same site caused the request (W3C, "Fetch
/// Metadata Request Headers").
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The host names of the exporter; none if they are not configured, and then every name is allowed.
#[derive(Clone)]
pub(super) struct AllowedHosts(Arc<[String]>);

impl AllowedHosts {
    /// The hosts of `--web.allowed-hosts`, and that of the external URL.
    pub(super) fn new(options: &WebOptions, external: &Uri) -> Self {
        let external = external.host().map(str::to_owned);
        Self(
            external
                .into_iter()
                .chain(options.allowed_hosts.clone())
                .collect(),
        )
    }

    /// A page that attacks through DNS rebinding has a name that its author registered, so that IP
    /// addresses and names without a dot (`localhost`, services of a container network) are safe.
    fn contains(&self, host: &str) -> bool {
        let name = host.trim_end_matches('.');
        let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
        let mut allowed = self.0.iter();
        self.0.is_empty()
            || !name.contains('.')
            || address.is_ok()
            || allowed.any(|allowed| allowed.eq_ignore_ascii_case(name))
    }
}

/// Refuses requests without one valid host, and requests for hosts that are not allowed.
pub(super) async fn check_host(
    State(allowed): State<AllowedHosts>,
    request: Request,
    next: Next,
) -> Response {
    let Some(hosts) = hosts(&request) else {
        let text =
            "the request must have exactly one `Host`, the name or address of this exporter\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    match hosts.iter().find(|host| !allowed.contains(host.host())) {
        Some(host) => {
            let text = format!(
                "`{}` is not a host of this exporter; add it with --web.allowed-hosts\n",
                host.host()
            );
            (StatusCode::FORBIDDEN, text).into_response()
        }
        None => next.run(request).await,
    }
}

/// The hosts in the target and in the header; `None` if the request is invalid (RFC 9112, section
/// 3.2).
fn hosts(request: &Request) -> Option<Vec<Authority>> {
    let target = request.uri().authority().cloned();
    let mut lines = request.headers().get_all(HOST).iter();
    let header = match (lines.next(), lines.next()) {
        (None, _) if request.version() == Version::HTTP_11 => return None,
        (Some(_), Some(_)) => return None,
        // A target without a host has an empty header.
        (Some(line), None) if !line.is_empty() => {
            let host = Authority::try_from(line.as_bytes()).ok();
            Some(host.filter(|host| !host.as_str().contains('@'))?)
        }
        _ => None,
    };
    Some(target.into_iter().chain(header).collect())
}

/// `routes`, except for requests that a browser sends for a page of another site: an image on any
/// page could otherwise cause calls of the API.
pub(super) fn not_cross_site<S: Clone + Send + Sync + 'static>(
    routes: MethodRouter<S>,
) -> MethodRouter<S> {
    routes.route_layer(from_fn(async |request: Request, next: Next| {
        let mut sites = request.headers().get_all(SEC_FETCH_SITE).iter();
        if sites.any(|site| site == "cross-site") {
            let text =
                "requests from pages of other sites are refused here; type or paste the URL\n";
            return (StatusCode::FORBIDDEN, text).into_response();
        }
        next.run(request).await
    }))
}
