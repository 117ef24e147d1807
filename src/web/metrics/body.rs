//! The text of a scrape as the body of an answer: made as the client reads it.

use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::buf::Writer;
use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Frame;
use tokio::time::Instant;

use super::InFlight;
use crate::exposition::ScrapeText;
use crate::web::encoding::Encoding;

/// Room for what the exposition fills in at once, and the line with which it passes that.
const CHUNK_BYTES: usize = 68 * 1024;
/// How many chunks are made in a row before other tasks have their turn: a few milliseconds.
const CHUNKS_IN_A_ROW: u32 = 16;

/// The rest of the text of a scrape. One chunk exists at a time, and the next one is made when
/// the client has taken it.
pub(super) struct ExpositionBody {
    exposition: ScrapeText,
    /// `None` once everything was taken from the exposition.
    coding: Option<Coding>,
    spent: Duration,
    in_a_row: u32,
    in_flight: InFlight,
}

enum Coding {
    Identity,
    Gzip { stream: Box<Gzip>, text: Vec<u8> },
}

impl ExpositionBody {
    /// The whole text. Making it began at `started`.
    pub(super) fn new(
        exposition: ScrapeText,
        encoding: Encoding,
        started: Instant,
        in_flight: InFlight,
    ) -> Self {
        let coding = match encoding {
            Encoding::Identity => Coding::Identity,
            Encoding::Gzip => Coding::Gzip {
                stream: Box::new(Gzip::new()),
                text: Vec::with_capacity(CHUNK_BYTES),
            },
        };
        Self {
            exposition,
            coding: Some(coding),
            spent: started.elapsed(),
            in_a_row: 0,
            in_flight,
        }
    }

    /// Takes a chunk from the exposition: what it comes to, which may be nothing yet.
    fn chunk(&mut self) -> Option<Bytes> {
        let started = Instant::now();
        let (chunk, more) = match self.coding.as_mut()? {
            Coding::Identity => {
                let mut text = Vec::with_capacity(CHUNK_BYTES);
                let more = self.exposition.fill(&mut text);
                (Bytes::from(text), more)
            }
            Coding::Gzip { stream, text } => {
                text.clear();
                let more = self.exposition.fill(text);
                let chunk = stream.compress(text);
                if more {
                    (chunk, true)
                } else {
                    ([chunk, stream.finish()].concat().into(), false)
                }
            }
        };
        self.spent += started.elapsed();
        if !more {
            self.coding = None;
            self.in_flight.rendered(self.spent);
        }
        Some(chunk)
    }
}

impl HttpBody for ExpositionBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while self.in_a_row < CHUNKS_IN_A_ROW {
            self.in_a_row += 1;
            match self.chunk() {
                Some(nothing) if nothing.is_empty() => {}
                chunk => return Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk)))),
            }
        }
        self.in_a_row = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.coding.is_none()
    }
}

/// The lowest level: an exposition repeats itself so much that higher ones cost time and win little.
const LEVEL: u32 = 1;

/// A gzip stream that is taken as it grows.
struct Gzip(GzEncoder<Writer<BytesMut>>);

impl Gzip {
    /// A stream of nothing yet.
    fn new() -> Self {
        Self(GzEncoder::new(
            BytesMut::new().writer(),
            Compression::new(LEVEL),
        ))
    }

    /// Adds `text`, and takes what the stream has grown by, which may be nothing.
    fn compress(&mut self, text: &[u8]) -> Bytes {
        self.0.write_all(text).expect("memory takes every byte");
        self.take()
    }

    /// Ends the stream, and takes the rest of it.
    fn finish(&mut self) -> Bytes {
        self.0.try_finish().expect("memory takes every byte");
        self.take()
    }

    fn take(&mut self) -> Bytes {
        self.0.get_mut().get_mut().split().freeze()
    }
}
