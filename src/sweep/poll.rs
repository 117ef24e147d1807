//! Sweeps by a timer, for those who do not want scrapes to start any.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::sweeper::Sweeper;
use super::turns::Window;

/// Sweeps one instance again and again, each time over `interval`, until `stop`.
///
/// A sweep that cannot ask for everybody in its interval ends with it, and the next one goes on
/// where it ended. While the breaker is open, the next one comes when it may try.
pub(super) async fn poll(sweeper: Arc<Sweeper>, interval: Duration, tasks: TaskTracker, stop: CancellationToken) {
    // What is due earlier would leave all at once then.
    let mut due = sweeper.target.gate.opens_at();
    loop {
        if stop.run_until_cancelled(sleep_until(due)).await.is_none() {
            return;
        }
        let start = Instant::now();
        // Who is a little late, after a last call that took long, is to be in time again at the end.
        if start - due > interval / 2 {
            due = start;
        }
        let end = due + interval;
        if let Some(sweep) = sweeper.poll(Window { start, end }, &tasks, &stop) {
            sweep.ended().await;
        }
        due = sweeper.rests_until().unwrap_or(end);
    }
}
