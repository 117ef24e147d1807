//! Time that goes on by itself, quickly, in a paused runtime with real sockets.
//!
//! A paused tokio runtime that has nothing to do jumps to its next timer. Waiting for a socket
//! looks like having nothing to do, so that a request in flight may meet its own timeout at once.
//! The pump keeps the runtime busy: it lets everybody else run and the sockets be polled, then
//! moves time on by a millisecond, and so on. Timers fire in order, and what is in flight arrives
//! within a few milliseconds of the time that the test sees. A minute takes a second or two.
//!
//! Only what happens in the runtime's own thread keeps pace. Work of other threads (reading files,
//! resolving names) goes on in real time meanwhile: name hosts by their addresses, and have files
//! read before the pump starts.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::advance;
use tokio_util::task::AbortOnDropHandle;

/// How far time moves at once: as exact as tokio's timers are.
const STEP: Duration = Duration::from_millis(1);

/// How often everybody else gets a turn, and the sockets are polled, between two steps. An
/// exchange over loopback needs about ten: one for each time that it goes from one end to the
/// other, be it through a socket or a channel.
const TURNS: usize = 16;

/// Moves time on until the handle is dropped.
///
/// The runtime has to be a paused one of a single thread: `#[tokio::test(start_paused = true)]`.
#[must_use = "time stands still again when this is dropped"]
pub(crate) fn pump() -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async {
        loop {
            for _ in 0..TURNS {
                yield_now().await;
            }
            advance(STEP).await;
        }
    }))
}
