//! One sweep as a source of requests: every client of the fleet once, each status published.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::caller::InstanceCaller;
use super::confirm::ConfirmationQueue;
use super::executor::{Request, Response, WorkSource};
use super::order::SweepOrder;
use super::rejected::RejectedClients;
use crate::clock::Moment;
use crate::config::Query;
use crate::presence::{ErrorClass, Fleet, MAX_BATCH, Observation, Operation, Published};

/// Clients that are looked at to find one that was answered before.
const LOOKED_AT: usize = 1_000;

/// The progress of a sweep.
#[derive(Debug)]
pub(super) struct SweepProgress {
    left: AtomicUsize,
    /// Whether it can help to wait for the sweep: not while the breaker is open.
    pub(super) worth_waiting: bool,
    /// Cancelled when the sweep is to query no further client.
    pub(super) cancelled: CancellationToken,
    /// Cancelled when the sweep has ended, with any result.
    pub(super) ended: CancellationToken,
}

impl SweepProgress {
    pub(super) fn new(clients: usize, worth_waiting: bool, cancelled: CancellationToken) -> Self {
        Self {
            left: AtomicUsize::new(clients),
            worth_waiting,
            cancelled,
            ended: CancellationToken::new(),
        }
    }

    /// The number of clients whose query has not ended.
    pub(super) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}

/// A call that comes before the sweep and decides whether it begins. Its client is queried in its
/// turn as well.
#[derive(Debug)]
pub(super) enum Trial {
    None,
    Next(Box<str>),
    InFlight,
}

/// A sweep over a fleet.
///
/// With single calls, each client is queried in order. With batches, ten clients are queried
/// together. The clients in [`ConfirmationQueue`] are queried with single calls.
pub(super) struct SweepRun<'a> {
    pub(super) caller: &'a InstanceCaller,
    pub(super) query: Query,
    pub(super) fleet: &'a Fleet,
    pub(super) order: SweepOrder<'a>,
    pub(super) confirmations: ConfirmationQueue,
    pub(super) rejected: &'a mut RejectedClients,
    pub(super) trial: Trial,
    /// Clients that were queried once more, because of an answer that another call contradicts.
    pub(super) repeated: HashSet<Box<str>>,
    /// Halves of batches that were refused because of one of their clients.
    pub(super) halves: Vec<Vec<Box<str>>>,
    pub(super) progress: &'a SweepProgress,
    /// The number of clients whose status was published.
    pub(super) answered: usize,
}

impl SweepRun<'_> {
    /// The trial call is about a client that was answered before, if there is one nearby.
    pub(super) fn begin_with_an_answered_client(&mut self) {
        let now = self.caller.deps.clock.moment();
        let answered = |client: &str| self.caller.state.observation(client, now).is_some();
        let clients = (0..self.fleet.len().min(LOOKED_AT)).map(|index| self.fleet.client(index));
        if let Some(client) = clients.map(String::from).find(|client| answered(client)) {
            self.trial = Trial::Next(client.into());
        }
    }

    /// The next client that is due, without those that were refused and whose interval is not over.
    fn next_client(&mut self) -> Option<(Box<str>, bool)> {
        let now = Instant::now();
        while let Some(index) = self.order.next() {
            let client: Box<str> = self.fleet.client(index).into();
            match self.rejected.until(&client) {
                Some(until) if now < until => self.count_done(1),
                rejected => return Some((client, rejected.is_some())),
            }
        }
        None
    }

    /// The next clients that are due, without those that would make the batch fail.
    fn batch(&mut self) -> Option<Vec<Box<str>>> {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while batch.len() < MAX_BATCH
            && !self.confirmations.is_full()
            && let Some((client, rejected)) = self.next_client()
        {
            if rejected {
                self.confirmations.push(client);
            } else {
                batch.push(client);
            }
        }
        Some(batch).filter(|batch| !batch.is_empty())
    }

    /// The queries of this many clients have ended.
    fn count_done(&self, clients: usize) {
        self.progress.left.fetch_sub(clients, Ordering::Relaxed);
    }

    /// Halves a batch that was refused because of one of its clients, until that one is alone.
    fn split(&mut self, mut clients: Vec<Box<str>>) {
        let second = clients.split_off(clients.len() / 2);
        for mut half in [clients, second] {
            match half.len() {
                0 => {}
                1 => self.confirmations.push(half.remove(0)),
                _ => self.halves.push(half),
            }
        }
    }

    /// Publishes the result of a call. Clients that a batch lacks keep their observation.
    fn publish(
        &mut self,
        request: Request,
        statuses: Vec<Option<bool>>,
        (at, answered): (Moment, Moment),
    ) {
        let Request {
            operation, clients, ..
        } = request;
        let mut missing = 0;
        for (client, status) in clients.into_iter().zip(statuses) {
            let Some(online) = status else {
                missing += 1;
                continue;
            };
            let observation = Observation {
                online,
                at,
                answered,
                operation,
            };
            if self.caller.publish(&client, observation) != Published::Unconfirmed {
                self.answered += 1;
                self.count_done(1);
            } else if operation == Operation::Batch {
                self.confirmations.needs_confirmation(client, online);
            } else if self.repeated.insert(client.clone()) {
                self.confirmations.push(client);
            } else {
                self.count_done(1);
            }
        }
        if operation == Operation::Batch {
            self.count_done(missing);
            self.caller.count_missing(missing);
        }
    }
}

