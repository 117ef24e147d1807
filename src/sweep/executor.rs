//! The one loop in which questions become calls, and calls become replies.
//!
//! Nothing below it asks twice, and nothing above it calls: sweeps, confirms, probes and `query`
//! all come through here. Each attempt has a permit of its own; what follows from a failed one is
//! decided in [`super::decide`].

mod request;

use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use request::QueryResult;
pub(super) use request::{BatchAnswer, BatchResult, WorkSource};
use request::{Request, Response};

use super::caller::InstanceCaller;
use super::limiter::CallPermit;
use super::retry::{Attempts, RetryDecision};
use crate::clock::Timestamp;
use crate::limits::{Priority, Time};
use crate::presence::{ApiResponse, BoxFuture, CallError, ErrorClass, Observation, Operation};

/// How carefully an work begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartMode {
    /// With as many calls in flight as the limits allow.
    None,
    /// With one call, until an answer shows that the credentials are accepted.
    Credentials,
    /// With one call, which is not repeated; the work decides about the rest.
    Probe,
}

/// Which clients to query, and how.
#[derive(Debug)]
pub(super) struct CallPolicy {
    /// How carefully to begin.
    pub(super) start: StartMode,
    /// Whether single calls go before those of sweeps. Batches never do.
    pub(super) priority: Priority,
    /// No call is repeated after this.
    pub(super) until: Option<Instant>,
    /// Once it is cancelled no call begins any more; those in flight are still heard.
    pub(super) enough: CancellationToken,
}

/// A question on its way.
struct Attempt {
    question: Request,
    attempts: Attempts,
}

/// An attempt that has ended.
struct Ended {
    replied: Response,
    attempts: Attempts,
    /// When it left, by the clock of the limits and by ours.
    sent: Time,
    start: Instant,
}

/// Where the questions of one kind wait for their permits, one at a time.
struct PendingSlot<'t> {
    operation: Operation,
    next: Option<Attempt>,
    permit: Option<BoxFuture<'t, CallPermit>>,
}

/// Asks everything that `work` wants to know of `caller`; whether it was heard out.
pub(super) async fn execute(
    caller: &InstanceCaller,
    policy: CallPolicy,
    work: &mut dyn WorkSource,
) -> ControlFlow<()> {
    let mut executor = Executor {
        caller,
        policy,
        waiting: Vec::new(),
        refreshed: None,
    };
    let mut calls = FuturesUnordered::new();
    // Batches first: gathering one may find clients that are to be asked for by themselves.
    let mut slots = [Operation::Batch, Operation::Single].map(PendingSlot::new);
    loop {
        let now = Instant::now();
        let enough = executor.policy.enough.is_cancelled();
        if enough {
            executor.waiting.clear();
            slots.iter_mut().for_each(PendingSlot::clear);
        }
        let mut wake = None;
        for n in 0..slots.len() {
            let quiet = calls.is_empty()
                && executor.waiting.is_empty()
                && slots.iter().all(PendingSlot::is_empty);
            let open = !enough && (quiet || executor.policy.start == StartMode::None);
            let slot = &mut slots[n];
            if slot.is_empty() {
                slot.next = executor
                    .due(slot.operation, now)
                    .or_else(|| if open { slot.question(work) } else { None });
            }
            if slot.is_empty() {
                let resumes = if open {
                    work.resumes_at(slot.operation)
                } else {
                    None
                };
                wake = [wake, resumes, executor.due_at(slot.operation)]
                    .into_iter()
                    .flatten()
                    .min();
            } else if slot.permit.is_none() {
                slot.permit = Some(executor.permit(slot.operation));
            }
        }
        if wake.is_none() && calls.is_empty() && slots.iter().all(PendingSlot::is_empty) {
            return ControlFlow::Continue(());
        }
        let [batches, singles] = &mut slots;
        let (attempt, permit) = tokio::select! {
            biased;
            Some(ended) = calls.next() => {
                let ended: Ended = ended;
                if let Some(error) = ended.replied.error() {
                    work.attempt_failed(error)?;
                }
                if let Some(replied) = executor.settle(ended).await {
                    match replied {
                        Response::One(reply) => work.replied(reply)?,
                        Response::Batch(reply) => work.replied_batch(reply)?,
                    }
                    executor.policy.start = StartMode::None;
                }
                continue;
            }
            () = executor.policy.enough.cancelled(), if !enough => continue,
            opened = batches.opens() => opened,
            opened = singles.opens() => opened,
            () = async { tokio::time::sleep_until(wake.expect("guarded")).await }, if wake.is_some() => continue,
        };
        calls.push(call(caller, attempt, permit));
    }
}

