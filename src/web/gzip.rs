//! gzip, a piece at a time.

use std::io::Write as _;

use bytes::buf::Writer;
use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;

/// The lowest level: an exposition repeats itself so much that higher ones cost time and win little.
const LEVEL: u32 = 1;

/// A gzip stream that is taken as it grows.
pub(super) struct Gzip(GzEncoder<Writer<BytesMut>>);

impl Gzip {
    /// A stream of nothing yet.
    pub(super) fn new() -> Self {
        Self(GzEncoder::new(
            BytesMut::new().writer(),
            Compression::new(LEVEL),
        ))
    }

    /// Adds `text`, and takes what the stream has grown by, which may be nothing.
    pub(super) fn compress(&mut self, text: &[u8]) -> Bytes {
        self.0.write_all(text).expect("memory takes every byte");
        self.take()
    }

    /// Ends the stream, and takes the rest of it.
    pub(super) fn finish(&mut self) -> Bytes {
        self.0.try_finish().expect("memory takes every byte");
        self.take()
    }

    fn take(&mut self) -> Bytes {
        self.0.get_mut().get_mut().split().freeze()
    }
}
