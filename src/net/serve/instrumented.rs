//! Streams and response bodies that record in the [`ConnectionState`] what the client does.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection_state::{ConnectionState, InFlight};

/// The stream of a connection, above TLS.
pub(super) struct InstrumentedIo<I> {
    pub(super) io: I,
    pub(super) state: ConnectionState,
    /// Whether the bytes read belong to a request. With HTTP/2 they may concern the connection.
    pub(super) requests: bool,
}

impl<I: AsyncRead + Unpin> AsyncRead for InstrumentedIo<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let progress = Pin::new(&mut self.io).poll_read(cx, buf);
        if self.requests && buf.filled().len() > before {
            self.state.read();
        }
        progress
    }
}

impl<I: AsyncWrite + Unpin> InstrumentedIo<I> {
    fn write<T>(&mut self, write: impl FnOnce(Pin<&mut I>) -> Poll<T>) -> Poll<T> {
        let progress = write(Pin::new(&mut self.io));
        self.state.written(progress.is_ready());
        progress
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for InstrumentedIo<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(|io| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(|io| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(|io| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(|io| io.poll_shutdown(cx))
    }
}

/// The body of a response. hyper polls for a frame when the client has room for it, and drops the
/// body after the last one.
pub(super) struct InstrumentedBody<B> {
    pub(super) body: B,
    pub(super) request: InFlight,
    /// Whether the client can read other responses and leave this one (HTTP/2).
    pub(super) multiplexed: bool,
}

impl<B: Body + Unpin> Body for InstrumentedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if self.multiplexed {
            // The client has taken the previous frame; the next poll shows that it took this one.
            self.request.offered(frame.is_ready());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
