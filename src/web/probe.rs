//! `/probe`: one client, asked for now, in the manner of `blackbox_exporter` (page "The
//! multi-target exporter pattern" of Prometheus's documentation).

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use tokio::time::Instant;

use super::concurrency_limit::ConcurrencyLimit;
use super::metrics::TEXT_FORMAT;
use super::{WebOptions, deadline};
use crate::config::Config;
use crate::exposition::{ProbeResult, probe_text};
use crate::sweep::{Prober, Sweeps};

/// `GET` probes; `HEAD` shows the headers and asks nobody.
pub(super) fn routes(
    options: &WebOptions,
    config: Arc<ArcSwap<Config>>,
    sweeps: Arc<Sweeps>,
) -> MethodRouter {
    let probes = Arc::new(Probes {
        config,
        sweeps,
        timeout_offset: options.timeout_offset,
        places: ConcurrencyLimit::new("probes", options.max_requests),
    });
    let head = async || response(Body::empty());
    get(async move |RawQuery(query): RawQuery, headers: HeaderMap| {
        probes
            .probe(query.as_deref().unwrap_or_default(), &headers)
            .await
            .unwrap_or_else(Refusal::into_response)
    })
    .head(head)
}

struct Probes {
    config: Arc<ArcSwap<Config>>,
    sweeps: Arc<Sweeps>,
    timeout_offset: Duration,
    places: ConcurrencyLimit,
}

/// Why nobody is asked.
enum Refusal {
    /// The question is not a complete one.
    Query(String),
    /// There is no such client or instance.
    Unknown(String),
    TooMany(Box<Response>),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Query(text) => (StatusCode::BAD_REQUEST, text).into_response(),
            Self::Unknown(text) => (StatusCode::NOT_FOUND, text).into_response(),
            Self::TooMany(response) => *response,
        }
    }
}

impl Probes {
    async fn probe(&self, query: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
        let begun = Instant::now();
        let usual = self.config.load().collect.scrape_timeout;
        let wait = deadline::wait(
            deadline::asked(headers),
            usual,
            self.timeout_offset,
            Duration::ZERO,
        );
        let (client, prober) = self.question(query)?;
        let _place = self.places.take().map_err(Refusal::TooMany)?;
        let answer = prober.probe(&client, begun + wait).await;
        let probe = ProbeResult {
            online: answer
                .map(|seen| seen.online)
                .map_err(|why| why.to_string()),
            duration: begun.elapsed(),
            fleet: &prober.state().fleet(),
            client: &client,
        };
        Ok(response(Body::from(probe_text(&probe))))
    }

    /// Who is asked for, and who asks.
    fn question(&self, query: &str) -> Result<(String, Prober), Refusal> {
        let (mut client, mut instance) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "client_id" => client = Some(value),
                "instance_id" => instance = Some(value),
                _ => {
                    let text = format!(
                        "there is no parameter `{name}`; there are `client_id` and `instance_id`\n"
                    );
                    return Err(Refusal::Query(text));
                }
            }
        }
        let client = client.filter(|client| !client.is_empty()).ok_or_else(|| {
            Refusal::Query(
                "`client_id` is missing: /probe?client_id=CLIENT_ID&instance_id=INSTANCE_ID\n"
                    .to_owned(),
            )
        })?;
        let prober = self
            .sweeps
            .prober(instance.as_deref())
            .ok_or_else(|| match &instance {
                Some(instance) => Refusal::Unknown(format!(
                    "instance {instance:?} is not in the configuration\n"
                )),
                None => Refusal::Query(
                    "several instances are configured; say which one with `instance_id`\n"
                        .to_owned(),
                ),
            })?;
        if !self.config.load().probe.any_client
            && prober.state().fleet().position(&client).is_none()
        {
            return Err(Refusal::Unknown(format!(
                "client {client:?} is not in the fleet of {}; add it to the configuration, or let `probe.any_client` be true\n",
                prober.state().id()
            )));
        }
        Ok((client.into_owned(), prober))
    }
}

fn response(body: Body) -> Response {
    ([(CONTENT_TYPE, TEXT_FORMAT)], body).into_response()
}
