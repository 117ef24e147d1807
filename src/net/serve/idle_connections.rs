//! The connections without a request in flight. At the limit of connections, the one that has been
//! idle longest is evicted, so that idle and half-open connections cannot block a scrape.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The idle connections of a server. Clones share them.
#[derive(Clone, Default)]
pub(super) struct IdleConnections(Arc<Shared>);

#[derive(Default)]
struct Shared {
    idle: Mutex<Idle>,
    /// Notified when a connection becomes idle.
    added: Notify,
}

#[derive(Default)]
struct Idle {
    /// The connections in the order in which they became idle.
    evict: BTreeMap<u64, Arc<Notify>>,
    next: u64,
}

impl IdleConnections {
    /// Adds a connection, which is idle until its first request.
    pub(super) fn join(&self) -> ConnectionSlot {
        let mut slot = ConnectionSlot {
            idle_connections: self.clone(),
            evict: Arc::default(),
            order: None,
        };
        slot.idle();
        slot
    }

    /// Requests that the connection that has been idle longest ends. `false` if none is idle.
    pub(super) fn evict_oldest(&self) -> bool {
        let oldest = self.lock().evict.pop_first();
        oldest.is_some_and(|(_, evict)| {
            evict.notify_one();
            true
        })
    }

    /// Returns when a connection has become idle. It may be busy again.
    pub(super) async fn idle_added(&self) {
        self.0.added.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection of a server.
pub(super) struct ConnectionSlot {
    idle_connections: IdleConnections,
    evict: Arc<Notify>,
    /// The key among the idle connections, if it is one.
    order: Option<u64>,
}

impl ConnectionSlot {
    /// Records that no request is in flight.
    pub(super) fn idle(&mut self) {
        let mut idle = self.idle_connections.lock();
        let order = idle.next;
        idle.next += 1;
        idle.evict.insert(order, Arc::clone(&self.evict));
        self.order = Some(order);
        drop(idle);
        self.idle_connections.0.added.notify_one();
    }

    /// Records that a request is in flight.
    pub(super) fn busy(&mut self) {
        if let Some(order) = self.order.take() {
            self.idle_connections.lock().evict.remove(&order);
        }
    }

    /// Notified when the connection has to end.
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
    fn the_connection_that_has_been_idle_longest_is_evicted_and_busy_ones_stay() {
        let connections = IdleConnections::default();
        let [mut first, second, mut third] = [(); 3].map(|()| connections.join());
        first.busy();
        third.busy();
        third.idle();
        first.idle();
        let order = [&second, &third, &first];
        for (n, slot) in order.into_iter().enumerate() {
            assert!(connections.evict_oldest());
            assert!(evicted(slot) && order[n + 1..].iter().all(|later| !evicted(later)));
        }
        assert!(!connections.evict_oldest());
    }

    #[test]
    fn connections_that_ended_or_are_busy_cannot_be_evicted() {
        let connections = IdleConnections::default();
        drop(connections.join());
        assert!(!connections.evict_oldest());
        let mut busy = connections.join();
        busy.busy();
        assert!(!connections.evict_oldest());
    }
}
