//! What is known of the clients of one instance, two atomic words a client.
//!
//! Writers publish by client ID through the fleet that is current at that moment, under a lock
//! that only writers take; readers freeze the words without it. So a swap of the fleet loses no
//! answer, and neither a swap nor a sweep disturbs a scrape.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::instance_stats::StatsCell;
use super::observation::Run;
use super::snapshot::BufferPool;
use super::{
    Fleet, InstanceId, InstanceSnapshot, InstanceStats, LastError, Observation, Operation,
};
use crate::clock::Timestamp;

/// What became of a published observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The first one, or the same status as before.
    Kept,
    /// The client was known to be offline, and is online.
    Connected,
    /// The client was known to be online, and is offline.
    Disconnected,
    /// Not published: a batch cannot change a status, nor say for the first time that a client is
    /// offline. A single call has to confirm it.
    Unconfirmed,
    /// The client has left the fleet.
    Gone,
}

/// The presence of one instance's clients.
#[derive(Debug)]
pub struct InstanceState {
    id: InstanceId,
    table: ArcSwap<FleetTable>,
    writers: Mutex<()>,
    stats: StatsCell,
    last_error: ArcSwapOption<LastError>,
    pool: Arc<BufferPool>,
}

/// A fleet with the words of its clients and the counters of its groups.
#[derive(Debug)]
pub(super) struct FleetTable {
    pub(super) fleet: Arc<Fleet>,
    pub(super) words: Box<[ClientCell]>,
    pub(super) groups: Box<[GroupChanges]>,
}

/// The observation and the run of one client.
///
/// The run is written first and read last, so that a reader that sees an observation also sees
/// its run; a reader that sees a run newer than its observation reads again.
#[derive(Debug, Default)]
pub(super) struct ClientCell {
    observation: AtomicU64,
    run: AtomicU64,
}

/// How often clients of one group were seen to change.
#[derive(Debug, Default)]
pub(super) struct GroupChanges {
    pub(super) connects: AtomicU64,
    pub(super) disconnects: AtomicU64,
}

impl ClientCell {
    /// The two words as they belong together.
    pub(super) fn read(&self) -> Option<(Observation, Run)> {
        loop {
            let observation = Observation::unpack(self.observation.load(Ordering::Acquire))?;
            let run = Run::unpack(self.run.load(Ordering::Acquire))?;
            if run.online == observation.online && run.since <= observation.at {
                return Some((observation, run));
            }
            std::hint::spin_loop();
        }
    }

    fn write(&self, observation: Observation, run: Run) {
        self.run.store(run.pack(), Ordering::Release);
        self.observation
            .store(observation.pack(), Ordering::Release);
    }
}

impl FleetTable {
    fn empty(fleet: Arc<Fleet>) -> Self {
        let words = (0..fleet.len()).map(|_| ClientCell::default()).collect();
        let groups = fleet
            .groups()
            .iter()
            .map(|_| GroupChanges::default())
            .collect();
        Self {
            fleet,
            words,
            groups,
        }
    }

