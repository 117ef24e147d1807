//! The presence of the clients of one instance.
//!
//! Writers publish by client ID through the current fleet, under a lock that only writers take;
//! snapshots are taken without it. So a swap of the fleet loses no answer, and neither a swap nor a
//! sweep delays a scrape.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::snapshot::BufferPool;
use super::table::FleetTable;
use super::{
    Fleet, InstanceId, InstanceSnapshot, InstanceStats, LastError, Observation, Operation,
};
use crate::clock::Moment;

/// The result of [`InstanceState::publish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The first observation, one with the same status as before, or one that was overtaken.
    Kept,
    /// The client was offline and is online.
    Connected,
    /// The client was online and is offline.
    Disconnected,
    /// Not published, a single call has to confirm it: a batch cannot change a status, and cannot be
    /// the first to report a client offline; and two calls that were in flight at the same time
    /// returned different statuses, which does not prove which status is the newer one.
    Unconfirmed,
    /// The client has left the fleet.
    Gone,
}

/// The presence of the clients of one instance.
#[derive(Debug)]
pub struct InstanceState {
    id: InstanceId,
    table: ArcSwap<FleetTable>,
    writers: Mutex<()>,
    stats: Mutex<InstanceStats>,
    pool: Arc<BufferPool>,
}

impl InstanceState {
    /// The state of `fleet`, with all clients unknown. An observation expires when it is older than
    /// `stale_after`.
    #[must_use]
    pub fn new(fleet: Fleet, stale_after: Duration) -> Self {
        Self {
            id: fleet.instance().clone(),
            table: ArcSwap::from_pointee(FleetTable::empty(fleet)),
            writers: Mutex::new(()),
            stats: Mutex::new(InstanceStats {
                stale_after,
                planned_stale_after: stale_after,
                ..InstanceStats::default()
            }),
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

    /// Replaces the fleet. Clients and groups in both fleets keep their state; those that left lose
    /// it, with all their series.
    pub fn swap(&self, fleet: Fleet) {
        let mut next = FleetTable::empty(fleet);
        let _writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        next.carry_over(&self.table.load());
        self.table.store(Arc::new(next));
    }

    /// Publishes an answer of the API about `client`.
    ///
    /// Observations are ordered by the time at which their calls were sent. One that was overtaken
    /// changes no status. One that disagrees with the current one is not published if their calls
    /// overlapped. An observation of a batch, which comes from a cache, is published only if it
    /// confirms the current status, or if the client is unknown and the batch reports it online.
    pub fn publish(&self, client: &str, observation: Observation) -> Published {
        let _writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.table.load();
        let Some(index) = table.fleet.position(client) else {
            return Published::Gone;
        };
        let before = table.cells[index].read();
        if let Some((old, since)) = before {
            let (overtaken, agrees) = (old.at > observation.at, old.online == observation.online);
            // A batch reports what its cache contains, whenever its call was sent.
            let is_ordered = overtaken || old.operation == Operation::Single;
            let is_single = observation.operation == Operation::Single;
            if !agrees && is_single && is_ordered && old.overlaps(observation) {
                return Published::Unconfirmed;
            }
            if overtaken {
                // The status lasted, in some order, until the later of both answers.
                if agrees && is_single && observation.answered > old.answered {
                    let answered = observation.answered;
                    table.cells[index].write(Observation { answered, ..old }, since);
                }
                return Published::Kept;
            }
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
        let since = match before {
            Some((old, since)) if old.online == observation.online && is_fresh(old) => since,
            _ => observation.at,
        };
        table.cells[index].write(observation, since);
        if before.is_none_or(|(old, _)| old.online == observation.online) {
            return Published::Kept;
        }
        let changes = &table.changes[table.fleet.group_of(index)];
        let (counter, published) = if observation.online {
            (&changes.connects, Published::Connected)
        } else {
            (&changes.disconnects, Published::Disconnected)
        };
        counter.fetch_add(1, Ordering::Relaxed);
        published
    }

    /// The observation of `client` at `now`; `None` if the client is unknown or not in the fleet.
    #[must_use]
    pub fn observation(&self, client: &str, now: Moment) -> Option<Observation> {
        let table = self.table.load();
        let (observation, _) = table.cells[table.fleet.position(client)?].read()?;
        (!self.is_stale(observation, now)).then_some(observation)
    }

    /// What is known about the instance itself.
    #[must_use]
    pub fn stats(&self) -> InstanceStats {
        self.lock_stats().clone()
    }

    /// Changes what is known about the instance itself.
    pub fn record(&self, change: impl FnOnce(&mut InstanceStats)) {
        change(&mut self.lock_stats());
    }

    /// Records the newest failed call.
    pub fn record_error(&self, error: LastError) {
        self.record(|stats| stats.last_error = Some(Arc::new(error)));
    }

    /// A consistent copy of everything at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Moment) -> InstanceSnapshot {
        InstanceSnapshot::new(&self.table.load(), self.stats(), now, &self.pool)
    }

    fn is_stale(&self, observation: Observation, now: Moment) -> bool {
        now.since(observation.at) > self.lock_stats().stale_after
    }

    fn lock_stats(&self) -> MutexGuard<'_, InstanceStats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
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
        called(online, seconds, seconds)
    }

    fn called(online: bool, sent: u64, answered: u64) -> Observation {
        Observation {
            online,
            at: at(sent),
            answered: at(answered),
            operation: Operation::Single,
        }
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_run_continues_with_the_status_and_restarts_after_unknown() {
        let state = InstanceState::new(fleet(&["a"]), STALE_AFTER);
        assert_eq!(state.publish("a", seen(false, 1000)), Published::Kept);
        assert_eq!(state.publish("a", seen(false, 1200)), Published::Kept);
        assert_eq!(
            state.snapshot(at(1200)).client(0).map(|(_, since)| since),
            Some(at(1000))
        );
        assert_eq!(state.snapshot(at(1501)).client(0), None);
        assert_eq!(state.publish("a", seen(false, 1600)), Published::Kept);
        assert_eq!(
            state.snapshot(at(1600)).client(0).map(|(_, since)| since),
            Some(at(1600))
        );
    }

    #[test]
    fn a_change_is_counted_across_unknown() {
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
    fn an_overtaken_observation_is_dropped() {
        let state = InstanceState::new(fleet(&["a"]), STALE_AFTER);
        state.publish("a", seen(true, 1001));
        assert_eq!(state.publish("a", seen(false, 1000)), Published::Kept);
        assert_eq!(state.observation("a", at(1001)), Some(seen(true, 1001)));
    }

    #[test]
    fn a_late_answer_does_not_replace_that_of_a_newer_call() {
        let state = InstanceState::new(fleet(&["a"]), STALE_AFTER);
        state.publish("a", seen(true, 1000));
        state.publish("a", called(true, 1251, 1252));
        // It was sent before, and answered after: either status may be the newer one.
        let late = called(false, 1210, 1511);
        assert_eq!(state.publish("a", late), Published::Unconfirmed);
        assert_eq!(
            state.publish("a", called(true, 1512, 1513)),
            Published::Kept
        );
        let snapshot = state.snapshot(at(1513));
        assert_eq!(snapshot.status(0), Status::Online);
        assert_eq!(snapshot.groups()[0].disconnects, 0);
    }

    #[test]
    fn calls_that_overlap_and_disagree_are_made_once_more() {
        let state = InstanceState::new(fleet(&["a"]), STALE_AFTER);
        state.publish("a", called(true, 1000, 1010));
        assert_eq!(
            state.publish("a", called(false, 1005, 1020)),
            Published::Unconfirmed
        );
        assert_eq!(
            state.publish("a", called(false, 1020, 1021)),
            Published::Disconnected
        );
        // A batch is ordered before or after a single call by its operation, not by its duration.
        let cached = Observation {
            operation: Operation::Batch,
            ..called(false, 1030, 1040)
        };
        assert_eq!(state.publish("a", cached), Published::Kept);
        assert_eq!(
            state.publish("a", called(true, 1035, 1041)),
            Published::Connected
        );
        // An overtaken answer lasts until it arrives.
        assert_eq!(
            state.publish("a", called(true, 1034, 1050)),
            Published::Kept
        );
        assert_eq!(
            state.publish("a", called(false, 1045, 1051)),
            Published::Unconfirmed
        );
        assert_eq!(
            state.publish("a", called(false, 1051, 1052)),
            Published::Disconnected
        );
    }

    #[test]
    fn a_batch_changes_no_status_and_makes_no_client_offline() {
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
        // After unknown, offline is again the first report, and online is still a change.
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
    fn a_swap_keeps_the_state_of_clients_in_both_fleets_only() {
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
        /// For any order of sends and answers, a published change is newer than every answer with
        /// another status that arrived before it; and a call that overlaps no other is published.
        #[test]
        fn a_change_is_newer_than_all_earlier_answers(calls in prop::collection::vec((0_u64..300, 0_u64..40, 0_u64..=40, any::<bool>()), 1..40)) {
            let state = InstanceState::new(fleet(&["a"]), Duration::MAX);
            // Sent, when the API looked the status up, answered.
            let mut calls: Vec<_> = calls.into_iter().map(|(sent, took, looked, online)| (sent + took, sent, sent + looked.min(took), online)).collect();
            calls.sort_unstable();
            let mut heard: Vec<(u64, bool)> = Vec::new();
            for (index, &(answered, sent, looked, online)) in calls.iter().enumerate() {
                let published = state.publish("a", called(online, sent, answered));
                if matches!(published, Published::Connected | Published::Disconnected) {
                    let newer = heard.iter().all(|&(at, other)| other == online || at <= looked);
                    prop_assert!(newer, "{published:?} at {looked} after {heard:?}");
                }
                let alone = calls[..index].iter().all(|&(answered, ..)| answered < sent);
                if alone {
                    prop_assert_ne!(published, Published::Unconfirmed);
                    prop_assert_eq!(state.observation("a", at(answered)).map(|seen| seen.online), Some(online));
                }
                heard.push((looked, online));
            }
        }

        /// For any sequence of publications and swaps, a status is the last observation of the client
        /// since it joined the fleet, and never older than `stale_after`.
        #[test]
        fn a_status_is_the_last_observation(steps in prop::collection::vec((0usize..5, 0u64..400, any::<bool>(), any::<bool>()), 1..60)) {
            let names = ["a", "b", "c", "d", "e"];
            let state = InstanceState::new(fleet(&names), STALE_AFTER);
            let mut observed: [Option<Observation>; 5] = [None; 5];
            let (mut now, mut without) = (1000, None);
            for (client, wait, online, swap) in steps {
                now += wait;
                if swap {
                    let kept: Vec<_> = names.iter().copied().enumerate().filter(|&(n, _)| n != client).map(|(_, name)| name).collect();
                    state.swap(fleet(&kept));
                    without = Some(client);
                    observed[client] = None;
                } else {
                    let published = state.publish(names[client], seen(online, now));
                    prop_assert_eq!(published == Published::Gone, without == Some(client));
                    if published != Published::Gone {
                        observed[client] = Some(seen(online, now));
                    }
                }
                for (n, name) in names.iter().enumerate() {
                    let expected = observed[n].filter(|seen| at(now).since(seen.at) <= STALE_AFTER);
                    prop_assert_eq!(state.observation(name, at(now)), expected);
                }
            }
        }
    }
}
