//! The connections on which nothing is in flight: at the cap, the one that has waited longest for
//! its client makes room. So any number of idle or half-open connections leaves room for a scrape.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connections of a server that wait. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Crowd(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Told when one more waits.
    more: Notify,
}

#[derive(Default)]
struct Waiting {
    /// By the order in which they began to wait.
    members: BTreeMap<u64, Arc<Notify>>,
    next: u64,
}

impl Crowd {
    /// A new connection, which waits for its first request.
    pub(super) fn join(&self) -> Member {
        let mut member = Member {
            crowd: self.clone(),
            told: Arc::new(Notify::new()),
            place: None,
        };
        member.waits();
        member
    }

    /// Tells the connection that has waited longest to end. `false` where none waits.
    pub(super) fn send_oldest_away(&self) -> bool {
        let oldest = self.lock().members.pop_first();
        oldest.is_some_and(|(_, told)| {
            told.notify_one();
            true
        })
    }

    /// Returns when a connection has begun to wait; perhaps it does no more.
    pub(super) async fn someone_waits(&self) {
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
pub(super) struct Member {
    crowd: Crowd,
    told: Arc<Notify>,
    place: Option<u64>,
}

impl Member {
    /// Nothing is in flight.
    pub(super) fn waits(&mut self) {
        let mut waiting = self.crowd.lock();
        let place = waiting.next;
        waiting.next += 1;
        waiting.members.insert(place, Arc::clone(&self.told));
        drop(waiting);
        self.place = Some(place);
        self.crowd.0.more.notify_one();
    }

    /// A request is in flight.
    pub(super) fn works(&mut self) {
        if let Some(place) = self.place.take() {
            self.crowd.lock().members.remove(&place);
        }
    }

    /// What is told when the connection has to end.
    pub(super) fn told(&self) -> Arc<Notify> {
        Arc::clone(&self.told)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.works();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn told(member: &Member) -> bool {
        member.told().notified().now_or_never().is_some()
    }

    #[test]
    fn the_one_that_has_waited_longest_goes_and_those_that_work_stay() {
        let crowd = Crowd::default();
        let [mut first, second, mut third] = [crowd.join(), crowd.join(), crowd.join()];
        first.works();
        third.works();
        third.waits();
        first.waits();
        let order = [&second, &third, &first];
        for (n, member) in order.into_iter().enumerate() {
            assert!(crowd.send_oldest_away());
            assert!(told(member) && order[n + 1..].iter().all(|later| !told(later)));
        }
        assert!(!crowd.send_oldest_away());
    }

    #[test]
    fn those_that_left_are_not_counted_on() {
        let crowd = Crowd::default();
        drop(crowd.join());
        assert!(!crowd.send_oldest_away());
        let mut busy = crowd.join();
        busy.works();
        assert!(!crowd.send_oldest_away());
    }
}
