//! The current fleet with the state of each client, two atomic words a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Fleet, Observation};
use crate::clock::Moment;

/// A fleet with a cell for each client and the counters of each group, in the order of the fleet.
#[derive(Debug)]
pub(super) struct FleetTable {
    pub(super) fleet: Arc<Fleet>,
    pub(super) cells: Box<[ClientCell]>,
    pub(super) changes: Box<[Arc<GroupChanges>]>,
}

/// The last observation of one client, and the first one of the run of observations with the same
/// status.
///
/// The first one is written first and read last, so that a reader that sees an observation also
/// sees its run; a reader that sees a run newer than its observation reads again. No run is newer
/// than its observation once both are written.
#[derive(Debug, Default)]
pub(super) struct ClientCell {
    last: AtomicU64,
    first: AtomicU64,
}

/// Counts the changes of the clients of one group.
#[derive(Debug, Default)]
pub(super) struct GroupChanges {
    pub(super) connects: AtomicU64,
    pub(super) disconnects: AtomicU64,
}

impl ClientCell {
    /// The last observation, and since when all observations have had its status.
    pub(super) fn read(&self) -> Option<(Observation, Moment)> {
        loop {
            let last = Observation::unpack(self.last.load(Ordering::Acquire))?;
            let first = Observation::unpack(self.first.load(Ordering::Acquire))?;
            if first.online == last.online && first.at <= last.at {
                return Some((last, first.at));
            }
            std::hint::spin_loop();
        }
    }

    pub(super) fn write(&self, last: Observation, since: Moment) {
        let first = Observation {
            at: since.min(last.at),
            ..last
        };
        self.first.store(first.pack(), Ordering::Release);
        self.last.store(last.pack(), Ordering::Release);
    }
}

impl FleetTable {
    pub(super) fn empty(fleet: Fleet) -> Self {
        Self {
            cells: (0..fleet.len()).map(|_| ClientCell::default()).collect(),
            changes: fleet.groups().iter().map(|_| Arc::default()).collect(),
            fleet: Arc::new(fleet),
        }
    }

    /// Takes over the state of the clients and groups that `old` contains too.
    pub(super) fn carry_over(&mut self, old: &Self) {
        for (index, cell) in self.cells.iter().enumerate() {
            let before = old.fleet.position(&self.fleet.client(index));
            if let Some((observation, since)) = before.and_then(|at| old.cells[at].read()) {
                cell.write(observation, since);
            }
        }
        let old_groups = old.fleet.groups();
        for (group, changes) in self.fleet.groups().iter().zip(&mut self.changes) {
            if let Some(at) = old_groups.iter().position(|old| old.name == group.name) {
                *changes = Arc::clone(&old.changes[at]);
            }
        }
    }
}
