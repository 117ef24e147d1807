//! What a connection waits for its client to do, and how long it may.
//!
//! hyper knows one timeout, for the head of a request, and counts the idle time before it as
//! well. So the connection's reads, writes, requests and answers are watched from outside, and
//! one timer follows from what was seen.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

use super::ServeOptions;

/// What one connection does; its clones watch the same one.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<Seen>>);

struct Seen {
    phase: Phase,
    /// Since when the client has been taking nothing of what is to be written.
    blocked: Option<Instant>,
}

enum Phase {
    /// A head is being read.
    Head { since: Instant },
    /// A request is in flight. `ahead`: the client has sent some of its next request.
    Busy { ahead: bool },
    /// Nothing is.
    Idle { since: Instant },
}

impl Activity {
    /// A connection that begins now, and owes a head.
    pub(super) fn new() -> Self {
        let phase = Phase::Head { since: Instant::now() };
        Self(Arc::new(Mutex::new(Seen { phase, blocked: None })))
    }

    /// Some bytes were read.
    pub(super) fn read(&self) {
        let mut seen = self.lock();
        match &mut seen.phase {
            Phase::Head { .. } => {}
            Phase::Busy { ahead } => *ahead = true,
            Phase::Idle { .. } => seen.phase = Phase::Head { since: Instant::now() },
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

    /// A request has been read.
    pub(super) fn begin(&self) {
        self.lock().phase = Phase::Busy { ahead: false };
    }

    /// The answer to it has been handed over.
    pub(super) fn end(&self) {
        let mut seen = self.lock();
        let since = Instant::now();
        seen.phase = match seen.phase {
            Phase::Busy { ahead: true } => Phase::Head { since },
            _ => Phase::Idle { since },
        };
    }

    /// When the client will have taken too long with what is waited for, if anything is.
    fn deadline(&self, options: &ServeOptions) -> Option<Instant> {
        let seen = self.lock();
        if let Some(since) = seen.blocked {
            return Some(since + options.write_timeout);
        }
        match seen.phase {
            Phase::Head { since } => Some(since + options.header_timeout),
            Phase::Busy { .. } => None,
            Phase::Idle { since } => Some(since + options.idle_timeout),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends when the client of a connection has taken too long. To be polled after each poll of the
/// connection: what happened there moves the deadline.
pub(super) struct Patience {
    activity: Activity,
    options: ServeOptions,
    timer: Pin<Box<Sleep>>,
}

impl Patience {
    pub(super) fn new(activity: Activity, options: ServeOptions) -> Self {
        let timer = Box::pin(sleep_until(Instant::now() + options.header_timeout));
        Self { activity, options, timer }
    }
}

impl Future for Patience {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.activity.deadline(&self.options) else { return Poll::Pending };
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        self.timer.as_mut().poll(cx)
    }
}
