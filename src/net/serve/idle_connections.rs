//! The connections on which nothing is in flight: at the cap, the one that has waited longest for
//! its client makes room. So any number of idle or half-open connections leaves room for a scrape.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connections of a server that wait. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct IdleConnections(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Notified when one more connection is idle.
    more: Notify,
}

#[derive(Default)]
struct Waiting {
    /// By the order in which they began to wait.
    slots: BTreeMap<u64, Arc<Notify>>,
    next: u64,
}

impl IdleConnections {
    /// A new connection, which waits for its first request.
    pub(super) fn join(&self) -> ConnectionSlot {
        let mut slot = ConnectionSlot {
            idle_connections: self.clone(),
            evict: Arc::new(Notify::new()),
            place: None,
        };
        slot.idle();
        slot
    }

    /// Tells the connection that has waited longest to end. `false` if no connection is idle.
    pub(super) fn evict_oldest(&self) -> bool {
        let oldest = self.lock().slots.pop_first();
        oldest.is_some_and(|(_, evict)| {
            evict.notify_one();
            true
        })
    }

    /// Returns when a connection has begun to wait; perhaps it does no more.
    pub(super) async fn idle_added(&self) {
        self.0.more.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's part in it.
pub(super) struct ConnectionSlot {
    idle_connections: IdleConnections,
    evict: Arc<Notify>,
    place: Option<u64>,
}

impl ConnectionSlot {
    /// Nothing is in flight.
    pub(super) fn idle(&mut self) {
        let mut waiting = self.idle_connections.lock();
        let place = waiting.next;
        waiting.next += 1;
        waiting.slots.insert(place, Arc::clone(&self.evict));
        drop(waiting);
        self.place = Some(place);
        self.idle_connections.0.more.notify_one();
    }

    /// A request is in flight.
    pub(super) fn busy(&mut self) {
        if let Some(place) = self.place.take() {
            self.idle_connections.lock().slots.remove(&place);
        }
    }

    /// Notified when the connection must end.
    pub(super) fn evict(&self) -> Arc<Notify> {
        Arc::clone(&self.evict)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.busy();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn evicted(slot: &ConnectionSlot) -> bool {
        slot.evict().notified().now_or_never().is_some()
    }

    #[test]
    fn the_one_that_has_waited_longest_goes_and_those_that_work_stay() {
        let idle_connections = IdleConnections::default();
        let [mut first, second, mut third] = [
            idle_connections.join(),
            idle_connections.join(),
            idle_connections.join(),
        ];
        first.busy();
        third.busy();
        third.idle();
        first.idle();
        let order = [&second, &third, &first];
        for (n, slot) in order.into_iter().enumerate() {
            assert!(idle_connections.evict_oldest());
            assert!(evicted(slot) && order[n + 1..].iter().all(|later| !evicted(later)));
        }
        assert!(!idle_connections.evict_oldest());
    }

    #[test]
    fn those_that_left_are_not_counted_on() {
        let idle_connections = IdleConnections::default();
        drop(idle_connections.join());
        assert!(!idle_connections.evict_oldest());
        let mut busy = idle_connections.join();
        busy.busy();
        assert!(!idle_connections.evict_oldest());
    }
}
