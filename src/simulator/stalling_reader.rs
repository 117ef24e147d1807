//! The receiving half of a connection that can stall: data that arrives in a stall is read when the
//! stall ends, by all connections at the same moment.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Sleep, sleep_until};

use super::state::State;

/// A socket that is not read during a stall.
pub(super) struct StallingReader {
    pub(super) stream: OwnedReadHalf,
    pub(super) state: Arc<State>,
    /// The end of the stall, if there is one.
    pub(super) stall: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for StallingReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stall.is_none() {
            ready!(self.stream.as_ref().poll_read_ready(cx))?;
            let end = self.state.stalled_until();
            self.stall = end.map(|end| Box::pin(sleep_until(end)));
        }
        if let Some(stall) = &mut self.stall {
            ready!(stall.as_mut().poll(cx));
            self.stall = None;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}
