//! `/metrics`: a scrape, from its request to the last chunk of its text.

mod body;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use futures_util::stream;
use tokio::time::Instant;

use super::WebOptions;
use super::encoding::prefers_gzip;
use super::scrape_limits::{Refusal, ScrapeLimits};
use crate::config::Config;
use crate::exposition::ScrapeText;
use crate::sweep::Sweeps;
use crate::telemetry::Metrics;
use body::ScrapeBody;

/// The text format, as Prometheus's documentation "Exposition formats" names it.
pub(super) const TEXT_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// `GET` scrapes; `HEAD` returns the headers and starts nothing.
pub(super) fn routes(
    options: &WebOptions,
    config: Arc<ArcSwap<Config>>,
    sweeps: Arc<Sweeps>,
    metrics: Arc<Metrics>,
) -> MethodRouter {
    let scrapes = Arc::new(Scrapes {
        limits: ScrapeLimits::new("scrapes", options, Arc::clone(&config)),
        config,
        sweeps,
        metrics,
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
    config: Arc<ArcSwap<Config>>,
    sweeps: Arc<Sweeps>,
    metrics: Arc<Metrics>,
    /// The time that the last scrape spent on rendering.
    last_rendering_micros: AtomicU64,
}

impl Scrapes {
    async fn scrape(self: Arc<Self>, headers: HeaderMap) -> Result<Response, Refusal> {
        let permit = self.limits.acquire()?;
        let last_rendering = self.last_rendering_micros.load(Ordering::Relaxed);
        let wait = self
            .limits
            .wait(&headers, Duration::from_micros(last_rendering));
        let snapshot = self.sweeps.scrape(Instant::now() + wait).await;

        let started = Instant::now();
        let per_client = self.config.load().exposition.per_client;
        let exposition = ScrapeText::new(snapshot, self.metrics.gather_text(), per_client);
        let with_gzip = prefers_gzip(&headers);
        let rendered = move |spent: Duration| {
            // Held until the body is dropped.
            let _ = &permit;
            let micros = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX);
            self.last_rendering_micros.store(micros, Ordering::Relaxed);
        };
        let body = ScrapeBody::new(exposition, with_gzip, started, rendered);
        Ok(response(with_gzip, Body::new(body)))
    }
}

fn response(with_gzip: bool, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, TEXT_FORMAT);
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if with_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
