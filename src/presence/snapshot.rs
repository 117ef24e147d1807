//! A consistent copy of the state of an instance, 16 bytes a client, from which a scrape is rendered.

use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::table::FleetTable;
use super::{Fleet, InstanceId, InstanceStats, Observation, Status};
use crate::clock::{Moment, Timestamp, WallOffset};

/// The number of clients of one group by status, and the number of their changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// Clients that are online.
    pub online: u64,
    /// Clients that are offline.
    pub offline: u64,
    /// Clients whose status is unknown.
    pub unknown: u64,
    /// Changes from offline to online.
    pub connects: u64,
    /// Changes from online to offline.
    pub disconnects: u64,
}

impl StatusCounts {
    /// The number of clients with `status`.
    #[must_use]
    pub const fn of(&self, status: Status) -> u64 {
        match status {
            Status::Online => self.online,
            Status::Offline => self.offline,
            Status::Unknown => self.unknown,
        }
    }

    /// The number of clients.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.online + self.offline + self.unknown
    }
}

/// The state of all instances at one moment, from which one scrape is rendered.
#[derive(Debug)]
pub struct Snapshot {
    /// The moment.
    pub at: Moment,
    /// Renders all moments of the snapshot.
    pub offset: WallOffset,
    /// The instances, each once.
    pub instances: Vec<InstanceSnapshot>,
}

impl Snapshot {
    /// The wall time of the snapshot.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.offset.wall(self.at)
    }
}

/// The packed observation of a client, zero if it is unknown, and since when it has had its status.
type PackedCell = (u64, Moment);

/// Keeps the buffer of a dropped snapshot for the next one.
///
/// At a million clients a buffer has 16 MB, and allocators keep freed memory for the thread that
/// freed it: without the pool, every thread that ever answered a scrape would hold a buffer.
#[derive(Debug, Default)]
pub(super) struct BufferPool(Mutex<Vec<PackedCell>>);

impl BufferPool {
    fn lock(&self) -> MutexGuard<'_, Vec<PackedCell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty buffer with a capacity of `clients`.
    fn take(&self, clients: usize) -> Vec<PackedCell> {
        let mut buffer = mem::take(&mut *self.lock());
        buffer.clear();
        buffer.shrink_to(clients);
        buffer.reserve_exact(clients);
        buffer
    }
}

/// The state of one instance at one moment.
#[derive(Debug)]
pub struct InstanceSnapshot {
    fleet: Arc<Fleet>,
    cells: Vec<PackedCell>,
    groups: Box<[StatusCounts]>,
    stats: InstanceStats,
    pool: Arc<BufferPool>,
}

impl InstanceSnapshot {
    pub(super) fn new(
        table: &FleetTable,
        stats: InstanceStats,
        now: Moment,
        pool: &Arc<BufferPool>,
    ) -> Self {
        let counts = table.changes.iter().map(|changes| StatusCounts {
            connects: changes.connects.load(Ordering::Relaxed),
            disconnects: changes.disconnects.load(Ordering::Relaxed),
            ..StatusCounts::default()
        });
        let mut groups: Box<[_]> = counts.collect();
        let mut cells = pool.take(table.cells.len());
        cells.extend(table.cells.iter().enumerate().map(|(index, cell)| {
            let known = cell
                .read()
                .filter(|(observation, _)| now.since(observation.at) <= stats.stale_after);
            let counts = &mut groups[table.fleet.group_of(index)];
            match known {
                None => counts.unknown += 1,
                Some((observation, _)) if observation.online => counts.online += 1,
                Some(_) => counts.offline += 1,
            }
            known.map_or((0, now), |(observation, since)| (observation.pack(), since))
        }));
        Self {
            fleet: Arc::clone(&table.fleet),
            cells,
            groups,
            stats,
            pool: Arc::clone(pool),
        }
    }

    /// The instance.
    #[must_use]
    pub fn id(&self) -> &InstanceId {
        self.fleet.instance()
    }

    /// The clients, in the order of [`InstanceSnapshot::client`].
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The last observation of client `index`, and the time of the first one in the current run of
    /// observations with the same status; `None` if the client is unknown.
    #[must_use]
    pub fn client(&self, index: usize) -> Option<(Observation, Moment)> {
        let (observation, since) = self.cells[index];
        Some((Observation::unpack(observation)?, since))
    }

    /// The status of client `index`.
    #[must_use]
    pub fn status(&self, index: usize) -> Status {
        self.client(index)
            .map_or(Status::Unknown, |(observation, _)| observation.status())
    }

    /// Counts by group, in the order of [`Fleet::groups`].
    #[must_use]
    pub fn groups(&self) -> &[StatusCounts] {
        &self.groups
    }

    /// What is known about the instance itself.
    #[must_use]
    pub fn stats(&self) -> &InstanceStats {
        &self.stats
    }
}

impl Drop for InstanceSnapshot {
    fn drop(&mut self) {
        *self.pool.lock() = mem::take(&mut self.cells);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::presence::{FleetBuilder, InstanceState, Operation};

    const AT: Moment = Moment::from_micros(1_700_000_000_000_000);

    fn fleet(clients: usize) -> Fleet {
        let mut fleet = FleetBuilder::new(InstanceId::new("post-cn-1").expect("not empty"));
        (0..clients).for_each(|n| fleet.push(&n.to_string(), []).expect("new"));
        fleet.build()
    }

    fn statuses(snapshot: &InstanceSnapshot) -> Vec<Status> {
        (0..snapshot.fleet().len())
            .map(|index| snapshot.status(index))
            .collect()
    }

    #[test]
    fn a_snapshot_reuses_the_buffer_of_the_last_one_that_was_dropped() {
        let state = InstanceState::new(fleet(3), Duration::from_secs(300));
        let first = state.snapshot(AT);
        state.publish(
            "1",
            Observation {
                online: true,
                at: AT,
                answered: AT,
                operation: Operation::Single,
            },
        );
        let second = state.snapshot(AT);
        assert_eq!(statuses(&first), [Status::Unknown; 3]);
        assert_eq!(
            statuses(&second),
            [Status::Unknown, Status::Online, Status::Unknown]
        );

        let buffer = second.cells.as_ptr();
        drop((first, second));
        let third = state.snapshot(AT);
        assert_eq!(third.cells.as_ptr(), buffer);
        assert_eq!(
            statuses(&third),
            [Status::Unknown, Status::Online, Status::Unknown]
        );
    }

    #[test]
    fn a_buffer_fits_the_fleet_after_a_swap() {
        let state = InstanceState::new(fleet(1000), Duration::from_secs(300));
        drop(state.snapshot(AT));
        for clients in [10, 20, 0] {
            state.swap(fleet(clients));
            let snapshot = state.snapshot(AT);
            assert_eq!(
                (snapshot.cells.len(), snapshot.cells.capacity()),
                (clients, clients)
            );
        }
    }
}