    /// Takes over the words of the clients and the counters of the groups that `old` has too.
    fn carry(&self, old: &Self) {
        for (index, words) in self.words.iter().enumerate() {
            let before = old.fleet.position(&self.fleet.client(index));
            if let Some((observation, run)) = before.and_then(|at| old.words[at].read()) {
                words.write(observation, run);
            }
        }
        for (group, changes) in self.fleet.groups().iter().zip(&self.groups) {
            let before = old
                .fleet
                .groups()
                .iter()
                .position(|old| old.name == group.name);
            if let Some(old) = before.map(|at| &old.groups[at]) {
                changes
                    .connects
                    .store(old.connects.load(Ordering::Relaxed), Ordering::Relaxed);
                changes
                    .disconnects
                    .store(old.disconnects.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }
}

impl InstanceState {
    /// The state of `fleet` of which nothing is known. An observation counts until it is
    /// `stale_after` old.
    #[must_use]
    pub fn new(fleet: Fleet, stale_after: Duration) -> Self {
        Self {
            id: fleet.instance().clone(),
            table: ArcSwap::from_pointee(FleetTable::empty(Arc::new(fleet))),
            writers: Mutex::new(()),
            stats: StatsCell::new(stale_after),
            last_error: ArcSwapOption::empty(),
            pool: Arc::default(),
        }
    }

    /// The instance.
    #[must_use]
    pub fn id(&self) -> &InstanceId {
        &self.id
    }

    /// The current fleet.
    #[must_use]
    pub fn fleet(&self) -> Arc<Fleet> {
        Arc::clone(&self.table.load().fleet)
    }

    /// Puts `fleet` in the place of the current one. Clients and groups that stay keep what is
    /// known of them; those that left are gone with all their series.
    pub fn swap(&self, fleet: Fleet) {
        let next = FleetTable::empty(Arc::new(fleet));
        let _writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        next.carry(&self.table.load());
        self.table.store(Arc::new(next));
    }

    /// Publishes what the API said about `client`.
    ///
    /// An observation that is older than the one it would replace is dropped: it was overtaken.
    /// One of a batch, which is answered from a cache, is published only where it says what is
    /// known already, or that a client is online of which nothing is known.
    pub fn publish(&self, client: &str, observation: Observation) -> Published {
        let _writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.table.load();
        let Some(index) = table.fleet.position(client) else {
            return Published::Gone;
        };
        let words = &table.words[index];
        let before = words.read();
        if before.is_some_and(|(old, _)| old.at > observation.at) {
            return Published::Kept;
        }
        let is_fresh = |old| !self.is_stale(old, observation.at);
        let needs_confirmation = match before {
            Some((old, _)) if old.online == observation.online => !old.online && !is_fresh(old),
            Some(_) => true,
            None => !observation.online,
        };
        if needs_confirmation && observation.operation == Operation::Batch {
            return Published::Unconfirmed;
        }
        let run = match before {
            Some((old, run)) if old.online == observation.online && is_fresh(old) => run,
            _ => Run {
                online: observation.online,
                since: observation.at,
            },
        };
        words.write(observation, run);
        let changes = &table.groups[table.fleet.group_of(index)];
        match before {
            Some((old, _)) if old.online && !observation.online => {
                changes.disconnects.fetch_add(1, Ordering::Relaxed);
                Published::Disconnected
            }
            Some((old, _)) if !old.online && observation.online => {
                changes.connects.fetch_add(1, Ordering::Relaxed);
                Published::Connected
            }
            _ => Published::Kept,
        }
    }

    /// What is known of `client` at `now`; `None` while it is unknown or not in the fleet.
    #[must_use]
    pub fn observation(&self, client: &str, now: Timestamp) -> Option<Observation> {
        let table = self.table.load();
        let (observation, _) = table.words[table.fleet.position(client)?].read()?;
        (!self.is_stale(observation, now)).then_some(observation)
    }

    /// What is known about the instance itself.
    #[must_use]
    pub fn stats(&self) -> InstanceStats {
        self.stats.read()
    }

    /// Changes what is known about the instance itself.
    pub fn record(&self, change: impl FnOnce(&mut InstanceStats)) {
        self.stats.change(change);
    }

    /// Remembers a call that failed, until the next one does.
    pub fn remember_error(&self, error: LastError) {
        self.last_error.store(Some(Arc::new(error)));
    }

    /// A copy of everything at `now`, in which all families agree.
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> InstanceSnapshot {
        InstanceSnapshot::new(
            &self.table.load(),
            self.stats.read(),
            self.last_error.load_full(),
            now,
            &self.pool,
        )
    }

    fn is_stale(&self, observation: Observation, now: Timestamp) -> bool {
        now.since(observation.at) > self.stats.read().stale_after
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::presence::{FleetBuilder, Status};

    const STALE_AFTER: Duration = Duration::from_secs(300);

    fn fleet(clients: &[&str]) -> Fleet {
        let mut builder = FleetBuilder::new(InstanceId::new("post-cn-1").expect("not empty"));
        for client in clients {
            builder.push(client, []).expect("new");
        }
        builder.build()
    }

    fn seen(online: bool, seconds: u64) -> Observation {
        Observation {
            online,
            at: Timestamp::from_millis(seconds * 1000),
            operation: Operation::Single,
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_run_goes_on_while_the_status_stays_and_starts_anew_after_an_unknown() {
        let state = InstanceState::new(fleet(&["a"]), STALE_AFTER);
        assert_eq!(state.publish("a", seen(false, 1000)), Published::Kept);
        assert_eq!(state.publish("a", seen(false, 1200)), Published::Kept);
        assert_eq!(
            state.snapshot(at(1200)).client(0).map(|(_, run)| run.since),
            Some(at(1000))
        );
        assert_eq!(state.snapshot(at(1501)).client(0), None);
        assert_eq!(state.publish("a", seen(false, 1600)), Published::Kept);
        assert_eq!(
            state.snapshot(at(1600)).client(0).map(|(_, run)| run.since),
            Some(at(1600))
        );
    }

    #[test]
    fn a_change_counts_across_an_unknown_in_between() {
        let state = InstanceState::new(fleet(&["GID_a@@@1"]), STALE_AFTER);
        state.publish("GID_a@@@1", seen(true, 1000));
        assert_eq!(
            state.publish("GID_a@@@1", seen(false, 9000)),
            Published::Disconnected
        );
        assert_eq!(
            state.publish("GID_a@@@1", seen(true, 9001)),
            Published::Connected
        );
        let snapshot = state.snapshot(at(9001));
        assert_eq!(
            (
                snapshot.groups()[0].connects,
                snapshot.groups()[0].disconnects
            ),
            (1, 1)
        );
    }

    #[test]
    fn an_answer_that_was_overtaken_is_dropped() {
        let state = InstanceState::new(fleet(&["a"]), STALE_AFTER);
        state.publish("a", seen(true, 1001));
        assert_eq!(state.publish("a", seen(false, 1000)), Published::Kept);
        assert_eq!(state.observation("a", at(1001)), Some(seen(true, 1001)));
    }

    #[test]
    fn a_batch_changes_no_status_and_makes_nobody_offline() {
        let state = InstanceState::new(fleet(&["a", "b"]), STALE_AFTER);
        let cached = |online, seconds| Observation {
            operation: Operation::Batch,
            ..seen(online, seconds)
        };
        assert_eq!(
            state.publish("a", cached(false, 1000)),
            Published::Unconfirmed
        );
        assert_eq!(state.observation("a", at(1000)), None);
        assert_eq!(state.publish("a", cached(true, 1001)), Published::Kept);
        assert_eq!(
            state.publish("a", cached(false, 1002)),
            Published::Unconfirmed
        );
        assert_eq!(state.observation("a", at(1002)), Some(cached(true, 1001)));
        assert_eq!(
            state.publish("a", seen(false, 1003)),
            Published::Disconnected
        );
        assert_eq!(state.publish("a", cached(false, 1004)), Published::Kept);
        assert_eq!(state.observation("a", at(1004)), Some(cached(false, 1004)));
        assert_eq!(
            state.publish("a", cached(true, 1005)),
            Published::Unconfirmed
        );
        // Once unknown, it is offline for the first time again; and online is still a change.
        assert_eq!(
            state.publish("a", cached(false, 2000)),
            Published::Unconfirmed
        );
        assert_eq!(
            state.publish("a", cached(true, 2000)),
            Published::Unconfirmed
        );
        assert_eq!(state.publish("b", cached(true, 1000)), Published::Kept);
        assert_eq!(state.publish("b", cached(true, 2000)), Published::Kept);
    }

    #[test]
    fn clients_that_stay_keep_what_is_known_and_those_that_left_are_gone() {
        let state = InstanceState::new(fleet(&["a", "GID_x@@@b", "c"]), STALE_AFTER);
        state.publish("a", seen(true, 1000));
        state.publish("GID_x@@@b", seen(true, 1000));
        state.publish("GID_x@@@b", seen(false, 1001));
        state.swap(fleet(&["new", "GID_x@@@b"]));
        assert_eq!(state.publish("a", seen(false, 1002)), Published::Gone);
        assert_eq!(
            state.observation("GID_x@@@b", at(1002)),
            Some(seen(false, 1001))
        );
        let snapshot = state.snapshot(at(1002));
        assert_eq!(snapshot.status(0), Status::Unknown);
        assert_eq!(snapshot.status(1), Status::Offline);
        assert_eq!(snapshot.groups()[1].disconnects, 1);
    }

    proptest! {
        /// Whatever is published, forgotten and swapped: a status is always the last thing said
        /// about that client while it was in the fleet, and never older than `stale_after`.
        #[test]
        fn a_status_is_what_was_said_last(steps in prop::collection::vec((0usize..5, 0u64..400, any::<bool>(), any::<bool>()), 1..60)) {
            let names = ["a", "b", "c", "d", "e"];
            let state = InstanceState::new(fleet(&names), STALE_AFTER);
            let mut said: [Option<Observation>; 5] = [None; 5];
            let (mut now, mut without) = (1000, None);
            for (client, wait, online, swap) in steps {
                now += wait;
                if swap {
                    let kept: Vec<_> = names.iter().copied().enumerate().filter(|&(n, _)| n != client).map(|(_, name)| name).collect();
                    state.swap(fleet(&kept));
                    without = Some(client);
                    said[client] = None;
                } else {
                    let published = state.publish(names[client], seen(online, now));
                    prop_assert_eq!(published == Published::Gone, without == Some(client));
                    if published != Published::Gone {
                        said[client] = Some(seen(online, now));
                    }
                }
                for (n, name) in names.iter().enumerate() {
                    let expected = said[n].filter(|seen| at(now).since(seen.at) <= STALE_AFTER);
                    prop_assert_eq!(state.observation(name, at(now)), expected);
                }
            }
        }
    }
}
