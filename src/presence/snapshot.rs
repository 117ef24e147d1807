//! A snapshot copy of an instance's state: 16 bytes a client, from which a scrape is rendered.

use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::state::FleetTable;
use super::{Fleet, InstanceId, InstanceStats, LastError, Observation, Run, Status};
use crate::clock::Timestamp;

/// How many clients of one group have which status, and how often they changed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// Clients that are online.
    pub online: u64,
    /// Clients that are offline.
    pub offline: u64,
    /// Clients of which nothing is known.
    pub unknown: u64,
    /// Changes from offline to online.
    pub connects: u64,
    /// Changes from online to offline.
    pub disconnects: u64,
}

impl StatusCounts {
    /// How many clients have `status`.
    #[must_use]
    pub const fn of(&self, status: Status) -> u64 {
        match status {
            Status::Online => self.online,
            Status::Offline => self.offline,
            Status::Unknown => self.unknown,
        }
    }
}

/// Everything known of all instances at one moment, from which one scrape is rendered.
#[derive(Debug)]
pub struct Snapshot {
    /// The moment.
    pub at: Timestamp,
    /// The instances, each once.
    pub instances: Vec<InstanceSnapshot>,
}

/// Observation and run of a client, packed; zeroes while it is unknown.
type PackedPair = (u64, u64);

/// Where the words of a copy go when nobody reads it any more, so that the next one is made there.
///
/// At a million clients they are 16 MB, and allocators keep what a thread has freed, for that
/// thread alone: without this, every thread that ever answered a scrape would come to hold them.
#[derive(Debug, Default)]
pub(super) struct BufferPool(Mutex<Vec<PackedPair>>);

impl BufferPool {
    fn lock(&self) -> MutexGuard<'_, Vec<PackedPair>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for so many clients, and not for many more.
    fn take(&self, clients: usize) -> Vec<PackedPair> {
        let mut words = mem::take(&mut *self.lock());
        words.clear();
        words.shrink_to(clients);
        words.reserve_exact(clients);
        words
    }
}

/// Everything known of one instance at one moment.
#[derive(Debug)]
pub struct InstanceSnapshot {
    fleet: Arc<Fleet>,
    words: Vec<PackedPair>,
    groups: Box<[StatusCounts]>,
    stats: InstanceStats,
    last_error: Option<Arc<LastError>>,
    pool: Arc<BufferPool>,
}

impl InstanceSnapshot {
    pub(super) fn new(
        table: &FleetTable,
        stats: InstanceStats,
        last_error: Option<Arc<LastError>>,
        now: Timestamp,
        pool: &Arc<BufferPool>,
    ) -> Self {
        let mut groups: Box<[StatusCounts]> = table
            .groups
            .iter()
            .map(|changes| StatusCounts {
                connects: changes.connects.load(Ordering::Relaxed),
                disconnects: changes.disconnects.load(Ordering::Relaxed),
                ..StatusCounts::default()
            })
            .collect();
        let mut snapshot = pool.take(table.words.len());
        snapshot.extend(table.words.iter().enumerate().map(|(index, words)| {
            let known = words
                .read()
                .filter(|(seen, _)| now.since(seen.at) <= stats.stale_after);
            let counts = &mut groups[table.fleet.group_of(index)];
            match known {
                None => counts.unknown += 1,
                Some((seen, _)) if seen.online => counts.online += 1,
                Some(_) => counts.offline += 1,
            }
            known.map_or((0, 0), |(seen, run)| (seen.pack(), run.pack()))
        }));
        Self {
            fleet: Arc::clone(&table.fleet),
            words: snapshot,
            groups,
            stats,
            last_error,
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

    /// What is known of client `index`; `None` while that is nothing.
    #[must_use]
    pub fn client(&self, index: usize) -> Option<(Observation, Run)> {
        let (observation, run) = self.words[index];
        Some((Observation::unpack(observation)?, Run::unpack(run)?))
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

    /// The newest call that failed for good.
    #[must_use]
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_deref()
    }
}

impl Drop for InstanceSnapshot {
    fn drop(&mut self) {
        *self.pool.lock() = mem::take(&mut self.words);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::presence::{FleetBuilder, InstanceState, Operation};

    const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

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
    fn a_copy_is_made_where_the_last_one_was_unless_that_is_still_read() {
        let state = InstanceState::new(fleet(3), Duration::from_secs(300));
        let first = state.snapshot(AT);
        state.publish(
            "1",
            Observation {
                online: true,
                at: AT,
                operation: Operation::Single,
            },
        );
        let second = state.snapshot(AT);
        assert_eq!(statuses(&first), [Status::Unknown; 3]);
        assert_eq!(
            statuses(&second),
            [Status::Unknown, Status::Online, Status::Unknown]
        );

        let place = second.words.as_ptr();
        drop((first, second));
        let third = state.snapshot(AT);
        assert_eq!(third.words.as_ptr(), place);
        assert_eq!(
            statuses(&third),
            [Status::Unknown, Status::Online, Status::Unknown]
        );
    }

    #[test]
    fn a_copy_of_another_fleet_has_room_for_that_one() {
        let state = InstanceState::new(fleet(1000), Duration::from_secs(300));
        drop(state.snapshot(AT));
        for clients in [10, 20, 0] {
            state.swap(fleet(clients));
            let snapshot = state.snapshot(AT);
            assert_eq!(
                (snapshot.words.len(), snapshot.words.capacity()),
                (clients, clients)
            );
        }
    }
}
