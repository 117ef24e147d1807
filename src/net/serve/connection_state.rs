//! The state of a connection, and the timeouts of its client.
//!
//! hyper has one timeout, for the head of a request, which includes the idle time before the head.
//! Therefore reads, writes, requests and responses of a connection are recorded here, and one timer
//! follows the record.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::options::ServeOptions;

/// The key of the stream in [`Record::unread`]; requests are numbered from 1.
const STREAM: u64 = 0;

/// The state of one connection. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct ConnectionState(Arc<Mutex<Record>>);

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
    /// The task that waits for the timeout. The responses of HTTP/2 have tasks of their own.
    waker: Option<Waker>,
}

impl ConnectionState {
    /// A new connection, on which a head is due. `idle_added` is notified when it becomes idle.
    pub(super) fn new(idle_added: Arc<Notify>) -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(Record {
            requests: 0,
            idle_since: now,
            head_since: Some(now),
            begun: 0,
            unread: BTreeMap::new(),
            idle_added,
            waker: None,
        })))
    }

    /// Records that bytes of a request were read.
    pub(super) fn read(&self) {
        self.lock().head_since.get_or_insert_with(Instant::now);
    }

    /// Records whether a write to the stream made progress.
    pub(super) fn written(&self, progress: bool) {
        let unread = &mut self.lock().unread;
        if progress {
            unread.remove(&STREAM);
        } else {
            unread.entry(STREAM).or_insert_with(Instant::now);
        }
    }

    /// Records that a request was read. It is in flight until the returned value is dropped.
    pub(super) fn begin(&self) -> InFlight {
        let mut record = self.lock();
        record.requests += 1;
        record.head_since = None;
        record.begun += 1;
        InFlight {
            number: record.begun,
            state: self.clone(),
        }
    }

    /// Since when no request is in flight; `None` if there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let record = self.lock();
        (record.requests == 0).then_some(record.idle_since)
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
        let idle_since = record.idle_since;
        Some(match record.head_since {
            // A head that was sent ahead of a response is not late while the response is due.
            Some(since) => (
                since.max(idle_since) + options.header_timeout,
                Timeout::Head,
            ),
            None => (idle_since + options.idle_timeout, Timeout::Idle),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
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
        if available {
            record.unread.insert(self.number, Instant::now());
        } else {
            record.unread.remove(&self.number);
        }
        record.wake();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut record = self.state.lock();
        record.unread.remove(&self.number);
        record.requests -= 1;
        if record.requests == 0 {
            record.idle_since = Instant::now();
            record.idle_added.notify_one();
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
