//! The order of the clients in a sweep, and their times: at once, or spread over the sweep.

use std::ops::Range;
use std::sync::Arc;

use tokio::time::Instant;

use crate::presence::Fleet;

/// A circular cursor over a fleet, which moves on to the next fleet when the fleet has changed.
///
/// Clients are queried in the order of the fleet, from the end of the last sweep; so the client at
/// the cursor is always the one with the oldest attempt, failed or not. Clients that are new to
/// the fleet come first.
#[derive(Debug)]
pub(super) struct FleetCursor {
    fleet: Arc<Fleet>,
    next: usize,
    /// Positions of clients that are new to the fleet, in its order.
    new_clients: Vec<u32>,
    /// The number of them that were queried.
    new_queried: usize,
}

/// The order of one sweep: every client of the fleet once, evenly over the window if there is one.
#[derive(Debug)]
pub(super) struct SweepOrder<'a> {
    cursor: &'a mut FleetCursor,
    /// Clients that the cursor still passes in this sweep.
    left: usize,
    /// Clients that were taken.
    taken: usize,
    /// The time that the sweep is spread over. No client is queried at its end or later.
    window: Option<Range<Instant>>,
}

impl FleetCursor {
    pub(super) fn new(fleet: Arc<Fleet>) -> Self {
        Self {
            fleet,
            next: 0,
            new_clients: Vec::new(),
            new_queried: 0,
        }
    }

    /// The order of the next sweep.
    pub(super) fn sweep(&mut self, window: Option<Range<Instant>>) -> SweepOrder<'_> {
        // Those that an earlier sweep queried are as old as the others now.
        self.new_clients.drain(..self.new_queried);
        self.new_clients.shrink_to_fit();
        self.new_queried = 0;
        SweepOrder {
            left: self.fleet.len(),
            taken: 0,
            window,
            cursor: self,
        }
    }

    /// Whether this is the cursor of `fleet`.
    pub(super) fn is_of(&self, fleet: &Arc<Fleet>) -> bool {
        Arc::ptr_eq(&self.fleet, fleet)
    }

    /// Moves on to another fleet. Looks up each of its clients.
    pub(super) fn move_to(&mut self, fleet: &Arc<Fleet>) {
        let is_new = |index: &usize| self.fleet.position(&fleet.client(*index)).is_none();
        self.new_clients = (0..fleet.len())
            .filter(is_new)
            .filter_map(|index| u32::try_from(index).ok())
            .collect();
        self.new_queried = 0;
        // The cursor moves to the first client behind it that is still in the fleet.
        let mut behind = (self.next..self.fleet.len()).chain(0..self.next);
        self.next = behind
            .find_map(|old| fleet.position(&self.fleet.client(old)))
            .unwrap_or(0);
        self.fleet = Arc::clone(fleet);
    }
}

impl SweepOrder<'_> {
    /// The number of clients that were taken.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Whether the next client is due. Clients that are new to the fleet are due at once.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let is_new = self.cursor.new_queried < self.cursor.new_clients.len();
        self.window
            .as_ref()
            .is_none_or(|window| window.contains(&now) && (is_new || self.due(window) <= now))
    }

    /// The time at which the next client is due, if that is later than `now`.
    pub(super) fn resumes_at(&self, now: Instant) -> Option<Instant> {
        let window = self.window.as_ref()?;
        Some(self.due(window)).filter(|due| *due > now && window.contains(due))
    }

    fn due(&self, window: &Range<Instant>) -> Instant {
        let part = self.taken as f64 / self.cursor.fleet.len().max(1) as f64;
        window.start + (window.end - window.start).mul_f64(part)
    }
}

