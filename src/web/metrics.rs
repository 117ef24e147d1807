//! `/metrics`: a scrape, from its request to the last chunk of its text.

use std::io::Write as _;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use bytes::buf::Writer;
use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::chunked::chunked_body;
use super::encoding::prefers_gzip;
use super::scrape_limits::{Refusal, ScrapeLimits};
use crate::exposition::ScrapeText;
use crate::sweep::Sweeps;
use crate::telemetry::Metrics;

/// The text format, as Prometheus's documentation "Exposition formats" names it.
pub(super) const TEXT_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The capacity of a chunk: what the exposition writes at once, and the line that exceeds it.
const CHUNK_BYTES: usize = 68 * 1024;

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
    // Of unknown length, as the body of a `GET` is: otherwise the head contains a length.
    let head = async |headers: HeaderMap| response(&headers, chunked_body(iter::empty()));
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
        let wait = (self.limits).wait(&headers, Duration::from_micros(last_rendering));
        let snapshot = self.sweeps.scrape(Instant::now() + wait).await;

        let started = Instant::now();
        let per_client = self.limits.config.load().exposition.per_client;
        let text = ScrapeText::new(snapshot, self.metrics.gather_text(), per_client);
        // The lowest level: expositions are so repetitive that higher levels gain little.
        let gzip = || GzEncoder::new(BytesMut::new().writer(), Compression::fast());
        let rendering = Rendering {
            text: Some(text),
            gzip: prefers_gzip(&headers).then(gzip),
            spent: started.elapsed(),
            scrapes: self,
            _permit: permit,
        };
        Ok(response(&headers, chunked_body(rendering)))
    }
}

fn response(request: &HeaderMap, body: Body) -> Response {
    let vary = HeaderValue::from_static("Accept-Encoding");
    let coding = prefers_gzip(request).then_some([(CONTENT_ENCODING, "gzip")]);
    ([(CONTENT_TYPE, TEXT_FORMAT), (VARY, vary)], coding, body).into_response()
}

/// The chunks of a scrape, rendered one by one.
struct Rendering {
    /// The rest of the text; `None` at its end.
    text: Option<ScrapeText>,
    /// The stream, if the body is compressed; its buffer holds what was not sent yet.
    gzip: Option<GzEncoder<Writer<BytesMut>>>,
    /// The time spent on rendering, without the time that the client takes to read.
    spent: Duration,
    scrapes: Arc<Scrapes>,
    /// Held until the body is dropped.
    _permit: OwnedSemaphorePermit,
}

impl Iterator for Rendering {
    type Item = Bytes;

    /// The next chunk, which may be empty while the compressor buffers.
    fn next(&mut self) -> Option<Bytes> {
        let started = Instant::now();
        let mut text = Vec::with_capacity(CHUNK_BYTES);
        let is_complete = !self.text.as_mut()?.fill(&mut text);
        let chunk = if let Some(stream) = &mut self.gzip {
            stream.write_all(&text).expect("memory takes every byte");
            if is_complete {
                stream.try_finish().expect("memory takes every byte");
            }
            stream.get_mut().get_mut().split().freeze()
        } else {
            text.into()
        };
        self.spent += started.elapsed();
        if is_complete {
            self.text = None;
            let micros = u64::try_from(self.spent.as_micros()).unwrap_or(u64::MAX);
            let last = &self.scrapes.last_rendering_micros;
            last.store(micros, Ordering::Relaxed);
        }
        Some(chunk)
    }
}
