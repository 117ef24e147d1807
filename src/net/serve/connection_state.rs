//! What a connection waits for its client to do, and how long it may.
//!
//! hyper knows one timeout, for the head of a request, and counts the idle time before it as
//! well. So the connection's reads, writes, requests and answers are observed from outside, and
//! one timer follows from what was seen.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::{Instant, Sleep, sleep_until};
use tracing::debug;

use super::ServeOptions;
use super::idle_connections::ConnectionSlot;

/// What one connection does; its clones watch the same one.
#[derive(Clone)]
pub(super) struct ConnectionState(Arc<Mutex<Seen>>);

struct Seen {
    phase: Phase,
    /// How many requests have been begun in all; each is named by its number.
    begun: u64,
    /// Since when the client has been taking nothing of what is to be written.
    blocked: Option<Instant>,
    /// Since when the client has been taking nothing of a single answer, by its request.
    offered: BTreeMap<u64, Instant>,
    slot: ConnectionSlot,
    /// Who is to look again when something changes; several tasks make answers of HTTP/2.
    watcher: Option<Waker>,
}

enum Phase {
    /// A head is being read.
    Head { since: Instant },
    /// Requests are in flight. `ahead`: the client has sent some of its next one.
    Busy { requests: usize, ahead: bool },
    /// Nothing is.
    Idle { since: Instant },
}

impl ConnectionState {
    /// A connection that begins now, and owes a head.
    pub(super) fn new(slot: ConnectionSlot) -> Self {
        let phase = Phase::Head {
            since: Instant::now(),
        };
        Self(Arc::new(Mutex::new(Seen {
            phase,
            begun: 0,
            blocked: None,
            offered: BTreeMap::new(),
            slot,
            watcher: None,
        })))
    }

    /// Some bytes of a request were read.
    pub(super) fn read(&self) {
        let mut seen = self.lock();
        match &mut seen.phase {
            Phase::Head { .. } => {}
            Phase::Busy { ahead, .. } => *ahead = true,
            Phase::Idle { .. } => {
                seen.phase = Phase::Head {
                    since: Instant::now(),
                }
            }
        }
    }

    /// A write came to `progress`.
    pub(super) fn write<T>(&self, progress: &Poll<T>) {
        let mut seen = self.lock();
        match progress {
            Poll::Ready(_) => seen.blocked = None,
            Poll::Pending => {
                seen.blocked.get_or_insert_with(Instant::now);
            }
        }
    }

    /// A request has been read; it is in flight until what is given back is dropped.
    pub(super) fn begin(&self) -> InFlight {
        let mut seen = self.lock();
        match &mut seen.phase {
            Phase::Busy { requests, ahead } => {
                *requests += 1;
                *ahead = false;
            }
            phase => {
                *phase = Phase::Busy {
                    requests: 1,
                    ahead: false,
                };
                seen.slot.busy();
            }
        }
        seen.begun += 1;
        InFlight {
            number: seen.begun,
            state: self.clone(),
        }
    }

    /// When the client will have taken too long with what is waited for, if anything is.
    /// Where nothing is, `watcher` is woken once something may be.
    fn deadline(&self, options: &ServeOptions, watcher: &Waker) -> Option<(Instant, Overdue)> {
        let mut seen = self.lock();
        let unread = seen
            .blocked
            .into_iter()
            .chain(seen.offered.values().copied())
            .min();
        if let Some(since) = unread {
            return Some((since + options.write_timeout, Overdue::Reading));
        }
        match seen.phase {
            Phase::Head { since } => Some((since + options.header_timeout, Overdue::Head)),
            Phase::Idle { since } => Some((since + options.idle_timeout, Overdue::Request)),
            Phase::Busy { .. } => {
                seen.watcher = Some(watcher.clone());
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn changed(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.wake();
        }
    }
}

/// A request that is being answered.
pub(super) struct InFlight {
    number: u64,
    state: ConnectionState,
}

impl InFlight {
    /// The client is offered some of its answer.
    pub(super) fn offered(&self) {
        let mut seen = self.state.lock();
        seen.offered.insert(self.number, Instant::now());
        seen.changed();
    }

    /// The client has room for more of it.
    pub(super) fn taken(&self) {
        self.state.lock().offered.remove(&self.number);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut seen = self.state.lock();
        seen.offered.remove(&self.number);
        let since = Instant::now();
        seen.phase = match seen.phase {
            Phase::Busy { requests, ahead } if requests > 1 => Phase::Busy {
                requests: requests - 1,
                ahead,
            },
            Phase::Busy { ahead: true, .. } => Phase::Head { since },
            _ => Phase::Idle { since },
        };
        if !matches!(seen.phase, Phase::Busy { .. }) {
            seen.slot.idle();
        }
        seen.changed();
    }
}

/// What a client has taken too long with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// With the beginning of the connection, or of a request.
    Head,
    /// With a further request.
    Request,
    /// With reading an answer.
    Reading,
}

impl Overdue {
    pub(super) fn log(self) {
        debug!(waited_for = ?self, "a client took too long; its connection is ended");
    }
}

/// Ends when the client of a connection has taken too long. To be polled after each poll of the
/// connection: what happened there moves the deadline.
pub(super) struct ConnectionTimeouts {
    state: ConnectionState,
    options: ServeOptions,
    timer: Pin<Box<Sleep>>,
}

impl ConnectionTimeouts {
    pub(super) fn new(state: ConnectionState, options: ServeOptions) -> Self {
        let timer = Box::pin(sleep_until(Instant::now() + options.header_timeout));
        Self {
            state,
            options,
            timer,
        }
    }
}

impl Future for ConnectionTimeouts {
    type Output = Overdue;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Overdue> {
        let Some((deadline, overdue)) = self.state.deadline(&self.options, cx.waker()) else {
            return Poll::Pending;
        };
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        self.timer.as_mut().poll(cx).map(|()| overdue)
    }
}
