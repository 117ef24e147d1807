//! `/metrics`: a scrape, from its request to the last chunk of its text.

mod body;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::concurrency_limit::ConcurrencyLimit;
use super::encoding::Encoding;
use super::{WebOptions, deadline};
use crate::config::Config;
use crate::exposition::ScrapeText;
use crate::sweep::Sweeps;
use crate::telemetry::Metrics;
use body::ExpositionBody;

/// The text format, as Prometheus's documentation "Exposition formats" names it.
pub(super) const TEXT_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// `GET` scrapes; `HEAD` shows the headers and starts nothing.
pub(super) fn routes(
    options: &WebOptions,
    config: Arc<ArcSwap<Config>>,
    sweeps: Arc<Sweeps>,
    metrics: Arc<Metrics>,
) -> MethodRouter {
    let scrapes = Arc::new(Scrapes {
        config,
        sweeps,
        metrics,
        timeout_offset: options.timeout_offset,
        places: ConcurrencyLimit::new("scrapes", options.max_requests),
        last_rendering: LastRendering::default(),
    });
    let head = async |headers: HeaderMap| {
        // A body of unknown length, as that of a `GET` is, or the head would name a length.
        let body = Body::from_stream(futures_util::stream::empty::<
            Result<bytes::Bytes, std::convert::Infallible>,
        >());
        response(Encoding::of(&headers), body)
    };
    get(move |headers: HeaderMap| Arc::clone(&scrapes).scrape(headers)).head(head)
}

/// What scrapes share.
struct Scrapes {
    config: Arc<ArcSwap<Config>>,
    sweeps: Arc<Sweeps>,
    metrics: Arc<Metrics>,
    timeout_offset: Duration,
    places: ConcurrencyLimit,
    last_rendering: LastRendering,
}

impl Scrapes {
    async fn scrape(self: Arc<Self>, headers: HeaderMap) -> Response {
        let place = match self.places.take() {
            Ok(place) => place,
            Err(refusal) => return *refusal,
        };
        let asked = deadline::asked(&headers);
        let usual = self.config.load().collect.scrape_timeout;
        let wait = deadline::wait(asked, usual, self.timeout_offset, self.last_rendering.get());
        let frozen = self.sweeps.scrape(Instant::now() + wait).await;

        let started = Instant::now();
        let per_client = self.config.load().exposition.per_client;
        let exposition = ScrapeText::new(frozen, self.metrics.gather_text(), per_client);
        let encoding = Encoding::of(&headers);
        let body = ExpositionBody::new(
            exposition,
            encoding,
            started,
            InFlight {
                scrapes: self,
                _place: place,
            },
        );
        response(encoding, Body::new(body))
    }
}

/// A scrape that is being answered; until it is dropped it counts against the limit.
struct InFlight {
    scrapes: Arc<Scrapes>,
    _place: OwnedSemaphorePermit,
}

impl InFlight {
    /// Its text is complete, and making it took `spent`.
    fn rendered(&self, spent: Duration) {
        self.scrapes.last_rendering.set(spent);
    }
}

/// What the last scrape spent on making its text, without the time its client took to read it.
#[derive(Default)]
struct LastRendering(AtomicU64);

impl LastRendering {
    fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, spent: Duration) {
        self.0.store(
            u64::try_from(spent.as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

fn response(encoding: Encoding, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, TEXT_FORMAT);
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if encoding == Encoding::Gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
