//! `/metrics`: a scrape, from its request to the last chunk of its text.

use std::io::Write as _;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use bytes::buf::Writer;
use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::chunked::chunked_body;
use super::encoding::prefers_gzip;
use super::scrape_limits::Refusal;
use super::shared::{Shared, SharedState};
use crate::exposition::ScrapeText;

/// The text format, as Prometheus's documentation "Exposition formats" names it.
pub(super) const TEXT_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The capacity of a chunk: what the exposition writes at once, and the line that exceeds it.
const CHUNK_BYTES: usize = 68 * 1024;

/// Scrapes.
pub(super) async fn scrape(
    State(shared): SharedState,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let permit = shared.scrapes.acquire()?;
    let last_rendering = shared.last_rendering_micros.load(Ordering::Relaxed);
    let last_rendering = Duration::from_micros(last_rendering);
    let config = &shared.web.config;
    let wait = (shared.scrapes).wait(&headers, &config.load(), last_rendering);
    let snapshot = shared.web.sweeps.scrape(Instant::now() + wait).await;

    let started = Instant::now();
    let per_client = config.load().exposition.per_client;
    let text = ScrapeText::new(snapshot, shared.web.metrics.gather_text(), per_client);
    // The lowest level: expositions are so repetitive that higher levels gain little.
    let gzip = || GzEncoder::new(BytesMut::new().writer(), Compression::fast());
    let rendering = Rendering {
        text: Some(text),
        gzip: prefers_gzip(&headers).then(gzip),
        spent: started.elapsed(),
        shared,
        _permit: permit,
    };
    Ok(response(&headers, chunked_body(rendering)))
}

/// The headers of a scrape, without one. The length is unknown, as that of a scrape is: otherwise
/// the headers contain a length.
pub(super) async fn head(headers: HeaderMap) -> Response {
    response(&headers, chunked_body(iter::empty()))
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
    shared: Arc<Shared>,
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
            let last = &self.shared.last_rendering_micros;
            last.store(micros, Ordering::Relaxed);
        }
        Some(chunk)
    }
}
