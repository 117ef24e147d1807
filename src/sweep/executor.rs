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

impl CallPolicy {
    /// The priorities by operation.
    fn priorities(&self) -> [Priority; 2] {
        let mut priorities = [Priority::Urgent; 2];
        priorities[self.operation as usize] = self.priority;
        priorities
    }
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
                pending[operation as usize] =
                    Some(permit(caller, executor.policy.priorities(), request));
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
                    executor.finish(response, work)?;
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

/// Waits for the right to make a call. `priorities` are those of both operations.
fn permit(caller: &InstanceCaller, priorities: [Priority; 2], request: Request) -> Pending<'_> {
    let InstanceCaller { deps, queue, .. } = caller;
    let priority = priorities[request.operation as usize];
    let permit = deps.limiter.permit(queue, request.operation, priority);
    Box::pin(permit.map(|permit| (request, permit)))
}

/// When a failed call is repeated.
enum Again {
    At(Instant),
    /// As soon as there are other credentials.
    Refreshed,
}

struct Executor<'c> {
    caller: &'c InstanceCaller,
    policy: CallPolicy,
    /// Calls in flight, and requests that wait to be repeated; `None` if one is cancelled.
    calls: FuturesUnordered<BoxFuture<'c, Option<Response>>>,
    /// Whether the breaker has opened.
    stopped: bool,
}

impl Executor<'_> {
    /// Repeats a failed request at a time, or with other credentials, unless it is cancelled before
    /// the call leaves. Without other credentials in time, the failure is the response again.
    fn repeat(&mut self, failed: Response, again: Again) {
        let (caller, cancelled) = (self.caller, self.policy.cancelled.clone());
        let (until, priorities) = (self.policy.until, self.policy.priorities());
        self.calls.push(Box::pin(async move {
            let permit = async {
                match again {
                    Again::At(at) => sleep_until(at).await,
                    Again::Refreshed => {
                        let refreshed = caller.source.refresh_credentials().await;
                        if !refreshed || until.is_some_and(|until| until < Instant::now()) {
                            return Err(failed);
                        }
                    }
                }
                let retries = &caller.deps.metrics.api_retries_total;
                caller.count(retries, failed.request.operation);
                Ok(permit(caller, priorities, failed.request).await)
            };
            Some(match cancelled.run_until_cancelled(permit).await? {
                Ok((request, permit)) => call(caller, request, permit).await,
                Err(failed) => failed,
            })
        }));
    }

    /// Classifies a finished attempt: it is repeated later, or its response goes to `work`.
    fn finish(&mut self, mut response: Response, work: &mut dyn WorkSource) -> ControlFlow<()> {
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
                if let Some(again) = self.again(request, error) {
                    self.repeat(response, again);
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

    /// When a failed call is repeated, if it is. A call that is refused for who made it, and cannot
    /// be repeated in another way, is a terminal error.
    fn again(&self, request: &mut Request, error: &mut CallError) -> Option<Again> {
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
        let again = match decision {
            RetryDecision::Retry(longest) if paid() => {
                let at = Instant::now() + caller.deps.random.part_of(longest);
                let in_time = self.policy.until.is_none_or(|until| at <= until);
                in_time.then_some(Again::At(at))
            }
            RetryDecision::Refresh if paid() => Some(Again::Refreshed),
            _ => None,
        };
        if again.is_none() && (error.class == ErrorClass::Credentials || repeated) {
            error.class = ErrorClass::Terminal;
        }
        again
    }
}
