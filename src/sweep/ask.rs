//! The one loop in which questions become calls, and calls become replies.
//!
//! Nothing below it asks twice, and nothing above it calls: sweeps, confirms, probes and `query`
//! all come through here. Each attempt has a permit of its own; what follows from a failed one is
//! decided in [`super::decide`].

use std::ops::ControlFlow;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::decide::{Decision, Tried};
use super::gate::Permit;
use super::target::Target;
use crate::limits::{Priority, Time};
use crate::presence::{BoxFuture, CallError, ErrorClass, Observation, Operation};

/// Somebody who has questions about the clients of an instance.
pub(super) trait Inquiry: Send {
    /// The next client to ask for; after `None`, it is not called again.
    fn next(&mut self) -> Option<Box<str>>;

    /// An attempt failed, and may be made again. `Break` gives up everything.
    fn attempt_failed(&mut self, _error: &CallError) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// The reply to one of its questions. `Break` gives up the rest, calls in flight included.
    fn replied(&mut self, reply: Reply) -> ControlFlow<()>;
}

/// What became of a question.
#[derive(Debug)]
pub(super) struct Reply {
    /// The client that was asked for.
    pub(super) client: Box<str>,
    /// What is known now, or why nothing is.
    pub(super) result: Result<Observation, CallError>,
}

/// How carefully an inquiry begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caution {
    /// With as many calls in flight as the limits allow.
    None,
    /// With one call, until an answer shows that the credentials are accepted.
    Credentials,
    /// With one call, which is not repeated; the inquiry decides about the rest.
    Probe,
}

/// Whom to ask, and how.
#[derive(Debug)]
pub(super) struct Manner {
    /// How carefully to begin.
    pub(super) caution: Caution,
    /// Whether calls go before those of sweeps.
    pub(super) priority: Priority,
    /// No call is repeated after this.
    pub(super) until: Option<Instant>,
}

/// A question on its way.
#[derive(Debug)]
struct Attempt {
    client: Box<str>,
    tried: Tried,
}

/// An attempt that has ended.
struct Ended {
    attempt: Attempt,
    result: Result<Observation, CallError>,
    /// When it left, by the clock of the limits and by ours.
    sent: Time,
    start: Instant,
}

/// Asks everything that `inquiry` wants to know of `target`; whether it was heard out.
pub(super) async fn ask(target: &Target, manner: Manner, inquiry: &mut dyn Inquiry) -> ControlFlow<()> {
    let mut asking = Asking { target, manner, waiting: Vec::new(), refreshed: None };
    let mut calls = FuturesUnordered::new();
    let mut permit: Option<BoxFuture<'_, Permit>> = None;
    let mut next: Option<Attempt> = None;
    let mut more = true;
    loop {
        let now = Instant::now();
        if next.is_none() {
            next = asking.due(now);
        }
        let alone = asking.manner.caution != Caution::None && !(calls.is_empty() && asking.waiting.is_empty());
        if next.is_none() && more && !alone {
            next = inquiry.next().map(Attempt::first);
            more = next.is_some();
        }
        if next.is_none() && calls.is_empty() && asking.waiting.is_empty() {
            return ControlFlow::Continue(());
        }
        if next.is_some() && permit.is_none() {
            permit = Some(Box::pin(target.gate.permit(&target.lane, Operation::Single, asking.manner.priority)));
        }
        let due = asking.waiting.iter().map(|&(at, _)| at).min();
        tokio::select! {
            biased;
            Some(ended) = calls.next() => {
                let ended: Ended = ended;
                if let Err(error) = &ended.result {
                    inquiry.attempt_failed(error)?;
                }
                if let Some(reply) = asking.settle(ended).await {
                    inquiry.replied(reply)?;
                    asking.manner.caution = Caution::None;
                }
            }
            granted = async { permit.as_mut().expect("guarded").await }, if permit.is_some() => {
                permit = None;
                let attempt = next.take().expect("a permit is asked for with an attempt at hand");
                calls.push(call(target, attempt, granted));
            }
            () = async { tokio::time::sleep_until(due.expect("guarded")).await }, if next.is_none() && due.is_some() => {}
        }
    }
}

impl Attempt {
    fn first(client: Box<str>) -> Self {
        Self { client, tried: Tried::default() }
    }
}

/// One attempt: one call, one permit.
async fn call(target: &Target, attempt: Attempt, permit: Permit) -> Ended {
    target.sent(Operation::Single);
    let start = Instant::now();
    let answer = target.source.query(&attempt.client).await;
    let sent = permit.sent;
    drop(permit);
    target.ended(Operation::Single, start, &answer);
    if answer.is_ok() {
        target.lane.budget.refund();
    }
    let at = target.clock.now();
    let result = answer.map(|answer| Observation { online: answer.value, at, operation: Operation::Single });
    Ended { attempt, result, sent, start }
}

struct Asking<'a> {
    target: &'a Target,
    manner: Manner,
    /// Attempts that are made again later, each with its time; there are never many.
    waiting: Vec<(Instant, Attempt)>,
    /// When the credentials were replaced, if they were.
    refreshed: Option<Instant>,
}

impl Asking<'_> {
    /// The attempt whose time has come, if one's has.
    fn due(&mut self, now: Instant) -> Option<Attempt> {
        let at = self.waiting.iter().position(|&(at, _)| at <= now)?;
        Some(self.waiting.swap_remove(at).1)
    }

    /// The reply that `ended` is, unless it is tried again.
    async fn settle(&mut self, ended: Ended) -> Option<Reply> {
        let Ended { mut attempt, mut result, sent, start } = ended;
        if let Err(error) = &mut result {
            self.target.slow_down(Operation::Single, sent, error);
            if let Some(at) = self.again(&mut attempt, error, start).await {
                self.target.retried(Operation::Single);
                self.waiting.push((at, attempt));
                if self.manner.caution == Caution::Credentials && error.authorised() {
                    self.manner.caution = Caution::None;
                }
                return None;
            }
        }
        Some(Reply { client: attempt.client, result })
    }

    /// When to try again, if at all. Refused credentials that cannot be replaced are terminal.
    async fn again(&mut self, attempt: &mut Attempt, error: &mut CallError, start: Instant) -> Option<Instant> {
        let retries = if self.manner.caution == Caution::Probe { 0 } else { self.target.retries };
        let now = Instant::now();
        let at = match attempt.tried.decide(error, retries) {
            Decision::Final => None,
            Decision::Repeat => Some(now),
            Decision::Retry(longest) => self.target.lane.budget.spend().then(|| now + self.target.jitter(longest)),
            Decision::Refresh => self.refresh(start).await.then(Instant::now),
        };
        let at = at.filter(|at| self.manner.until.is_none_or(|until| *at <= until));
        if at.is_none() && error.class == ErrorClass::Credentials {
            error.class = ErrorClass::Terminal;
        }
        at
    }

    /// Whether there are other credentials than those of a call that began at `start`.
    async fn refresh(&mut self, start: Instant) -> bool {
        if self.refreshed.is_some_and(|refreshed| refreshed >= start) {
            return true;
        }
        let changed = self.target.source.refresh_credentials().await;
        if changed {
            self.refreshed = Some(Instant::now());
        }
        changed
    }
}
