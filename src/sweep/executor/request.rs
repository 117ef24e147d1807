//! What can be asked, by whom, and what can become of it.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::presence::{BatchEntry, CallError, Observation, Operation};

/// Somebody who has questions about the clients of an instance.
///
/// A question that is not there yet may come up with any reply, so that each kind of them is asked
/// for again and again, until nothing is under way and nothing will be.
pub(in crate::sweep) trait WorkSource: Send {
    /// The next client to ask for by itself.
    fn next(&mut self) -> Option<Box<str>>;

    /// The next clients to ask for together, ten at most.
    fn next_batch(&mut self) -> Option<Vec<Box<str>>> {
        None
    }

    /// When there will be a question of this kind, where there is none now.
    fn resumes_at(&self, _operation: Operation) -> Option<Instant> {
        None
    }

    /// An attempt failed, and may be made again. `Break` gives up everything.
    fn attempt_failed(&mut self, _error: &CallError) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// The reply to one of its questions. `Break` gives up the rest, calls in flight included.
    fn replied(&mut self, reply: QueryResult) -> ControlFlow<()>;

    /// The reply to a question about several clients.
    fn replied_batch(&mut self, _reply: BatchResult) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// What outcome of a question.
#[derive(Debug)]
pub struct QueryResult {
    /// The client that was asked for.
    pub client: Box<str>,
    /// What is known now, or why nothing is.
    pub result: Result<Observation, CallError>,
    /// How long the last call took, its wait for a permit not counted.
    pub took: Duration,
    /// By which ID the service's operators can find it, if it answered.
    pub request_id: Option<String>,
}

/// What outcome of a question about several clients.
#[derive(Debug)]
pub(in crate::sweep) struct BatchResult {
    /// The clients that were asked for.
    pub(in crate::sweep) clients: Vec<Box<str>>,
    /// What is known now, or why nothing is.
    pub(in crate::sweep) result: Result<BatchAnswer, CallError>,
}

/// What the API said about several clients, perhaps not about all that were asked for.
#[derive(Debug)]
pub(in crate::sweep) struct BatchAnswer {
    pub(in crate::sweep) entries: Vec<BatchEntry>,
    /// When the answer came.
    pub(in crate::sweep) at: Timestamp,
}

/// What is asked.
pub(super) enum Request {
    One(Box<str>),
    Batch(Vec<Box<str>>),
}

/// What outcome of a question.
pub(super) enum Response {
    One(QueryResult),
    Batch(BatchResult),
}

impl Request {
    pub(super) fn operation(&self) -> Operation {
        match self {
            Self::One(_) => Operation::Single,
            Self::Batch(_) => Operation::Batch,
        }
    }
}

impl Response {
    pub(super) fn operation(&self) -> Operation {
        match self {
            Self::One(_) => Operation::Single,
            Self::Batch(_) => Operation::Batch,
        }
    }

    pub(super) fn error(&self) -> Option<&CallError> {
        match self {
            Self::One(reply) => reply.result.as_ref().err(),
            Self::Batch(reply) => reply.result.as_ref().err(),
        }
    }

    pub(super) fn error_mut(&mut self) -> Option<&mut CallError> {
        match self {
            Self::One(reply) => reply.result.as_mut().err(),
            Self::Batch(reply) => reply.result.as_mut().err(),
        }
    }

    /// The question that it replies to.
    pub(super) fn question(self) -> Request {
        match self {
            Self::One(reply) => Request::One(reply.client),
            Self::Batch(reply) => Request::Batch(reply.clients),
        }
    }
}
