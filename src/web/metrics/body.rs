//! The text of a scrape as the body of a response, rendered as the client reads it.

use std::convert::Infallible;
use std::io::Write as _;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::buf::Writer;
use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use tokio::time::Instant;

use crate::exposition::ScrapeText;

/// The capacity of a chunk: what the exposition writes at once, and the line that exceeds it.
const CHUNK_BYTES: usize = 68 * 1024;
/// How many chunks are rendered before other tasks run: a few milliseconds.
const CHUNKS_IN_A_ROW: u32 = 16;

/// The whole text, whose rendering began at `started`. One chunk exists at a time; the next one is
/// rendered when the client has taken it. When the text is complete, `rendered` is called with the
/// time spent, without the time that the client took to read.
pub(super) fn scrape_body(
    exposition: ScrapeText,
    with_gzip: bool,
    started: Instant,
    rendered: impl Fn(Duration) + Send + 'static,
) -> Body {
    // The lowest level: expositions are so repetitive that higher levels gain little.
    let gzip = || GzEncoder::new(BytesMut::new().writer(), Compression::fast());
    let mut rest = Rendering {
        exposition,
        gzip: with_gzip.then(gzip),
        is_complete: false,
        spent: started.elapsed(),
        in_a_row: 0,
        rendered,
    };
    Body::from_stream(stream::poll_fn(move |cx| rest.poll_chunk(cx)))
}

/// The rest of the text of a scrape.
struct Rendering<F> {
    exposition: ScrapeText,
    /// The stream, if the body is compressed; its buffer holds what was not sent yet.
    gzip: Option<GzEncoder<Writer<BytesMut>>>,
    is_complete: bool,
    spent: Duration,
    in_a_row: u32,
    rendered: F,
}

impl<F: Fn(Duration)> Rendering<F> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        while !self.is_complete && self.in_a_row < CHUNKS_IN_A_ROW {
            self.in_a_row += 1;
            let chunk = self.chunk();
            if !chunk.is_empty() {
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
        if self.is_complete {
            return Poll::Ready(None);
        }
        self.in_a_row = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Renders a chunk. It may be empty while the compressor buffers.
    fn chunk(&mut self) -> Bytes {
        let started = Instant::now();
        let mut text = Vec::with_capacity(CHUNK_BYTES);
        self.is_complete = !self.exposition.fill(&mut text);
        let chunk = if let Some(stream) = &mut self.gzip {
            stream.write_all(&text).expect("memory takes every byte");
            if self.is_complete {
                stream.try_finish().expect("memory takes every byte");
            }
            stream.get_mut().get_mut().split().freeze()
        } else {
            text.into()
        };
        self.spent += started.elapsed();
        if self.is_complete {
            (self.rendered)(self.spent);
        }
        chunk
    }
}
