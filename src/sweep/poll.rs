//! Sweeps by a timer, for those who do not want scrapes to start any.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::pacer::SweepWindow;
use super::sweeper::Sweeper;

/// Sweeps one instance again and again, each time over `interval`, until `stop` or until another
/// sweeper takes over.
///
/// A sweep that cannot ask for everybody in its interval ends with it, and the next one goes on
/// where it ended. While the breaker is open, the next one comes when it may try, or at the next
/// interval where somebody has replaced the credentials by then.
pub(super) async fn poll(
    sweeper: Arc<Sweeper>,
    interval: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    // That of the sweeper before.
    if let Some(sweep) = sweeper.running() {
        sweep.ended().await;
    }
    // What is due earlier would leave all at once then.
    let mut due = sweeper.caller.limiter.opens_at();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sweeper.retired() => return,
            () = sleep_until(due) => {}
        }
        let start = Instant::now();
        // Who is a little late, after a last call that took long, is to be in time again at the end.
        if start - due > interval / 2 {
            due = start;
        }
        let end = due + interval;
        if let Some(sweep) = sweeper.poll(SweepWindow { start, end }, &tasks, &stop) {
            sweep.ended().await;
        }
        due = sweeper.open_until().map_or(end, |until| until.min(end));
    }
}
