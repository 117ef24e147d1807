//! `/probe`: queries one client, as `blackbox_exporter` does (page "The multi-target exporter
//! pattern" of Prometheus's documentation).

use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::time::Instant;

use super::metrics::TEXT_FORMAT;
use super::query::BadParameter;
use super::scrape_limits::Refusal;
use super::shared::SharedState;
use crate::exposition::probe_text;
use crate::presence::ClientId;
use crate::sweep::{Prober, Sweeps};

/// Probes.
pub(super) async fn probe(
    State(shared): SharedState,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (started, config) = (Instant::now(), shared.web.config.load_full());
    let deadline = started + (shared.probes).wait(&headers, &config, Duration::ZERO);
    let any_client = config.probe.any_client;
    let (client, prober) = parse(&query.unwrap_or_default(), any_client, &shared.web.sweeps)?;
    let _permit = shared.probes.acquire()?;
    let observation = prober.probe(&client, deadline).await;
    let online = observation.map(|observation| observation.online);
    let fleet = prober.state().fleet();
    let text = probe_text(&online, started.elapsed(), &fleet, &client);
    Ok(response(Body::from(text)))
}

/// The headers of a probe, without a call.
pub(super) async fn head() -> Response {
    response(Body::empty())
}

/// The client to query, and the prober of its instance.
fn parse(query: &str, any_client: bool, sweeps: &Sweeps) -> Result<(String, Prober), Refusal> {
    let bad_request = |text: String| (StatusCode::BAD_REQUEST, text);
    let not_found = |text: String| (StatusCode::NOT_FOUND, text);
    let (mut client, mut instance) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "client_id" => client = Some(value),
            "instance_id" => instance = Some(value),
            _ => {
                let error = BadParameter::unknown(&name, &["client_id", "instance_id"]);
                return Err(bad_request(format!("{error}\n")));
            }
        }
    }
    let client = client.filter(|client| !client.is_empty()).ok_or_else(|| {
        let usage = "/probe?client_id=CLIENT_ID&instance_id=INSTANCE_ID";
        bad_request(format!("`client_id` is missing: {usage}\n"))
    })?;
    ClientId::validate(&client).map_err(|error| bad_request(format!("`client_id` {error}\n")))?;
    let prober = sweeps.prober(instance.as_deref());
    let prober = prober.ok_or_else(|| match &instance {
        Some(id) => not_found(format!("instance {id:?} is not in the configuration\n")),
        None => bad_request(
            "several instances are configured; choose one with `instance_id`\n".to_owned(),
        ),
    })?;
    let state = prober.state();
    if !any_client && state.fleet().position(&client).is_none() {
        return Err(not_found(format!(
            "client {client:?} is not in the fleet of {}; add it to the configuration, or set `probe.any_client` to true\n",
            state.id()
        )));
    }
    Ok((client.into_owned(), prober))
}

fn response(body: Body) -> Response {
    ([(CONTENT_TYPE, TEXT_FORMAT)], body).into_response()
}
