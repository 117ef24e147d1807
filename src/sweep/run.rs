//! A sweep as a source of questions: every client of the fleet once, each answer published.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::confirm::ConfirmationQueue;
use super::executor::{BatchAnswer, BatchResult, QueryResult, WorkSource};
use super::pacer::Pacer;
use super::sweeper::{Progress, Sweeper, lock};
use crate::config::Query;
use crate::presence::{CallError, ErrorClass, Fleet, MAX_BATCH, Observation, Operation, Published};

/// One pass over a fleet.
///
/// By single calls, each client is asked for at its turn. By batches, ten are asked for together,
/// and by itself only who is in [`ConfirmationQueue`].
pub(super) struct SweepRun<'a> {
    pub(super) sweeper: &'a Sweeper,
    pub(super) fleet: &'a Fleet,
    pub(super) turns: Pacer<'a>,
    pub(super) confirmations: ConfirmationQueue<'a>,
    /// Halves of batches that were refused because of one of their clients.
    pub(super) halves: Vec<Vec<Box<str>>>,
    pub(super) progress: &'a Progress,
    /// How many clients were answered for.
    pub(super) answered: usize,
}

impl SweepRun<'_> {
    /// The next clients whose turn it is, without those that would spoil the batch.
    fn batch(&mut self) -> Option<Vec<Box<str>>> {
        if self.confirmations.is_full() || !self.turns.is_due(Instant::now()) {
            return None;
        }
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while batch.len() < MAX_BATCH && !self.confirmations.is_full() {
            let Some(index) = self.turns.take() else {
                break;
            };
            let client = self.fleet.client(index);
            if self.confirmations.is_rejected(&client) {
                self.confirmations.push(client.into());
            } else {
                batch.push(client.into());
            }
        }
        Some(batch).filter(|batch| !batch.is_empty())
    }

    /// Publishes what was said of a client; whether that has settled it.
    fn publish(&mut self, client: &str, observation: Observation) -> bool {
        let settled = self.sweeper.publish(client, observation) != Published::Unconfirmed;
        if settled {
            self.answered += 1;
            self.settle(1);
        }
        settled
    }

    /// So many clients have had their turn, whatever came of it.
    fn settle(&self, clients: usize) {
        self.progress.left.fetch_sub(clients, Ordering::Relaxed);
    }

    /// A call failed for good; `Break` where going on makes no sense.
    fn failed(&self, error: &CallError) -> ControlFlow<()> {
        let stopped = lock(&self.sweeper.breaker).failed(error, Instant::now());
        stopped.map_break(|wait| self.stopped(error, wait))
    }

    /// Says why the sweep ends here.
    fn stopped(&self, error: &CallError, wait: Duration) {
        let caller = &self.sweeper.caller;
        caller.log_error(error);
        self.sweeper.probes.cancel();
        tracing::debug!(instance_id = %caller.state.id(), wait_seconds = wait.as_secs(), "sweep stopped; after the wait one call decides whether to go on");
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

    /// Publishes what a batch says; who is not in it keeps what was known.
    fn publish_batch(&mut self, clients: Vec<Box<str>>, answer: &BatchAnswer) {
        let mut missing = 0;
        for client in clients {
            let Some(entry) = answer.entries.iter().find(|entry| *entry.client == *client) else {
                missing += 1;
                continue;
            };
            let observation = Observation {
                online: entry.online,
                at: answer.at,
                operation: Operation::Batch,
            };
            if !self.publish(&client, observation) {
                self.confirmations.needs_confirmation(client, entry.online);
            }
        }
        self.settle(missing);
        self.sweeper.caller.missing(missing);
    }
}

impl WorkSource for SweepRun<'_> {
    fn next(&mut self) -> Option<Box<str>> {
        match self.sweeper.query() {
            Query::Single if !self.turns.is_due(Instant::now()) => None,
            Query::Single => self
                .turns
                .take()
                .map(|index| self.fleet.client(index).into()),
            Query::Batch => self.confirmations.next(),
        }
    }

    fn next_batch(&mut self) -> Option<Vec<Box<str>>> {
        match self.sweeper.query() {
            Query::Single => None,
            Query::Batch => self.halves.pop().or_else(|| self.batch()),
        }
    }

    fn resumes_at(&self, operation: Operation) -> Option<Instant> {
        let by_turns =
            operation == self.sweeper.query().operation() && !self.confirmations.is_full();
        if by_turns {
            self.turns.resumes_at(Instant::now())
        } else {
            None
        }
    }

    fn attempt_failed(&mut self, error: &CallError) -> ControlFlow<()> {
        let stopped = lock(&self.sweeper.breaker).attempt_failed(error, Instant::now());
        stopped.map_break(|wait| self.stopped(error, wait))
    }

    fn replied(&mut self, reply: QueryResult) -> ControlFlow<()> {
        if self.sweeper.query() == Query::Batch
            && let Some(confirmation) = self.confirmations.replied(&reply)
        {
            self.sweeper.caller.confirmed(confirmation);
        }
        match reply.result {
            Ok(observation) => {
                self.publish(&reply.client, observation);
                self.sweeper.passed();
            }
            Err(error) => {
                self.settle(1);
                self.failed(&error)?;
                self.sweeper.caller.log_error(&error);
            }
        }
        ControlFlow::Continue(())
    }

    fn replied_batch(&mut self, reply: BatchResult) -> ControlFlow<()> {
        let BatchResult { clients, result } = reply;
        match result {
            Ok(answer) => {
                self.publish_batch(clients, &answer);
                self.sweeper.passed();
            }
            Err(error) => {
                self.failed(&error)?;
                if error.class == ErrorClass::Client {
                    self.split(clients);
                } else {
                    self.settle(clients.len());
                    self.sweeper.caller.log_error(&error);
                }
            }
        }
        ControlFlow::Continue(())
    }
}
