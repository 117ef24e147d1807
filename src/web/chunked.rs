//! Bodies of responses that are written as the client reads them.

use std::convert::Infallible;
use std::task::Poll;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;

/// How many chunks are written before other tasks run: a few milliseconds.
const CHUNKS_IN_A_ROW: u32 = 16;

/// A body of `chunks`, of which empty ones are skipped. One chunk exists at a time; the next one is
/// written when the client has taken it.
pub(super) fn chunked_body(mut chunks: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
    let mut in_a_row = 0;
    Body::from_stream(stream::poll_fn(move |cx| {
        while in_a_row < CHUNKS_IN_A_ROW {
            in_a_row += 1;
            let chunk = chunks.next();
            if chunk.as_ref().is_none_or(|chunk| !chunk.is_empty()) {
                return Poll::Ready(chunk.map(Ok::<_, Infallible>));
            }
        }
        in_a_row = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }))
}

#[cfg(test)]
mod tests {
    use std::iter;

    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;

    #[tokio::test]
    async fn empty_chunks_are_skipped_and_other_tasks_run_between_many() {
        let empty = iter::repeat_n(Bytes::new(), CHUNKS_IN_A_ROW as usize);
        let chunks = empty.chain([Bytes::from_static(b"a"), Bytes::new()]);
        let mut body = chunked_body(chunks).into_data_stream();
        assert!(body.next().now_or_never().is_none());
        let chunk = body.next().now_or_never().flatten().expect("a chunk");
        assert_eq!(chunk.expect("no error"), "a");
        assert!(matches!(body.next().now_or_never(), Some(None)));
    }
}
