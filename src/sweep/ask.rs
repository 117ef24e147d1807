//! The one loop in which questions become calls, and calls become replies.
//!
//! Nothing below it asks twice, and nothing above it calls: sweeps, confirms, probes and `query`
//! all come through here. Each attempt has a permit of its own; what follows from a failed one is
//! decided in [`super::decide`].

mod inquiry;

use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use inquiry::Reply;
pub(super) use inquiry::{BatchAnswer, BatchReply, Inquiry};
use inquiry::{Question, Replied};

use super::decide::{Decision, Tried};
use super::gate::Permit;
use super::target::Target;
use crate::clock::Timestamp;
use crate::limits::{Priority, Time};
use crate::presence::{ApiResponse, BoxFuture, CallError, ErrorClass, Observation, Operation};

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
    /// Whether single calls go before those of sweeps. Batches never do.
    pub(super) priority: Priority,
    /// No call is repeated after this.
    pub(super) until: Option<Instant>,
    /// Once it is cancelled no call begins any more; those in flight are still heard.
    pub(super) enough: CancellationToken,
}

/// A question on its way.
struct Attempt {
    question: Question,
    tried: Tried,
}

/// An attempt that has ended.
struct Ended {
    replied: Replied,
    tried: Tried,
    /// When it left, by the clock of the limits and by ours.
    sent: Time,
    start: Instant,
}

/// Where the questions of one kind wait for their permits, one at a time.
struct Door<'t> {
    operation: Operation,
    next: Option<Attempt>,
    permit: Option<BoxFuture<'t, Permit>>,
}

/// Asks everything that `inquiry` wants to know of `target`; whether it was heard out.
pub(super) async fn ask(
    target: &Target,
    manner: Manner,
    inquiry: &mut dyn Inquiry,
) -> ControlFlow<()> {
    let mut asking = Asking {
        target,
        manner,
        waiting: Vec::new(),
        refreshed: None,
    };
    let mut calls = FuturesUnordered::new();
    // Batches first: gathering one may find clients that are to be asked for by themselves.
    let mut doors = [Operation::Batch, Operation::Single].map(Door::new);
    loop {
        let now = Instant::now();
        let enough = asking.manner.enough.is_cancelled();
        if enough {
            asking.waiting.clear();
            doors.iter_mut().for_each(Door::clear);
        }
        let mut wake = None;
        for n in 0..doors.len() {
            let quiet =
                calls.is_empty() && asking.waiting.is_empty() && doors.iter().all(Door::is_empty);
            let open = !enough && (quiet || asking.manner.caution == Caution::None);
            let door = &mut doors[n];
            if door.is_empty() {
                door.next = asking
                    .due(door.operation, now)
                    .or_else(|| if open { door.question(inquiry) } else { None });
            }
            if door.is_empty() {
                let resumes = if open {
                    inquiry.resumes_at(door.operation)
                } else {
                    None
                };
                wake = [wake, resumes, asking.due_at(door.operation)]
                    .into_iter()
                    .flatten()
                    .min();
            } else if door.permit.is_none() {
                door.permit = Some(asking.permit(door.operation));
            }
        }
        if wake.is_none() && calls.is_empty() && doors.iter().all(Door::is_empty) {
            return ControlFlow::Continue(());
        }
        let [batches, singles] = &mut doors;
        let (attempt, permit) = tokio::select! {
            biased;
            Some(ended) = calls.next() => {
                let ended: Ended = ended;
                if let Some(error) = ended.replied.error() {
                    inquiry.attempt_failed(error)?;
                }
                if let Some(replied) = asking.settle(ended).await {
                    match replied {
                        Replied::One(reply) => inquiry.replied(reply)?,
                        Replied::Batch(reply) => inquiry.replied_batch(reply)?,
                    }
                    asking.manner.caution = Caution::None;
                }
                continue;
            }
            () = asking.manner.enough.cancelled(), if !enough => continue,
            opened = batches.opens() => opened,
            opened = singles.opens() => opened,
            () = async { tokio::time::sleep_until(wake.expect("guarded")).await }, if wake.is_some() => continue,
        };
        calls.push(call(target, attempt, permit));
    }
}

impl Door<'_> {
    fn new(operation: Operation) -> Self {
        Self {
            operation,
            next: None,
            permit: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.next.is_none()
    }

    /// Nobody wants to go out any more.
    fn clear(&mut self) {
        (self.next, self.permit) = (None, None);
    }

    /// A question that was not asked before.
    fn question(&self, inquiry: &mut dyn Inquiry) -> Option<Attempt> {
        let question = match self.operation {
            Operation::Single => Question::One(inquiry.next()?),
            Operation::Batch => Question::Batch(inquiry.next_batch()?),
        };
        Some(Attempt {
            question,
            tried: Tried::default(),
        })
    }

    /// What goes out, once it may.
    async fn opens(&mut self) -> (Attempt, Permit) {
        let Some(permit) = &mut self.permit else {
            return std::future::pending().await;
        };
        let permit = permit.await;
        self.permit = None;
        (
            self.next
                .take()
                .expect("a permit is asked for with an attempt at hand"),
            permit,
        )
    }
}

