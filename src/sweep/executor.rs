//! The loop that turns requests into calls: permit, call, classify.
//!
//! It is the only retry loop of the process: sweeps, confirmations, probes and `query` use it, and
//! nothing below it retries. Each attempt has its own permit. [`super::retry`] decides about failed
//! attempts, [`super::caller`] about the breaker.

mod request;

use std::ops::ControlFlow;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use request::QueryResult;
pub(super) use request::{Request, Response, WorkSource};

use super::breaker::StartMode;
use super::caller::{InstanceCaller, Purpose};
use super::limiter::CallPermit;
use super::retry::{Attempts, RetryDecision};
use crate::limits::{Priority, Time};
use crate::presence::{BoxFuture, CallError, ErrorClass, Operation};

/// How calls are made.
#[derive(Debug)]
pub(super) struct CallPolicy {
    pub(super) purpose: Purpose,
    pub(super) start: StartMode,
    /// The priority of single calls. Batch calls are always ordinary.
    pub(super) priority: Priority,
    /// No call is repeated after this time.
    pub(super) until: Option<Instant>,
    /// When it is cancelled, no further call starts; calls in flight are completed.
    pub(super) cancelled: CancellationToken,
}

/// A request and its attempts so far.
struct Attempt {
    request: Request,
    attempts: Attempts,
}

/// A finished attempt.
struct Finished {
    response: Response,
    attempts: Attempts,
    /// The time at which the call left, for the limits and for the executor.
    sent: Time,
    started: Instant,
}

/// The next request of an operation, which waits for its permit.
struct PendingSlot<'c> {
    operation: Operation,
    next: Option<Attempt>,
    permit: Option<BoxFuture<'c, CallPermit>>,
}

/// Makes all calls of `work`. `Break` if the breaker or `work` has stopped it.
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
    // Batches first: the next batch may add requests for single calls.
    let mut slots = [Operation::Batch, Operation::Single].map(|operation| PendingSlot {
        operation,
        next: None,
        permit: None,
    });
    loop {
        let now = Instant::now();
        let cancelled = executor.policy.cancelled.is_cancelled();
        if cancelled {
            executor.waiting.clear();
            slots.iter_mut().for_each(PendingSlot::clear);
        }
        let mut wake = None;
        for n in 0..slots.len() {
            let idle = calls.is_empty()
                && executor.waiting.is_empty()
                && slots.iter().all(PendingSlot::is_empty);
            let open = !cancelled && (idle || executor.policy.start == StartMode::Full);
            let slot = &mut slots[n];
            let operation = slot.operation;
            if slot.is_empty() {
                slot.next = executor.due(operation, now);
            }
            if slot.is_empty() && open {
                slot.next = work.next(operation).map(|clients| Attempt {
                    request: Request { operation, clients },
                    attempts: Attempts::default(),
                });
            }
            if slot.is_empty() {
                let resumes = open.then(|| work.resumes_at(operation)).flatten();
                let times = [wake, resumes, executor.due_at(operation)];
                wake = times.into_iter().flatten().min();
            } else if slot.permit.is_none() {
                slot.permit = Some(executor.permit(operation));
            }
        }
        if wake.is_none() && calls.is_empty() && slots.iter().all(PendingSlot::is_empty) {
            return ControlFlow::Continue(());
        }
        let [batches, singles] = &mut slots;
        let (attempt, permit) = tokio::select! {
            biased;
            Some(finished) = calls.next() => {
                executor.finish(finished, work).await?;
                continue;
            }
            () = executor.policy.cancelled.cancelled(), if !cancelled => continue,
            granted = batches.granted() => granted,
            granted = singles.granted() => granted,
            () = async { tokio::time::sleep_until(wake.expect("guarded")).await }, if wake.is_some() => continue,
        };
        calls.push(call(caller, attempt, permit));
    }
}

impl PendingSlot<'_> {
    fn is_empty(&self) -> bool {
        self.next.is_none()
    }

    fn clear(&mut self) {
        (self.next, self.permit) = (None, None);
    }

    /// The attempt, when it has its permit.
    async fn granted(&mut self) -> (Attempt, CallPermit) {
        let Some(permit) = &mut self.permit else {
            return std::future::pending().await;
        };
        let permit = permit.await;
        self.permit = None;
        let attempt = self.next.take();
        (attempt.expect("a permit belongs to an attempt"), permit)
    }
}

