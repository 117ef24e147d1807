//! The state of a connection, and the timeouts of its client.
//!
//! hyper has one timeout, for the head of a request, which includes the idle time before the head.
//! Therefore reads, writes, requests and responses of a connection are recorded here, and one timer
//! follows the record.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tokio::time::{Instant, sleep};

use super::ServeOptions;
use super::idle_connections::ConnectionSlot;

/// The key of the stream in [`Record::unread`]; requests are numbered from 1.
const STREAM: u64 = 0;

/// The state of one connection. Clones share it.
#[derive(Clone)]
pub(super) struct ConnectionState(Arc<Mutex<Record>>);

struct Record {
    /// How many requests are in flight.
    requests: usize,
    /// Whether the head of a request is being read, or is due because the connection is new.
    head: bool,
    /// When the head began or the connection became idle; of no meaning with requests in flight.
    since: Instant,
    /// How many requests have begun.
    begun: u64,
    /// Since when the client has left available data unread, by request.
    unread: BTreeMap<u64, Instant>,
    slot: ConnectionSlot,
    /// The task that waits for the timeout. The responses of HTTP/2 have tasks of their own.
    waker: Option<Waker>,
}

impl ConnectionState {
    /// A new connection, on which a head is due.
    pub(super) fn new(slot: ConnectionSlot) -> Self {
        Self(Arc::new(Mutex::new(Record {
            requests: 0,
            head: true,
            since: Instant::now(),
            begun: 0,
            unread: BTreeMap::new(),
            slot,
            waker: None,
        })))
    }

    /// Records that bytes of a request were read.
    pub(super) fn read(&self) {
        let mut record = self.lock();
        if !record.head {
            record.head = true;
            record.since = Instant::now();
        }
    }

    /// Records whether a write to the stream made progress.
    pub(super) fn written(&self, progress: bool) {
        self.lock().set_unread(STREAM, !progress, false);
    }

    /// Records that a request was read. It is in flight until the returned value is dropped.
    pub(super) fn begin(&self) -> InFlight {
        let mut record = self.lock();
        if record.requests == 0 {
            record.slot.busy();
        }
        record.requests += 1;
        record.head = false;
        record.begun += 1;
        InFlight {
            number: record.begun,
            state: self.clone(),
        }
    }

    /// Completes when the client has exceeded a timeout. Poll it after each poll of the connection,
    /// which moves the deadline.
    pub(super) fn timeout(&self, options: ServeOptions) -> impl Future<Output = Timeout> + use<> {
        let (state, mut timer) = (self.clone(), Box::pin(sleep(options.header_timeout)));
        poll_fn(move |cx| {
            let Some((deadline, timeout)) = state.deadline(&options, cx.waker()) else {
                return Poll::Pending;
            };
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            timer.as_mut().poll(cx).map(|()| timeout)
        })
    }

    /// The next deadline of the client; without one, `waker` is woken when there may be one.
    fn deadline(&self, options: &ServeOptions, waker: &Waker) -> Option<(Instant, Timeout)> {
        let mut record = self.lock();
        if let Some(since) = record.unread.values().min() {
            return Some((*since + options.write_timeout, Timeout::Read));
        }
        if record.requests > 0 {
            record.waker = Some(waker.clone());
            return None;
        }
        Some(if record.head {
            (record.since + options.header_timeout, Timeout::Head)
        } else {
            (record.since + options.idle_timeout, Timeout::Idle)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Records whether data are unread; `again` restarts the time.
    fn set_unread(&mut self, key: u64, unread: bool, again: bool) {
        if !unread {
            self.unread.remove(&key);
        } else if again || !self.unread.contains_key(&key) {
            self.unread.insert(key, Instant::now());
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
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
        let mut record = self.state.lock();
        record.set_unread(self.number, available, true);
        record.wake();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut record = self.state.lock();
        record.unread.remove(&self.number);
        record.requests -= 1;
        if record.requests == 0 {
            record.since = Instant::now();
            record.slot.idle();
        }
        record.wake();
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
