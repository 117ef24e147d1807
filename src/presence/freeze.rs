//! A frozen copy of an instance's state: 16 bytes a client, from which a scrape is rendered.

use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::state::Board;
use super::{Fleet, InstanceFacts, InstanceId, LastError, Observation, Run, Status};
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
pub struct Frozen {
    /// The moment.
    pub at: Timestamp,
    /// The instances, each once.
    pub instances: Vec<FrozenInstance>,
}

/// Observation and run of a client, packed; zeroes while it is unknown.
type FrozenWords = (u64, u64);

/// Where the words of a copy go when nobody reads it any more, so that the next one is made there.
///
/// At a million clients they are 16 MB, and allocators keep what a thread has freed, for that
/// thread alone: without this, every thread that ever answered a scrape would come to hold them.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<Vec<FrozenWords>>);

impl Spare {
    fn lock(&self) -> MutexGuard<'_, Vec<FrozenWords>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for so many clients, and not for many more.
    fn take(&self, clients: usize) -> Vec<FrozenWords> {
        let mut words = mem::take(&mut *self.lock());
        words.clear();
        words.shrink_to(clients);
        words.reserve_exact(clients);
        words
    }
}

/// Everything known of one instance at one moment.
#[derive(Debug)]
pub struct FrozenInstance {
    fleet: Arc<Fleet>,
    words: Vec<FrozenWords>,
    groups: Box<[StatusCounts]>,
    facts: InstanceFacts,
    last_error: Option<Arc<LastError>>,
    spare: Arc<Spare>,
}

impl FrozenInstance {
    pub(super) fn new(
        board: &Board,
        facts: InstanceFacts,
        last_error: Option<Arc<LastError>>,
        now: Timestamp,
        spare: &Arc<Spare>,
    ) -> Self {
        let mut groups: Box<[StatusCounts]> = board
            .groups
            .iter()
            .map(|changes| StatusCounts {
                connects: changes.connects.load(Ordering::Relaxed),
                disconnects: changes.disconnects.load(Ordering::Relaxed),
                ..StatusCounts::default()
            })
            .collect();
        let mut frozen = spare.take(board.words.len());
        frozen.extend(board.words.iter().enumerate().map(|(index, words)| {
            let known = words
                .read()
                .filter(|(seen, _)| now.since(seen.at) <= facts.stale_after);
            let counts = &mut groups[board.fleet.group_of(index)];
            match known {
                None => counts.unknown += 1,
                Some((seen, _)) if seen.online => counts.online += 1,
                Some(_) => counts.offline += 1,
            }
            known.map_or((0, 0), |(seen, run)| (seen.pack(), run.pack()))
        }));
        Self {
            fleet: Arc::clone(&board.fleet),
            words: frozen,
            groups,
            facts,
            last_error,
            spare: Arc::clone(spare),
        }
    }

    /// The instance.
    #[must_use]
    pub fn id(&self) -> &InstanceId {
        self.fleet.instance()
    }

    /// The clients, in the order of [`FrozenInstance::client`].
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
    pub fn facts(&self) -> &InstanceFacts {
        &self.facts
    }

    /// The newest call that failed for good.
    #[must_use]
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_deref()
    }
}

impl Drop for FrozenInstance {
    fn drop(&mut self) {
        *self.spare.lock() = mem::take(&mut self.words);
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

    fn statuses(frozen: &FrozenInstance) -> Vec<Status> {
        (0..frozen.fleet().len())
            .map(|index| frozen.status(index))
            .collect()
    }

    #[test]
    fn a_copy_is_made_where_the_last_one_was_unless_that_is_still_read() {
        let state = InstanceState::new(fleet(3), Duration::from_secs(300));
        let first = state.freeze(AT);
        state.publish(
            "1",
            Observation {
                online: true,
                at: AT,
                operation: Operation::Single,
            },
        );
        let second = state.freeze(AT);
        assert_eq!(statuses(&first), [Status::Unknown; 3]);
        assert_eq!(
            statuses(&second),
            [Status::Unknown, Status::Online, Status::Unknown]
        );

        let place = second.words.as_ptr();
        drop((first, second));
        let third = state.freeze(AT);
        assert_eq!(third.words.as_ptr(), place);
        assert_eq!(
            statuses(&third),
            [Status::Unknown, Status::Online, Status::Unknown]
        );
    }

    #[test]
    fn a_copy_of_another_fleet_has_room_for_that_one() {
        let state = InstanceState::new(fleet(1000), Duration::from_secs(300));
        drop(state.freeze(AT));
        for clients in [10, 20, 0] {
            state.swap(fleet(clients));
            let frozen = state.freeze(AT);
            assert_eq!(
                (frozen.words.len(), frozen.words.capacity()),
                (clients, clients)
            );
        }
    }
}
