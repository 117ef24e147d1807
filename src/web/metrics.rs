//! `/metrics`: a scrape, from its request to the last chunk of its text.

mod body;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use futures_util::stream;
use tokio::time::Instant;

use super::encoding::prefers_gzip;
use super::scrape_limits::{Refusal, ScrapeLimits};
use crate::exposition::ScrapeText;
use crate::sweep::Sweeps;
use crate::telemetry::Metrics;
use body::scrape_body;

/// The text format, as Prometheus's documentation "Exposition formats" names it.
pub(super) const TEXT_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// `GET` scrapes; `HEAD` returns the headers and starts nothing.
pub(super) fn routes(
    limits: ScrapeLimits,
    sweeps: &Arc<Sweeps>,
    metrics: &Arc<Metrics>,
) -> MethodRouter {
    let scrapes = Arc::new(Scrapes {
        limits,
        sweeps: Arc::clone(sweeps),
        metrics: Arc::clone(metrics),
        last_rendering_micros: AtomicU64::default(),
    });
    let head = async |headers: HeaderMap| {
        // Of unknown length, as the body of a `GET` is: otherwise the head contains a length.
        let body = Body::from_stream(stream::empty::<Result<Bytes, Infallible>>());
        response(prefers_gzip(&headers), body)
    };
    get(move |headers: HeaderMap| Arc::clone(&scrapes).scrape(headers)).head(head)
}

struct Scrapes {
    limits: ScrapeLimits,
    sweeps: Arc<Sweeps>,
    metrics: Arc<Metrics>,
    /// The time that the last scrape spent on rendering.
    last_rendering_micros: AtomicU64,
}

impl Scrapes {
    async fn scrape(self: Arc<Self>, headers: HeaderMap) -> Result<Response, Refusal> {
        let permit = self.limits.acquire()?;
        let last_rendering = self.last_rendering_micros.load(Ordering::Relaxed);
        let last_rendering = Duration::from_micros(last_rendering);
        let wait = self.limits.wait(&headers, last_rendering);
        let snapshot = self.sweeps.scrape(Instant::now() + wait).await;

        let started = Instant::now();
        let per_client = self.limits.config.load().exposition.per_client;
        let exposition = ScrapeText::new(snapshot, self.metrics.gather_text(), per_client);
        let with_gzip = prefers_gzip(&headers);
        let rendered = move |spent: Duration| {
            // Held until the body is dropped.
            let _ = &permit;
            let micros = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX);
            self.last_rendering_micros.store(micros, Ordering::Relaxed);
        };
        let body = scrape_body(exposition, with_gzip, started, rendered);
        Ok(response(with_gzip, body))
    }
}

fn response(with_gzip: bool, body: Body) -> Response {
    let vary = HeaderValue::from_static("Accept-Encoding");
    let coding = with_gzip.then_some([(CONTENT_ENCODING, "gzip")]);
    ([(CONTENT_TYPE, TEXT_FORMAT), (VARY, vary)], coding, body).into_response()
}
