//! Queries of single clients outside sweeps, for a caller that waits for the answer.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::breaker::StartMode;
use super::caller::{InstanceCaller, Purpose, lock};
use super::executor::{CallPolicy, QueryResult, Response, WorkSource, execute};
use crate::limits::Priority;
use crate::presence::{CallError, InstanceState, Observation, Operation, Published};

/// Why a probe has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProbeError {
    /// The call failed.
    #[error(transparent)]
    Failed(Box<CallError>),
    /// No call was made, because earlier calls failed in a way that further calls cannot resolve.
    #[error(
        "not queried: calls to {instance} failed with an error that a retry does not resolve (see the log); \
         the next call is in {wait:.0?} at the earliest"
    )]
    Refused {
        /// The instance.
        instance: String,
        /// The time until the next call.
        wait: Duration,
    },
    /// The limits or the API took longer than the deadline.
    #[error(
        "not answered in time; raise the timeout, or probe fewer clients or less often if the limits delay calls"
    )]
    Late,
    /// The process is stopping, or the instance was removed from the configuration.
    #[error(
        "not answered: the exporter is stopping, or the instance was removed from the configuration"
    )]
    Stopping,
}

/// Queries single clients of one instance.
///
/// Concurrent probes of the same client share one call. A real-time status that is younger than
/// `max_age` is used again, whatever queried it.
#[derive(Clone, Debug)]
pub struct Prober {
    pub(super) caller: Arc<InstanceCaller>,
    pub(super) probes: Arc<Probes>,
    pub(super) max_age: Duration,
}

/// The probes of one instance.
#[derive(Debug, Default)]
pub(super) struct Probes {
    /// Cancelled when the instance has left.
    pub(super) gone: CancellationToken,
    pending: Mutex<PendingProbes>,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct PendingProbes {
    /// The probes in progress; their tasks own them.
    open: HashMap<Box<str>, Weak<PendingProbe>>,
    /// Recent observations of clients outside the fleet, which no state keeps.
    outsiders: HashMap<Box<str>, Observation>,
    /// Cancels the probes whose calls have not left.
    cancel: CancellationToken,
}

type PendingProbe = watch::Sender<ProbeOutcome>;

#[derive(Clone, Debug)]
enum ProbeOutcome {
    Pending,
    /// The probe was cancelled before its call was made.
    NotSent,
    Done(Result<Observation, ProbeError>),
}

impl Probes {
    /// Cancels all probes whose calls have not left.
    pub(super) fn cancel(&self) {
        std::mem::take(&mut lock(&self.pending).cancel).cancel();
    }