/// One attempt: one call, one permit.
async fn call(target: &Target, attempt: Attempt, permit: Permit) -> Ended {
    let Attempt { question, tried } = attempt;
    let start = Instant::now();
    let sent = permit.sent;
    let replied = match question {
        Question::One(client) => {
            let Made { result, at, took } = record(
                target,
                Operation::Single,
                permit,
                target.source.query(&client),
            )
            .await;
            let request_id = result
                .as_ref()
                .map_or_else(|error| &error.request_id, |answer| &answer.request_id)
                .clone();
            let result = result.map(|answer| Observation {
                online: answer.value,
                at,
                operation: Operation::Single,
            });
            Replied::One(Reply {
                client,
                result,
                took,
                request_id,
            })
        }
        Question::Batch(clients) => {
            let ids: Vec<&str> = clients.iter().map(|client| &**client).collect();
            let Made { result, at, .. } = record(
                target,
                Operation::Batch,
                permit,
                target.source.query_batch(&ids),
            )
            .await;
            let result = result.map(|answer| BatchAnswer {
                entries: answer.value,
                at,
            });
            Replied::Batch(BatchReply { clients, result })
        }
    };
    Ended {
        replied,
        tried,
        sent,
        start,
    }
}

/// A call that was made: what it said, or why it said nothing.
struct Made<T> {
    result: Result<ApiResponse<T>, CallError>,
    at: Timestamp,
    took: Duration,
}

/// Makes a call and counts it.
async fn record<T>(
    target: &Target,
    operation: Operation,
    permit: Permit,
    call: BoxFuture<'_, Result<ApiResponse<T>, CallError>>,
) -> Made<T> {
    target.sent(operation);
    let start = Instant::now();
    let result = call.await;
    let took = start.elapsed();
    drop(permit);
    target.ended(operation, start, &result);
    if result.is_ok() {
        target.lane.budget.refund();
    }
    Made {
        result,
        at: target.clock.now(),
        took,
    }
}

struct Asking<'t> {
    target: &'t Target,
    manner: Manner,
    /// Attempts that are made again later, each with its time; there are never many.
    waiting: Vec<(Instant, Attempt)>,
    /// When the credentials were replaced, if they were.
    refreshed: Option<Instant>,
}

impl<'t> Asking<'t> {
    /// The right to make a call.
    fn permit(&self, operation: Operation) -> BoxFuture<'t, Permit> {
        let priority = match operation {
            Operation::Single => self.manner.priority,
            Operation::Batch => Priority::Ordinary,
        };
        Box::pin(
            self.target
                .gate
                .permit(&self.target.lane, operation, priority),
        )
    }

    /// The attempt whose time has come, if one's has.
    fn due(&mut self, operation: Operation, now: Instant) -> Option<Attempt> {
        let at = self
            .waiting
            .iter()
            .position(|(at, attempt)| *at <= now && attempt.question.operation() == operation)?;
        Some(self.waiting.swap_remove(at).1)
    }

    /// When the next attempt's time will come.
    fn due_at(&self, operation: Operation) -> Option<Instant> {
        self.waiting
            .iter()
            .filter(|(_, attempt)| attempt.question.operation() == operation)
            .map(|(at, _)| *at)
            .min()
    }

    /// The reply that `ended` is, unless it is tried again.
    async fn settle(&mut self, ended: Ended) -> Option<Replied> {
        let Ended {
            mut replied,
            mut tried,
            sent,
            start,
        } = ended;
        let operation = replied.operation();
        if let Some(error) = replied.error_mut() {
            self.target.slow_down(operation, sent, error);
            if let Some(at) = self.again(&mut tried, error, start).await {
                self.target.retried(operation);
                if self.manner.caution == Caution::Credentials && error.authorised() {
                    self.manner.caution = Caution::None;
                }
                self.waiting.push((
                    at,
                    Attempt {
                        question: replied.question(),
                        tried,
                    },
                ));
                return None;
            }
        }
        Some(replied)
    }

    /// When to try again, if at all. Refused credentials that cannot be replaced are terminal.
    async fn again(
        &mut self,
        tried: &mut Tried,
        error: &mut CallError,
        start: Instant,
    ) -> Option<Instant> {
        let retries = if self.manner.caution == Caution::Probe {
            0
        } else {
            self.target.retries
        };
        let now = Instant::now();
        let at = match tried.decide(error, retries) {
            Decision::Final => None,
            Decision::Repeat => Some(now),
            Decision::Retry(longest) => self
                .target
                .lane
                .budget
                .spend()
                .then(|| now + self.target.jitter(longest)),
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
