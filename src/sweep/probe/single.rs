//! A question about one client, and what becomes of it.

use std::ops::ControlFlow;

use tokio::time::Instant;

use super::ProbeError;
use crate::presence::{CallError, ErrorClass, Observation};
use crate::sweep::executor::{QueryResult, StartMode, WorkSource};
use crate::sweep::sweeper::{Sweeper, lock};

/// What outcome of it.
#[derive(Clone, Debug)]
pub(super) enum ProbeOutcome {
    Answered(Observation),
    Unanswered(ProbeError),
    /// Nobody waited for it any more, or calls had no prospect, before the call was made.
    Unasked,
}

impl ProbeOutcome {
    fn failed(error: CallError) -> Self {
        Self::Unanswered(ProbeError::Failed(Box::new(error)))
    }
}

/// A question about one client.
pub(super) struct SingleProbe<'a> {
    sweeper: &'a Sweeper,
    start: StartMode,
    next: Option<Box<str>>,
    pub(super) outcome: ProbeOutcome,
}

impl<'a> SingleProbe<'a> {
    pub(super) fn new(sweeper: &'a Sweeper, start: StartMode, client: Box<str>) -> Self {
        Self {
            sweeper,
            start,
            next: Some(client),
            outcome: ProbeOutcome::Unasked,
        }
    }

    /// The call failed, and others need not be made.
    fn without_prospect(&mut self, error: &CallError) {
        self.sweeper.probes.cancel();
        self.outcome = ProbeOutcome::failed(error.clone());
        self.sweeper.caller.log_error(error);
    }
}

impl WorkSource for SingleProbe<'_> {
    fn next(&mut self) -> Option<Box<str>> {
        self.next.take()
    }

    fn attempt_failed(&mut self, error: &CallError) -> ControlFlow<()> {
        let stopped = lock(&self.sweeper.breaker).attempt_failed(error, Instant::now());
        stopped.map_break(|_| self.without_prospect(error))
    }

    fn replied(&mut self, reply: QueryResult) -> ControlFlow<()> {
        match reply.result {
            Ok(observation) => {
                self.sweeper.publish(&reply.client, observation);
                self.sweeper.passed();
                self.outcome = ProbeOutcome::Answered(observation);
            }
            // A client that cannot be asked for says nothing about the others, unless this call
            // was to find out about them.
            Err(error) if error.class == ErrorClass::Client && self.start == StartMode::None => {
                self.sweeper.caller.log_error(&error);
                self.outcome = ProbeOutcome::failed(error);
            }
            Err(error) => {
                let stopped = lock(&self.sweeper.breaker).failed(&error, Instant::now());
                if stopped.is_break() {
                    self.without_prospect(&error);
                } else {
                    self.sweeper.caller.log_error(&error);
                    self.outcome = ProbeOutcome::failed(error);
                }
            }
        }
        ControlFlow::Continue(())
    }
}
