//! A connection whose reads and writes are seen.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection_state::ConnectionState;

/// What a connection is read from and written to, above TLS.
pub(super) struct InstrumentedIo<I> {
    pub(super) io: I,
    pub(super) state: ConnectionState,
    /// Whether what is read is a request. On a connection of HTTP/2 it may as well be about the
    /// connection itself.
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
        self.state.write(&progress);
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