/// Makes one call, with one permit, and counts it.
async fn call(caller: &InstanceCaller, attempt: Attempt, permit: CallPermit) -> Finished {
    let Attempt { request, attempts } = attempt;
    let (started, sent) = (Instant::now(), permit.sent);
    caller.count_sent(request.operation);
    let ids: Vec<&str> = request.clients.iter().map(|client| &**client).collect();
    let result = match request.operation {
        Operation::Single => {
            let answer = caller.source.query(ids[0]).await;
            answer.map(|answer| (vec![Some(answer.value)], answer.request_id))
        }
        Operation::Batch => {
            let answer = caller.source.query_batch(&ids).await;
            answer.map(|answer| {
                let entries = answer.value;
                let status = |id: &&str| entries.iter().find(|entry| entry.client == *id);
                let statuses = ids.iter().map(|id| status(id).map(|entry| entry.online));
                (statuses.collect(), answer.request_id)
            })
        }
    };
    let took = started.elapsed();
    let refused = |error: &CallError| error.class != ErrorClass::Client;
    if !result.as_ref().is_err_and(refused) {
        permit.granted();
    }
    drop(permit);
    caller.count_ended(request.operation, took, &result);
    let (result, request_id) = match result {
        Ok((statuses, request_id)) => (Ok(statuses), request_id),
        Err(error) => {
            let request_id = error.request_id.clone();
            (Err(error), request_id)
        }
    };
    let at = caller.clock.now();
    Finished {
        response: Response {
            request,
            result,
            request_id,
            at,
            took,
        },
        attempts,
        sent,
        started,
    }
}

struct Executor<'c> {
    caller: &'c InstanceCaller,
    policy: CallPolicy,
    /// Attempts that are repeated later, each with its time; there are never many.
    waiting: Vec<(Instant, Attempt)>,
    /// The time at which the credentials were replaced.
    refreshed: Option<Instant>,
}

impl<'c> Executor<'c> {
    /// The right to make a call.
    fn permit(&self, operation: Operation) -> BoxFuture<'c, CallPermit> {
        let priority = match operation {
            Operation::Single => self.policy.priority,
            Operation::Batch => Priority::Ordinary,
        };
        let InstanceCaller { limiter, queue, .. } = self.caller;
        Box::pin(limiter.permit(queue, operation, priority))
    }

    /// An attempt that is to be repeated now.
    fn due(&mut self, operation: Operation, now: Instant) -> Option<Attempt> {
        let due = |(at, attempt): &(Instant, Attempt)| {
            *at <= now && attempt.request.operation == operation
        };
        let index = self.waiting.iter().position(due)?;
        Some(self.waiting.swap_remove(index).1)
    }

    /// The time of the next repetition.
    fn due_at(&self, operation: Operation) -> Option<Instant> {
        let same = |(_, attempt): &&(Instant, Attempt)| attempt.request.operation == operation;
        self.waiting.iter().filter(same).map(|(at, _)| *at).min()
    }

    /// Classifies a finished attempt: it is repeated later, or its response goes to `work`.
    async fn finish(&mut self, finished: Finished, work: &mut dyn WorkSource) -> ControlFlow<()> {
        let Finished {
            mut response,
            mut attempts,
            sent,
            started,
        } = finished;
        let operation = response.request.operation;
        let mut verdict = ControlFlow::Continue(());
        if let Err(error) = &mut response.result {
            self.caller.slow_down(operation, sent, error);
            verdict = self.caller.attempt_failed(self.policy.purpose, error);
            if verdict.is_continue() {
                if let Some(at) = self.retry_at(&mut attempts, error, started).await {
                    self.caller.count_retry(operation);
                    if self.policy.start == StartMode::Careful && error.authorised() {
                        self.policy.start = StartMode::Full;
                    }
                    let request = response.request;
                    self.waiting.push((at, Attempt { request, attempts }));
                    return ControlFlow::Continue(());
                }
                let CallPolicy { purpose, start, .. } = self.policy;
                verdict = self.caller.failed(purpose, start, operation, error);
            }
        } else {
            self.caller.succeeded();
        }
        work.completed(response)?;
        self.policy.start = StartMode::Full;
        verdict
    }

    /// The time to repeat a failed call, if it is repeated. Refused credentials that cannot be
    /// replaced are a terminal error.
    async fn retry_at(
        &mut self,
        attempts: &mut Attempts,
        error: &mut CallError,
        started: Instant,
    ) -> Option<Instant> {
        let retries = match self.policy.start {
            StartMode::Trial => 0,
            StartMode::Full | StartMode::Careful => self.caller.retries,
        };
        let now = Instant::now();
        let at = match attempts.decide(error, retries) {
            RetryDecision::Final => None,
            RetryDecision::Repeat => Some(now),
            RetryDecision::Retry(longest) => {
                let wait = || now + self.caller.random.part_of(longest);
                self.caller.queue.budget.spend().then(wait)
            }
            RetryDecision::Refresh => self.refresh(started).await.then(Instant::now),
        };
        let at = at.filter(|at| self.policy.until.is_none_or(|until| *at <= until));
        if at.is_none() && error.class == ErrorClass::Credentials {
            error.class = ErrorClass::Terminal;
        }
        at
    }

    /// Whether the credentials differ from those of a call that started at `started`.
    async fn refresh(&mut self, started: Instant) -> bool {
        if self.refreshed.is_some_and(|refreshed| refreshed >= started) {
            return true;
        }
        let changed = self.caller.source.refresh_credentials().await;
        if changed {
            self.refreshed = Some(Instant::now());
        }
        changed
    }
}
