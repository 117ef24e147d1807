//! A connection that can stall: data that arrives in a stall is read when the stall ends, by all
//! connections at the same moment.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

use super::state::State;

/// A socket that is not read during a stall.
pub(super) struct StallingStream {
    stream: TcpStream,
    state: Arc<State>,
    stall: Option<Pin<Box<Sleep>>>,
}

impl StallingStream {
    pub(super) const fn new(stream: TcpStream, state: Arc<State>) -> Self {
        Self {
            stream,
            state,
            stall: None,
        }
    }

    /// Closes the connection with a reset, as a firewall does.
    pub(super) fn reset(self) {
        // It fails only where the socket is closed already.
        let _ = self.stream.set_zero_linger();
    }
}

impl AsyncRead for StallingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stall.is_none() {
            ready!(self.stream.poll_read_ready(cx))?;
            self.stall = self
                .state
                .stalled_until()
                .map(|end| Box::pin(sleep_until(end)));
        }
        if let Some(stall) = &mut self.stall {
            ready!(stall.as_mut().poll(cx));
            self.stall = None;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for StallingStream {
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
