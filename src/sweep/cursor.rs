//! Whose turn it is: the client whose last attempt is the oldest.

use std::sync::Arc;

use crate::presence::Fleet;

/// A cursor over a fleet that goes round, and on to the next fleet when that has changed.
///
/// Clients are asked in the order of the fleet, from where the last sweep ended; so the one at
/// the cursor is always the one with the oldest attempt, failed or not. Clients that are new to
/// the fleet come first.
#[derive(Debug)]
pub(super) struct FleetCursor {
    fleet: Arc<Fleet>,
    cursor: usize,
    /// Positions of clients that are new to the fleet, in its order.
    new_clients: Vec<u32>,
    /// How many of them were asked for.
    visited_new: usize,
}

/// One round: every client of the fleet once.
#[derive(Debug)]
pub(super) struct SweepOrder<'a> {
    ring: &'a mut FleetCursor,
    /// Clients that the cursor still passes in this round.
    left: usize,
}

impl FleetCursor {
    pub(super) fn new(fleet: Arc<Fleet>) -> Self {
        Self {
            fleet,
            cursor: 0,
            new_clients: Vec::new(),
            visited_new: 0,
        }
    }

    /// The next round.
    pub(super) fn round(&mut self) -> SweepOrder<'_> {
        // Those that an earlier round asked for are as old as the others now.
        self.new_clients.drain(..self.visited_new);
        self.new_clients.shrink_to_fit();
        self.visited_new = 0;
        SweepOrder {
            left: self.fleet.len(),
            ring: self,
        }
    }

    /// Whether it goes over `fleet`.
    pub(super) fn is_of(&self, fleet: &Arc<Fleet>) -> bool {
        Arc::ptr_eq(&self.fleet, fleet)
    }

    /// Goes on to another fleet, which takes a look at each of its clients.
    pub(super) fn turn_to(&mut self, fleet: &Arc<Fleet>) {
        let is_new = |index: &usize| self.fleet.position(&fleet.client(*index)).is_none();
        self.new_clients = (0..fleet.len())
            .filter(is_new)
            .filter_map(|index| u32::try_from(index).ok())
            .collect();
        self.visited_new = 0;
        // The cursor goes to the first client behind it that is still there.
        let mut behind = (self.cursor..self.fleet.len()).chain(0..self.cursor);
        self.cursor = behind
            .find_map(|old| fleet.position(&self.fleet.client(old)))
            .unwrap_or(0);
        self.fleet = Arc::clone(fleet);
    }
}

impl Iterator for SweepOrder<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if let Some(&index) = self.ring.new_clients.get(self.ring.visited_new) {
            self.ring.visited_new += 1;
            return Some(index as usize);
        }
        while self.left > 0 {
            let index = self.ring.cursor;
            self.left -= 1;
            self.ring.cursor = (index + 1) % self.ring.fleet.len();
            // In this round, all new ones had their turn already.
            let visited_new = u32::try_from(index)
                .is_ok_and(|index| self.ring.new_clients.binary_search(&index).is_ok());
            if !visited_new {
                return Some(index);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::presence::{FleetBuilder, InstanceId};

    fn fleet(clients: impl IntoIterator<Item = u8>) -> Arc<Fleet> {
        let mut builder = FleetBuilder::new(InstanceId::new("post-cn-1").expect("not empty"));
        for client in clients {
            builder.push(&client.to_string(), []).expect("new");
        }
        Arc::new(builder.build())
    }

    fn round<'a>(ring: &'a mut FleetCursor, fleet: &Arc<Fleet>) -> SweepOrder<'a> {
        if !ring.is_of(fleet) {
            ring.turn_to(fleet);
        }
        ring.round()
    }

    fn names(fleet: &Fleet, round: impl Iterator<Item = usize>) -> Vec<u8> {
        round
            .map(|index| fleet.client(index).parse().expect("a number"))
            .collect()
    }

    #[test]
    fn a_round_begins_where_the_last_one_ended() {
        let clients = fleet(0..5);
        let mut ring = FleetCursor::new(Arc::clone(&clients));
        assert_eq!(
            names(&clients, round(&mut ring, &clients).take(3)),
            [0, 1, 2]
        );
        assert_eq!(names(&clients, round(&mut ring, &clients)), [3, 4, 0, 1, 2]);
        assert_eq!(names(&clients, round(&mut ring, &clients)), [3, 4, 0, 1, 2]);
    }

    #[test]
    fn new_clients_come_first_and_the_cursor_stays_with_its_client() {
        let before = fleet([0, 1, 2, 3]);
        let mut ring = FleetCursor::new(Arc::clone(&before));
        assert_eq!(names(&before, round(&mut ring, &before).take(2)), [0, 1]);
        let after = fleet([9, 0, 3, 8, 1]);
        assert_eq!(names(&after, round(&mut ring, &after)), [9, 8, 3, 1, 0]);
    }

    proptest! {
        #[test]
        fn a_whole_round_asks_each_client_once(
            before in prop::collection::btree_set(0u8..40, 0..30),
            after in prop::collection::btree_set(0u8..40, 0..30),
            taken in 0usize..40,
        ) {
            let (first, second) = (fleet(before), fleet(after.iter().copied()));
            let mut ring = FleetCursor::new(Arc::clone(&first));
            let _ = round(&mut ring, &first).take(taken).count();
            for _ in 0..2 {
                let mut asked = names(&second, round(&mut ring, &second));
                asked.sort_unstable();
                prop_assert!(asked.iter().eq(after.iter()));
            }
        }

        /// However rounds are cut short, no client's turn comes twice before another's once.
        #[test]
        fn cut_rounds_rotate_fairly(size in 1u8..30, cuts in prop::collection::vec(1usize..40, 1..40)) {
            let clients = fleet(0..size);
            let mut ring = FleetCursor::new(Arc::clone(&clients));
            let mut turns = vec![0u32; usize::from(size)];
            for cut in cuts {
                round(&mut ring, &clients).take(cut).for_each(|index| turns[index] += 1);
                let (least, most) = (turns.iter().min().copied(), turns.iter().max().copied());
                prop_assert!(most <= least.map(|least| least + 1));
            }
        }
    }
}