impl PendingSlot<'_> {
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
    fn question(&self, work: &mut dyn WorkSource) -> Option<Attempt> {
        let question = match self.operation {
            Operation::Single => Request::One(work.next()?),
            Operation::Batch => Request::Batch(work.next_batch()?),
        };
        Some(Attempt {
            question,
            attempts: Attempts::default(),
        })
    }

    /// What goes out, once it may.
    async fn opens(&mut self) -> (Attempt, CallPermit) {
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
async fn call(caller: &InstanceCaller, attempt: Attempt, permit: CallPermit) -> Ended {
    let Attempt { question, attempts } = attempt;
    let start = Instant::now();
    let sent = permit.sent;
    let replied = match question {
        Request::One(client) => {
            let CallOutcome { result, at, took } = record(
                caller,
                Operation::Single,
                permit,
                caller.source.query(&client),
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
            Response::One(QueryResult {
                client,
                result,
                took,
                request_id,
            })
        }
        Request::Batch(clients) => {
            let ids: Vec<&str> = clients.iter().map(|client| &**client).collect();
            let CallOutcome { result, at, .. } = record(
                caller,
                Operation::Batch,
                permit,
                caller.source.query_batch(&ids),
            )
            .await;
            let result = result.map(|answer| BatchAnswer {
                entries: answer.value,
                at,
            });
            Response::Batch(BatchResult { clients, result })
        }
    };
    Ended {
        replied,
        attempts,
        sent,
        start,
    }
}

/// A call that was made: what it said, or why it said nothing.
struct CallOutcome<T> {
    result: Result<ApiResponse<T>, CallError>,
    at: Timestamp,
    took: Duration,
}

/// Makes a call and counts it.
async fn record<T>(
    caller: &InstanceCaller,
    operation: Operation,
    permit: CallPermit,
    call: BoxFuture<'_, Result<ApiResponse<T>, CallError>>,
) -> CallOutcome<T> {
    caller.sent(operation);
    let start = Instant::now();
    let result = call.await;
    let took = start.elapsed();
    if matches!(
        &result,
        Ok(_)
            | Err(CallError {
                class: ErrorClass::Client,
                ..
            })
    ) {
        permit.granted();
    }
    drop(permit);
    caller.ended(operation, start, &result);
    if result.is_ok() {
        caller.queue.budget.refund();
    }
    CallOutcome {
        result,
        at: caller.clock.now(),
        took,
    }
}

struct Executor<'t> {
    caller: &'t InstanceCaller,
    policy: CallPolicy,
    /// Attempts that are made again later, each with its time; there are never many.
    waiting: Vec<(Instant, Attempt)>,
    /// When the credentials were replaced, if they were.
    refreshed: Option<Instant>,
}

impl<'t> Executor<'t> {
    /// The right to make a call.
    fn permit(&self, operation: Operation) -> BoxFuture<'t, CallPermit> {
        let priority = match operation {
            Operation::Single => self.policy.priority,
            Operation::Batch => Priority::Ordinary,
        };
        Box::pin(
            self.caller
                .limiter
                .permit(&self.caller.queue, operation, priority),
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

    /// The reply that `ended` is, unless it is attempts again.
    async fn settle(&mut self, ended: Ended) -> Option<Response> {
        let Ended {
            mut replied,
            mut attempts,
            sent,
            start,
        } = ended;
        let operation = replied.operation();
        if let Some(error) = replied.error_mut() {
            self.caller.slow_down(operation, sent, error);
            if let Some(at) = self.again(&mut attempts, error, start).await {
                self.caller.retried(operation);
                if self.policy.start == StartMode::Credentials && error.authorised() {
                    self.policy.start = StartMode::None;
                }
                self.waiting.push((
                    at,
                    Attempt {
                        question: replied.question(),
                        attempts,
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
        attempts: &mut Attempts,
        error: &mut CallError,
        start: Instant,
    ) -> Option<Instant> {
        let retries = if self.policy.start == StartMode::Probe {
            0
        } else {
            self.caller.retries
        };
        let now = Instant::now();
        let at = match attempts.decide(error, retries) {
            RetryDecision::Final => None,
            RetryDecision::Repeat => Some(now),
            RetryDecision::Retry(longest) => self
                .caller
                .queue
                .budget
                .spend()
                .then(|| now + self.caller.jitter(longest)),
            RetryDecision::Refresh => self.refresh(start).await.then(Instant::now),
        };
        let at = at.filter(|at| self.policy.until.is_none_or(|until| *at <= until));
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
        let changed = self.caller.source.refresh_credentials().await;
        if changed {
            self.refreshed = Some(Instant::now());
        }
        changed
    }
}