impl Iterator for SweepOrder<'_> {
    type Item = usize;

    /// The next client, due or not.
    fn next(&mut self) -> Option<usize> {
        let cursor = &mut *self.cursor;
        if let Some(&index) = cursor.new_clients.get(cursor.new_queried) {
            cursor.new_queried += 1;
            self.taken += 1;
            return Some(index as usize);
        }
        while self.left > 0 {
            let index = cursor.next;
            self.left -= 1;
            cursor.next = (index + 1) % cursor.fleet.len();
            // All new clients were queried before in this sweep.
            let is_new = u32::try_from(index)
                .is_ok_and(|index| cursor.new_clients.binary_search(&index).is_ok());
            if !is_new {
                self.taken += 1;
                return Some(index);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::presence::{FleetBuilder, InstanceId};

    const SECOND: Duration = Duration::from_secs(1);

    fn fleet(clients: impl IntoIterator<Item = u8>) -> Arc<Fleet> {
        let mut builder = FleetBuilder::new(InstanceId::new("post-cn-1").expect("not empty"));
        for client in clients {
            builder.push(&client.to_string(), []).expect("new");
        }
        Arc::new(builder.build())
    }

    fn sweep<'a>(cursor: &'a mut FleetCursor, fleet: &Arc<Fleet>) -> SweepOrder<'a> {
        if !cursor.is_of(fleet) {
            cursor.move_to(fleet);
        }
        cursor.sweep(None)
    }

    fn names(fleet: &Fleet, order: impl Iterator<Item = usize>) -> Vec<u8> {
        order
            .map(|index| fleet.client(index).parse().expect("a number"))
            .collect()
    }

    #[test]
    fn a_sweep_starts_where_the_last_one_ended() {
        let clients = fleet(0..5);
        let mut cursor = FleetCursor::new(Arc::clone(&clients));
        assert_eq!(
            names(&clients, sweep(&mut cursor, &clients).take(3)),
            [0, 1, 2]
        );
        assert_eq!(
            names(&clients, sweep(&mut cursor, &clients)),
            [3, 4, 0, 1, 2]
        );
        assert_eq!(
            names(&clients, sweep(&mut cursor, &clients)),
            [3, 4, 0, 1, 2]
        );
    }

    #[test]
    fn new_clients_come_first_and_the_cursor_stays_with_its_client() {
        let before = fleet([0, 1, 2, 3]);
        let mut cursor = FleetCursor::new(Arc::clone(&before));
        assert_eq!(names(&before, sweep(&mut cursor, &before).take(2)), [0, 1]);
        let after = fleet([9, 0, 3, 8, 1]);
        assert_eq!(names(&after, sweep(&mut cursor, &after)), [9, 8, 3, 1, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_are_due_evenly_and_never_after_the_end() {
        let fleet = fleet(0..5);
        let mut cursor = FleetCursor::new(Arc::clone(&fleet));
        let start = Instant::now();
        let window = start..start + 10 * SECOND;
        let mut order = cursor.sweep(Some(window.clone()));
        for (index, due) in [(0, 0), (1, 2), (2, 4)] {
            let due = start + due * SECOND;
            assert!(!order.is_due(due - SECOND / 1000) && order.is_due(due));
            assert_eq!(order.next(), Some(index));
        }
        assert_eq!(
            order.resumes_at(start + 5 * SECOND),
            Some(start + 6 * SECOND)
        );
        assert!(
            order.is_due(start + 7 * SECOND),
            "a late client is queried as well"
        );
        assert!(!order.is_due(window.end), "except after the end");
        assert_eq!(order.resumes_at(window.end), None);
        assert_eq!(
            cursor.sweep(None).next(),
            Some(3),
            "and is the first one of the next sweep"
        );
    }

    proptest! {
        #[test]
        fn a_whole_sweep_queries_each_client_once(
            before in prop::collection::btree_set(0u8..40, 0..30),
            after in prop::collection::btree_set(0u8..40, 0..30),
            taken in 0usize..40,
        ) {
            let (first, second) = (fleet(before), fleet(after.iter().copied()));
            let mut cursor = FleetCursor::new(Arc::clone(&first));
            let _ = sweep(&mut cursor, &first).take(taken).count();
            for _ in 0..2 {
                let mut queried = names(&second, sweep(&mut cursor, &second));
                queried.sort_unstable();
                prop_assert!(queried.iter().eq(after.iter()));
            }
        }

        /// However sweeps are cut short, no client is queried twice before another one is queried once.
        #[test]
        fn cut_sweeps_rotate_fairly(size in 1u8..30, cuts in prop::collection::vec(1usize..40, 1..40)) {
            let clients = fleet(0..size);
            let mut cursor = FleetCursor::new(Arc::clone(&clients));
            let mut counts = vec![0u32; usize::from(size)];
            for cut in cuts {
                sweep(&mut cursor, &clients).take(cut).for_each(|index| counts[index] += 1);
                let (least, most) = (counts.iter().min().copied(), counts.iter().max().copied());
                prop_assert!(most <= least.map(|least| least + 1));
            }
        }
    }
}
