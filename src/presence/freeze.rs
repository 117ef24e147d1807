//! A frozen copy of an instance's state: 16 bytes a client, from which a scrape is rendered.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::state::Board;
use super::{Fleet, InstanceFacts, InstanceId, Observation, Run, Status};
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

/// Everything known of one instance at one moment.
#[derive(Debug)]
pub struct FrozenInstance {
    fleet: Arc<Fleet>,
    /// Observation and run of each client, packed; zeroes while it is unknown.
    words: Box<[(u64, u64)]>,
    groups: Box<[StatusCounts]>,
    facts: InstanceFacts,
}

impl FrozenInstance {
    pub(super) fn new(board: &Board, facts: InstanceFacts, now: Timestamp) -> Self {
        let mut groups: Box<[StatusCounts]> = board
            .groups
            .iter()
            .map(|changes| StatusCounts {
                connects: changes.connects.load(Ordering::Relaxed),
                disconnects: changes.disconnects.load(Ordering::Relaxed),
                ..StatusCounts::default()
            })
            .collect();
        let words = board.words.iter().enumerate().map(|(index, words)| {
            let known = words.read().filter(|(seen, _)| now.since(seen.at) <= facts.stale_after);
            let counts = &mut groups[board.fleet.group_of(index)];
            match known {
                None => counts.unknown += 1,
                Some((seen, _)) if seen.online => counts.online += 1,
                Some(_) => counts.offline += 1,
            }
            known.map_or((0, 0), |(seen, run)| (seen.pack(), run.pack()))
        });
        let words = words.collect();
        Self { fleet: Arc::clone(&board.fleet), words, groups, facts }
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
        self.client(index).map_or(Status::Unknown, |(observation, _)| observation.status())
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
}
