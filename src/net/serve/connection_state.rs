//! The state of a connection, and the timeouts of its client.
//!
//! hyper has one timeout, for the head of a request, which includes the idle time before the head.
//! Therefore reads, writes, requests and responses of a connection are recorded here, and one timer
//! follows the record.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::options::ServeOptions;

/// The key of the stream in [`Record::unread`]; requests are numbered from 1.
const STREAM: u64 = 0;

/// The state of one connection. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct ConnectionState(watch::Sender<Record>);

#[derive(Debug)]
struct Record {
    /// How many requests are in flight.
    requests: usize,
    /// When the last request ended, or the connection began.
    idle_since: Instant,
    /// Since when the head of a request is being read, or is due because the connection is new.
    head_since: Option<Instant>,
    /// How many requests have begun.
    begun: u64,
    /// Since when the client has left available data unread, by request.
    unread: BTreeMap<u64, Instant>,
    /// Notified when no request is in flight any more.
    idle_added: Arc<Notify>,
}

impl ConnectionState {
    /// A new connection, on which a head is due. `idle_added` is notified when it becomes idle.
    pub(super) fn new(idle_added: Arc<Notify>) -> Self {
        let now = Instant::now();
        Self(watch::Sender::new(Record {
            requests: 0,
            idle_since: now,
            head_since: Some(now),
            begun: 0,
            unread: BTreeMap::new(),
            idle_added,
        }))
    }

    /// Records that bytes of a request were read.
    pub(super) fn read(&self) {
        self.0.send_if_modified(|record| {
            let first = record.head_since.is_none();
            record.head_since.get_or_insert_with(Instant::now);
            first
        });
    }

    /// Records whether a write to the stream made progress.
    pub(super) fn written(&self, progress: bool) {
        self.0.send_if_modified(|record| {
            let changed = record.unread.contains_key(&STREAM) == progress;
            if changed {
                record.set_unread(STREAM, !progress);
            }
            changed
        });
    }

    /// Records that a request was read. It is in flight until the returned value is dropped.
    pub(super) fn begin(&self) -> InFlight {
        let mut number = 0;
        self.0.send_modify(|record| {
            record.requests += 1;
            record.head_since = None;
            record.begun += 1;
            number = record.begun;
        });
        let state = self.clone();
        InFlight { number, state }
    }

    /// Since when no request is in flight; `None` if there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let record = self.0.borrow();
        (record.requests == 0).then_some(record.idle_since)
    }

    /// Completes when the client has exceeded a timeout. Poll it after each poll of the connection,
    /// which moves the deadline.
    pub(super) async fn timeout(self, options: ServeOptions) -> Timeout {
        let mut record = self.0.subscribe();
        loop {
            let next = record.borrow_and_update().deadline(&options);
            let changed = record.changed();
            match next {
                None => drop(changed.await),
                Some((deadline, timeout)) => {
                    if timeout_at(deadline, changed).await.is_err() {
                        return timeout;
                    }
                }
            }
        }
    }
}

impl Record {
    /// The next deadline of the client.
    fn deadline(&self, options: &ServeOptions) -> Option<(Instant, Timeout)> {
        if let Some(since) = self.unread.values().min() {
            return Some((*since + options.write_timeout, Timeout::Read));
        }
        if self.requests > 0 {
            return None;
        }
        Some(match self.head_since {
            // A head that was sent ahead of a response is not late while the response is due.
            Some(since) => (
                since.max(self.idle_since) + options.header_timeout,
                Timeout::Head,
            ),
            None => (self.idle_since + options.idle_timeout, Timeout::Idle),
        })
    }

    fn set_unread(&mut self, number: u64, unread: bool) {
        if unread {
            self.unread.insert(number, Instant::now());
        } else {
            self.unread.remove(&number);
        }
    }
}

/// A request without a complete response.
pub(super) struct InFlight {
    number: u64,
    state: ConnectionState,
}

impl InFlight {
    /// Records whether a part of the response is available to the client, which has taken all
    /// earlier parts.
    pub(super) fn offered(&self, available: bool) {
        let set = |record: &mut Record| record.set_unread(self.number, available);
        self.state.0.send_modify(set);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.0.send_modify(|record| {
            record.set_unread(self.number, false);
            record.requests -= 1;
            if record.requests == 0 {
                record.idle_since = Instant::now();
                record.idle_added.notify_one();
            }
        });
    }
}

/// What a client took too long for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timeout {
    /// The TLS handshake, or the head of a request.
    Head,
    /// The next request.
    Idle,
    /// Reading a response.
    Read,
}
