//! The loop that turns requests into calls: permit, call, classify.
//!
//! It is the only retry loop of the process: sweeps, confirmations, probes and `query` use it, and
//! nothing below it retries. Each attempt has its own permit. [`super::retry`] decides about failed
//! attempts, [`super::caller`] about the breaker.

mod request;

use std::ops::ControlFlow;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub use request::QueryResult;
pub(super) use request::{Request, Response, WorkSource};

use super::breaker::StartMode;
use super::caller::{InstanceCaller, Purpose, lock};
use super::limiter::CallPermit;
use super::retry::{Attempts, RetryDecision};
use crate::limits::{Outcome, Priority};
use crate::presence::{BoxFuture, CallError, Delivery, ErrorClass, Operation};

/// How calls are made.
#[derive(Debug)]
pub(super) struct CallPolicy {
    pub(super) purpose: Purpose,
    /// The operation that was admitted.
    pub(super) operation: Operation,
    pub(super) start: StartMode,
    /// The priority of the admitted operation. Calls of the other one are confirmations.
    pub(super) priority: Priority,
    /// No call is repeated after this time.
    pub(super) until: Option<Instant>,
    /// When it is cancelled, no further call starts; calls in flight are completed.
    pub(super) cancelled: CancellationToken,
}

/// A request that waits for its permit.
type Pending<'c> = BoxFuture<'c, (Request, CallPermit)>;

/// Makes all calls of `work`. `Break` if the breaker or `work` has stopped it. After the breaker
/// opened, no further call leaves, and the answers of those in flight are still heard.
pub(super) async fn execute(
    caller: &InstanceCaller,
    mut policy: CallPolicy,
    work: &mut dyn WorkSource,
) -> ControlFlow<()> {
    policy.cancelled = policy.cancelled.child_token();
    let mut executor = Executor {
        caller,
        policy,
        calls: FuturesUnordered::new(),
        refreshed: None,
        stopped: false,
    };
    // The next request of each operation.
    let mut pending: [Option<Pending<'_>>; 2] = [None, None];
    loop {
        let cancelled = executor.policy.cancelled.is_cancelled();
        if cancelled {
            pending = [None, None];
        }
        let mut wake = None;
        // Batches first: the next batch may add requests for single calls.
        for operation in [Operation::Batch, Operation::Single] {
            let idle = executor.calls.is_empty() && pending.iter().all(Option::is_none);
            let open = !cancelled && (idle || executor.policy.start == StartMode::Full);
            let admitted = operation == executor.policy.operation || caller.admits(operation);
            if !open || !admitted || pending[operation as usize].is_some() {
                continue;
            }
            if let Some(clients) = work.next(operation) {
                if operation != executor.policy.operation {
                    // If this is a trial call, it is the only one.
                    let _ = lock(&caller.breaker).admit(operation, Instant::now());
                }
                let attempts = Attempts::default();
                let request = Request {
                    operation,
                    clients,
                    attempts,
                };
                pending[operation as usize] = Some(executor.permit(request));
            } else {
                let times = [wake, work.resumes_at(operation)];
                wake = times.into_iter().flatten().min();
            }
        }
        let [single, batch] = &mut pending;
        if wake.is_none() && executor.calls.is_empty() && batch.is_none() && single.is_none() {
            return if executor.stopped {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            };
        }
        let (request, permit) = tokio::select! {
            biased;
            Some(response) = executor.calls.next() => {
                if let Some(response) = response {
                    executor.finish(response, work).await?;
                }
                continue;
            }
            () = executor.policy.cancelled.cancelled(), if !cancelled => continue,
            granted = granted(batch) => granted,
            granted = granted(single) => granted,
            () = async { sleep_until(wake.expect("guarded")).await }, if wake.is_some() => continue,
        };
        let call = call(caller, request, permit);
        executor.calls.push(Box::pin(call.map(Some)));
    }
}

/// The request of `pending`, when it has its permit.
async fn granted(pending: &mut Option<Pending<'_>>) -> (Request, CallPermit) {
    let Some(permit) = pending else {
        return std::future::pending().await;
    };
    let granted = permit.await;
    *pending = None;
    granted
}

/// Makes one call, with one permit, and counts it.
async fn call(caller: &InstanceCaller, request: Request, permit: CallPermit) -> Response {
    let (started, sent) = (Instant::now(), permit.sent);
    let ids: Vec<&str> = request.clients.iter().map(|client| &**client).collect();
    let result = match request.operation {
        Operation::Single => {
            let answer = caller.source.query(ids[0]).await;
            answer.map(|answer| (vec![Some(answer.value)], answer.sent, answer.request_id))
        }
        Operation::Batch => {
            let answer = caller.source.query_batch(&ids).await;
            answer.map(|answer| {
                let entries = answer.value;
                let status = |id: &&str| entries.iter().find(|entry| entry.client == *id);
                let statuses = ids.iter().map(|id| status(id).map(|entry| entry.online));
                (statuses.collect(), answer.sent, answer.request_id)
            })
        }
    };
    let took = started.elapsed();
    let refused = |error: &CallError| error.class != ErrorClass::Client;
    if !result.as_ref().is_err_and(refused) {
        permit.granted();
    }
    permit.finish(match &result {
        Ok(_) => Outcome::Answered,
        Err(error) => match error.delivery {
            Delivery::NotSent => Outcome::NotSent,
            Delivery::Unanswered => Outcome::Unanswered,
            Delivery::Answered => Outcome::Answered,
        },
    });
    caller.count_ended(request.operation, took, result.as_ref().err());
    let clock = &caller.deps.clock;
    let (left, request_id) = match &result {
        Ok((_, left, request_id)) => (*left, request_id.clone()),
        Err(error) => (started, error.request_id.clone()),
    };
    Response {
        request,
        result: result.map(|(statuses, ..)| statuses),
        request_id,
        sent,
        started,
        span: (clock.moment_of(left), clock.moment()),
        took,
    }
}

struct Executor<'c> {
    caller: &'c InstanceCaller,
    policy: CallPolicy,
    /// Calls in flight, and requests that wait to be repeated; `None` if one is cancelled.
    calls: FuturesUnordered<BoxFuture<'c, Option<Response>>>,
    /// The time at which the credentials were replaced.
    refreshed: Option<Instant>,
    /// Whether the breaker has opened.
    stopped: bool,
}

