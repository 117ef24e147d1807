//! A connection that can stall: what arrives meanwhile is read when the stall is over, by all
//! connections at the same moment.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Says until when connections stall, if they do now.
pub(super) trait Stalls: Send + Sync {
    /// The end of the stall.
    fn stalled_until(&self) -> Option<Instant>;
}

/// A socket whose reads may be held up.
pub(super) struct StallingStream<S> {
    stream: TcpStream,
    stalls: S,
    held: Option<Pin<Box<Sleep>>>,
}

impl<S: Stalls> StallingStream<S> {
    pub(super) const fn new(stream: TcpStream, stalls: S) -> Self {
        Self {
            stream,
            stalls,
            held: None,
        }
    }

    /// Closes the connection with a reset, as a firewall does.
    pub(super) fn reset(self) {
        // A socket that is gone already needs no reset.
        let _ = self.stream.set_zero_linger();
    }
}

impl<S: Stalls + Unpin> AsyncRead for StallingStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.held.is_none() {
            ready!(self.stream.poll_read_ready(cx))?;
            self.held = self
                .stalls
                .stalled_until()
                .map(|end| Box::pin(sleep_until(end)));
        }
        if let Some(held) = &mut self.held {
            ready!(held.as_mut().poll(cx));
            self.held = None;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: Stalls + Unpin> AsyncWrite for StallingStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S> fmt::Debug for StallingStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StallingStream")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
