//! Whose turn it is in a sweep, and when: at once, or spread over the sweep's time.

use std::time::Duration;

use tokio::time::Instant;

use super::cursor::SweepOrder;

/// The time that a sweep takes on purpose.
#[derive(Clone, Copy, Debug)]
pub(super) struct SweepWindow {
    pub(super) start: Instant,
    /// No turn comes at this time or later.
    pub(super) end: Instant,
}

/// The turns of a sweep.
#[derive(Debug)]
pub(super) struct Pacer<'a> {
    round: SweepOrder<'a>,
    window: Option<SweepWindow>,
    clients: usize,
    given: usize,
}

impl<'a> Pacer<'a> {
    /// The turns of `round`, which are so many, evenly over `window` if there is one.
    pub(super) fn new(round: SweepOrder<'a>, clients: usize, window: Option<SweepWindow>) -> Self {
        Self {
            round,
            window,
            clients,
            given: 0,
        }
    }

    /// The next client's, whether its time has come or not.
    pub(super) fn take(&mut self) -> Option<usize> {
        let turn = self.round.next();
        self.given += usize::from(turn.is_some());
        turn
    }

    /// Whether the time of the next turn has come.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.window
            .is_none_or(|window| now >= self.due(window) && now < window.end)
    }

    /// When the time of the next turn comes, if that is later than `now`.
    pub(super) fn resumes_at(&self, now: Instant) -> Option<Instant> {
        let window = self.window?;
        Some(self.due(window)).filter(|&due| due > now && due < window.end)
    }

    fn due(&self, SweepWindow { start, end }: SweepWindow) -> Instant {
        let part = self.given as f64 / self.clients.max(1) as f64;
        start + Duration::from_secs_f64((end - start).as_secs_f64() * part)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::presence::{FleetBuilder, InstanceId};
    use crate::sweep::cursor::FleetCursor;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn turns_come_evenly_and_never_after_the_end() {
        let mut fleet = FleetBuilder::new(InstanceId::new("post-cn-1").expect("not empty"));
        for client in ["a", "b", "c", "d", "e"] {
            fleet.push(client, []).expect("new");
        }
        let fleet = Arc::new(fleet.build());
        let mut ring = FleetCursor::new(Arc::clone(&fleet));
        let start = Instant::now();
        let window = SweepWindow {
            start,
            end: start + 10 * SECOND,
        };
        let mut turns = Pacer::new(ring.round(), fleet.len(), Some(window));
        for (index, due) in [(0, 0), (1, 2), (2, 4)] {
            let due = start + due * SECOND;
            assert!(!turns.is_due(due - SECOND / 1000) && turns.is_due(due));
            assert_eq!(turns.take(), Some(index));
        }
        assert_eq!(
            turns.resumes_at(start + 5 * SECOND),
            Some(start + 6 * SECOND)
        );
        assert!(
            turns.is_due(start + 7 * SECOND),
            "who is late comes all the same"
        );
        assert!(!turns.is_due(window.end), "but not after the end");
        assert_eq!(turns.resumes_at(window.end), None);
        assert_eq!(
            ring.round().next(),
            Some(3),
            "and is the first in the next sweep"
        );
    }
}