    /// Returns when no probe is in progress. `gone` is cancelled before.
    pub(super) async fn ended(&self) {
        // A probe that is about to start has started, or sees that the instance has left.
        drop(lock(&self.pending));
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Prober {
    /// The instance, its fleet and its observations.
    #[must_use]
    pub fn state(&self) -> &InstanceState {
        &self.caller.state
    }

    /// Queries `client`, which need not be in the fleet, and publishes the status if it is.
    ///
    /// If the future is dropped or `deadline` passes, the call is cancelled only if it has not left
    /// and no other probe waits for it.
    pub async fn probe(&self, client: &str, deadline: Instant) -> Result<Observation, ProbeError> {
        loop {
            let mut pending = self.join(client, deadline)?;
            let ended = |outcome: &ProbeOutcome| !matches!(outcome, ProbeOutcome::Pending);
            let outcome = match timeout_at(deadline, pending.wait_for(ended)).await {
                Ok(Ok(outcome)) => outcome.clone(),
                Ok(Err(_)) => return Err(ProbeError::Stopping),
                Err(_) => return Err(ProbeError::Late),
            };
            if let ProbeOutcome::Done(result) = outcome {
                return result;
            }
            // It was joined at the moment at which it was cancelled.
        }
    }

    /// Queries each of `clients`, as a sweep does: with one call until the credentials are
    /// accepted, and no further ones once calls are useless. `completed` gets the results as they
    /// arrive, and may end it. A client without a result was not queried.
    pub async fn query_each(
        &self,
        clients: impl IntoIterator<Item = Box<str>, IntoIter: Send>,
        completed: &mut (dyn FnMut(QueryResult) -> ControlFlow<()> + Send),
    ) -> Result<(), ProbeError> {
        let policy = CallPolicy {
            purpose: Purpose::Query,
            operation: Operation::Single,
            start: self.admit(Purpose::Query)?,
            priority: Priority::Ordinary,
            until: None,
            cancelled: CancellationToken::new(),
        };
        let mut work = SingleCalls {
            caller: &self.caller,
            clients: clients.into_iter(),
            again: Vec::new(),
            repeated: HashSet::new(),
            completed,
        };
        // The error that stopped it is in a result.
        let _ = execute(&self.caller, policy, &mut work).await;
        Ok(())
    }

    fn admit(&self, purpose: Purpose) -> Result<StartMode, ProbeError> {
        let refused = |until: Instant| ProbeError::Refused {
            instance: self.state().id().to_string(),
            wait: until - Instant::now(),
        };
        self.caller
            .admit(purpose, Operation::Single)
            .map_err(refused)
    }

    /// The outcome of the probe of `client` in progress, which is started if there is none and no
    /// status is known that is as good as a new one.
    fn join(
        &self,
        client: &str,
        deadline: Instant,
    ) -> Result<watch::Receiver<ProbeOutcome>, ProbeError> {
        let mut pending = lock(&self.probes.pending);
        let now = self.caller.deps.clock.moment();
        let (known, purpose) = match self.state().fleet().position(client) {
            Some(_) => (self.state().observation(client, now), Purpose::Probe),
            None => (pending.outsiders.get(client).copied(), Purpose::Outsider),
        };
        if let Some(observation) = known.filter(|seen| self.is_recent(seen)) {
            return Ok(watch::channel(ProbeOutcome::Done(Ok(observation))).1);
        }
        if let Some(open) = pending.open.get(client).and_then(Weak::upgrade) {
            return Ok(open.subscribe());
        }
        if self.probes.gone.is_cancelled() {
            return Err(ProbeError::Stopping);
        }
        let start = self.admit(purpose)?;
        let (sender, receiver) = watch::channel(ProbeOutcome::Pending);
        let sender = Arc::new(sender);
        let client: Box<str> = client.into();
        pending.open.insert(client.clone(), Arc::downgrade(&sender));
        let policy = CallPolicy {
            purpose,
            operation: Operation::Single,
            start,
            priority: Priority::Urgent,
            until: Some(deadline),
            cancelled: pending.cancel.child_token(),
        };
        let task = self.clone().run(client, sender, policy);
        let tasks = &self.probes.tasks;
        self.caller.tasks.spawn(tasks.track_future(task));
        Ok(receiver)
    }

    /// Whether it is a real-time status, and younger than `max_age`.
    fn is_recent(&self, seen: &Observation) -> bool {
        let age = self.caller.deps.clock.moment().since(seen.at);
        age < self.max_age && seen.operation == Operation::Single
    }

    /// Makes the call and passes its outcome to the probes that wait.
    async fn run(self, client: Box<str>, sender: Arc<PendingProbe>, policy: CallPolicy) {
        let cancelled = policy.cancelled.clone();
        let mut outcome = ProbeOutcome::NotSent;
        let mut work = SingleCalls {
            caller: &self.caller,
            clients: std::iter::once(client.clone()),
            again: Vec::new(),
            repeated: HashSet::new(),
            completed: &mut |QueryResult { result, .. }| {
                let result = result.map_err(|error| ProbeError::Failed(Box::new(error)));
                outcome = ProbeOutcome::Done(result);
                ControlFlow::Continue(())
            },
        };
        let calls = async {
            let mut calls = std::pin::pin!(execute(&self.caller, policy, &mut work));
            tokio::select! {
                biased;
                verdict = &mut calls => verdict,
                () = sender.closed() => {
                    cancelled.cancel();
                    calls.await
                }
            }
        };
        let calls = self.probes.gone.run_until_cancelled(calls);
        let calls = self.caller.stop.run_until_cancelled(calls).await.flatten();
        match calls {
            Some(verdict) if verdict.is_break() => self.probes.cancel(),
            Some(_) => {}
            None => outcome = ProbeOutcome::Done(Err(ProbeError::Stopping)),
        }
        let mut pending = lock(&self.probes.pending);
        pending.open.remove(&client);
        if let ProbeOutcome::Done(Ok(observation)) = outcome
            && self.state().fleet().position(&client).is_none()
        {
            pending.outsiders.retain(|_, seen| self.is_recent(seen));
            pending.outsiders.insert(client, observation);
        }
        sender.send_replace(outcome);
    }
}

/// Queries of clients, one after the other.
struct SingleCalls<'a, I> {
    caller: &'a InstanceCaller,
    clients: I,
    /// Clients to query once more, because of an answer that another call contradicts.
    again: Vec<Box<str>>,
    /// Those that were in `again`.
    repeated: HashSet<Box<str>>,
    completed: &'a mut (dyn FnMut(QueryResult) -> ControlFlow<()> + Send),
}

impl<I: Iterator<Item = Box<str>> + Send> WorkSource for SingleCalls<'_, I> {
    fn next(&mut self, operation: Operation) -> Option<Vec<Box<str>>> {
        if operation == Operation::Batch {
            return None;
        }
        Some(vec![self.again.pop().or_else(|| self.clients.next())?])
    }

    fn completed(&mut self, response: Response) -> ControlFlow<()> {
        let result = response.into_single();
        if let Ok(observation) = result.result
            && self.caller.publish(&result.client, observation) == Published::Unconfirmed
            && self.repeated.insert(result.client.clone())
        {
            self.again.push(result.client);
            return ControlFlow::Continue(());
        }
        (self.completed)(result)
    }
}
