//! A question about one client, and what becomes of it.

use std::ops::ControlFlow;

use tokio::time::Instant;

use super::NoAnswer;
use crate::presence::{CallError, ErrorClass, Observation};
use crate::sweep::ask::{Caution, Inquiry, Reply};
use crate::sweep::sweeper::{Sweeper, lock};

/// What became of it.
#[derive(Clone, Debug)]
pub(super) enum Became {
    Answered(Observation),
    Unanswered(NoAnswer),
    /// Nobody waited for it any more, or calls had no prospect, before the call was made.
    Unasked,
}

impl Became {
    fn failed(error: CallError) -> Self {
        Self::Unanswered(NoAnswer::Failed(Box::new(error)))
    }
}

/// A question about one client.
pub(super) struct One<'a> {
    sweeper: &'a Sweeper,
    caution: Caution,
    next: Option<Box<str>>,
    pub(super) became: Became,
}

impl<'a> One<'a> {
    pub(super) fn new(sweeper: &'a Sweeper, caution: Caution, client: Box<str>) -> Self {
        Self {
            sweeper,
            caution,
            next: Some(client),
            became: Became::Unasked,
        }
    }

    /// The call failed, and others need not be made.
    fn without_prospect(&mut self, error: &CallError) {
        self.sweeper.probes.give_up();
        self.became = Became::failed(error.clone());
        self.sweeper.target.complain(error);
    }
}

impl Inquiry for One<'_> {
    fn next(&mut self) -> Option<Box<str>> {
        self.next.take()
    }

    fn attempt_failed(&mut self, error: &CallError) -> ControlFlow<()> {
        let stopped = lock(&self.sweeper.breaker).attempt_failed(error, Instant::now());
        stopped.map_break(|_| self.without_prospect(error))
    }

    fn replied(&mut self, reply: Reply) -> ControlFlow<()> {
        match reply.result {
            Ok(observation) => {
                self.sweeper.publish(&reply.client, observation);
                self.sweeper.passed();
                self.became = Became::Answered(observation);
            }
            // A client that cannot be asked for says nothing about the others, unless this call
            // was to find out about them.
            Err(error) if error.class == ErrorClass::Client && self.caution == Caution::None => {
                self.sweeper.target.complain(&error);
                self.became = Became::failed(error);
            }
            Err(error) => {
                let stopped = lock(&self.sweeper.breaker).failed(&error, Instant::now());
                if stopped.is_break() {
                    self.without_prospect(&error);
                } else {
                    self.sweeper.target.complain(&error);
                    self.became = Became::failed(error);
                }
            }
        }
        ControlFlow::Continue(())
    }
}