impl WorkSource for SweepRun<'_> {
    fn next(&mut self, operation: Operation) -> Option<Vec<Box<str>>> {
        if operation == Operation::Single
            && let Some(client) = self.confirmations.next()
        {
            return Some(vec![client]);
        }
        if operation != self.query.operation() {
            return None;
        }
        if let Trial::Next(client) = &self.trial {
            let client = client.clone();
            self.trial = Trial::InFlight;
            return Some(vec![client]);
        }
        if let Some(half) = self.halves.pop() {
            return Some(half);
        }
        if self.confirmations.is_full() || !self.order.is_due(Instant::now()) {
            return None;
        }
        match operation {
            Operation::Single => Some(vec![self.next_client()?.0]),
            Operation::Batch => self.batch(),
        }
    }

    fn resumes_at(&self, operation: Operation) -> Option<Instant> {
        let in_order = operation == self.query.operation() && !self.confirmations.is_full();
        in_order.then(|| self.order.resumes_at(Instant::now()))?
    }

    fn completed(&mut self, response: Response) -> ControlFlow<()> {
        let Response {
            request,
            result,
            span,
            ..
        } = response;
        let operation = request.operation;
        if matches!(self.trial, Trial::InFlight) {
            self.trial = Trial::None;
            if let Ok([Some(online)]) = result.as_deref() {
                let (at, answered) = span;
                let observation = Observation {
                    online: *online,
                    at,
                    answered,
                    operation,
                };
                self.caller.publish(&request.clients[0], observation);
            }
            return ControlFlow::Continue(());
        }
        if let [client] = &*request.clients {
            match &result {
                Ok(_) => self.rejected.accepted(client),
                Err(error)
                    if error.class == ErrorClass::Client && operation == Operation::Single =>
                {
                    self.rejected.refused(client, error, Instant::now());
                }
                Err(_) => {}
            }
        }
        if self.query == Query::Batch && operation == Operation::Single {
            let status = result.as_ref().map(|statuses| statuses[0] == Some(true));
            let confirmed = self.confirmations.completed(&request.clients[0], status);
            if let Some(confirmed) = confirmed {
                let labels = [self.caller.state.id().as_str(), confirmed];
                let counter = &self.caller.deps.metrics.confirmations_total;
                counter.with_label_values(&labels).inc();
            }
        }
        match result {
            Ok(statuses) => self.publish(request, statuses, span),
            Err(error) if operation == Operation::Batch && error.class == ErrorClass::Client => {
                self.split(request.clients);
            }
            Err(_) => self.count_done(request.clients.len()),
        }
        ControlFlow::Continue(())
    }
}
