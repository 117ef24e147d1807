//! The body of an answer, on its way.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

use super::connection_state::InFlight;

/// A body that is seen to be taken. hyper asks for more of it when the client has room, and drops
/// it when it has all of it.
pub(super) struct ResponseBody<B> {
    pub(super) body: B,
    pub(super) request: InFlight,
    /// Whether the client may leave this answer alone and read another one.
    pub(super) one_of_several: bool,
}

impl<B: Body + Unpin> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if self.one_of_several {
            // It was asked for because the client has room; the next time, this will be taken.
            match frame {
                Poll::Ready(_) => self.request.offered(),
                Poll::Pending => self.request.taken(),
            }
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