impl<'c> Executor<'c> {
    /// Waits for the right to make a call.
    fn permit(&self, request: Request) -> Pending<'c> {
        let priority = if request.operation == self.policy.operation {
            self.policy.priority
        } else {
            Priority::Urgent
        };
        let InstanceCaller { deps, queue, .. } = self.caller;
        let permit = deps.limiter.permit(queue, request.operation, priority);
        Box::pin(permit.map(|permit| (request, permit)))
    }

    /// Repeats a request at a time, unless it is cancelled before the call leaves.
    fn repeat(&mut self, request: Request, at: Instant) {
        let (caller, cancelled) = (self.caller, self.policy.cancelled.clone());
        let permit = self.permit(request);
        self.calls.push(Box::pin(async move {
            let permit = async {
                sleep_until(at).await;
                permit.await
            };
            let (request, permit) = cancelled.run_until_cancelled(permit).await?;
            Some(call(caller, request, permit).await)
        }));
    }

    /// Classifies a finished attempt: it is repeated later, or its response goes to `work`.
    async fn finish(
        &mut self,
        mut response: Response,
        work: &mut dyn WorkSource,
    ) -> ControlFlow<()> {
        let (operation, started) = (response.request.operation, response.started);
        let (caller, purpose) = (self.caller, self.policy.purpose);
        let mut verdict = ControlFlow::Continue(());
        if let Err(error) = &mut response.result {
            let InstanceCaller { deps, queue, .. } = caller;
            deps.limiter
                .call_failed(queue, operation, response.sent, error.class);
            verdict = caller.attempt_failed(purpose, operation, error, started);
            if verdict.is_continue() && !self.stopped {
                let request = &mut response.request;
                if let Some(at) = self.retry_at(request, error, started).await {
                    caller.count(&deps.metrics.api_retries_total, operation);
                    self.repeat(response.request, at);
                    return ControlFlow::Continue(());
                }
                verdict = caller.failed(purpose, operation, error, started);
            }
            let answered = lock(&caller.breaker).was_answered();
            if error.class == ErrorClass::Client && answered {
                self.policy.start = StartMode::Full;
            } else if self.policy.start == StartMode::Trial {
                verdict = ControlFlow::Break(());
            }
        } else {
            caller.succeeded(operation, started);
            self.policy.start = StartMode::Full;
        }
        if verdict.is_break() {
            self.stopped = true;
            self.policy.cancelled.cancel();
        }
        work.completed(response)
    }

    /// The time to repeat a failed call, if it is repeated. A call that is refused for who made it,
    /// and cannot be repeated in another way, is a terminal error.
    async fn retry_at(
        &mut self,
        request: &mut Request,
        error: &mut CallError,
        started: Instant,
    ) -> Option<Instant> {
        let caller = self.caller;
        let open = lock(&caller.breaker).open_until(request.operation);
        let retries = match self.policy.start {
            StartMode::Trial => 0,
            _ if open.is_some() => 0,
            _ => caller.retries,
        };
        let repeated = request.attempts.was_repeated(error.class);
        let decision = request.attempts.decide(error, retries);
        let paid = || caller.queue.account.budget.spend();
        let at = match decision {
            RetryDecision::Retry(longest) if paid() => {
                Some(Instant::now() + caller.deps.random.part_of(longest))
            }
            RetryDecision::Refresh if paid() => self.refresh(started).await.then(Instant::now),
            _ => None,
        };
        let at = at.filter(|at| self.policy.until.is_none_or(|until| *at <= until));
        if at.is_none() && (error.class == ErrorClass::Credentials || repeated) {
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
