//! Requests, responses, and the trait of what makes requests.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;

use super::super::retry::Attempts;
use crate::clock::Moment;
use crate::limits::Time;
use crate::presence::{CallError, Observation, Operation};

/// A source of requests about the clients of an instance.
///
/// Each response may lead to a new request, so the executor asks for the next request of each
/// operation again after every response, until no call is in flight.
pub(in crate::sweep) trait WorkSource: Send {
    /// The clients of the next call of an operation: one, or for batches up to ten.
    fn next(&mut self, operation: Operation) -> Option<Vec<Box<str>>>;

    /// The time of the next request of this operation, if there is none now.
    fn resumes_at(&self, _operation: Operation) -> Option<Instant> {
        None
    }

    /// The response to a request. `Break` drops all other requests, calls in flight included.
    fn completed(&mut self, response: Response) -> ControlFlow<()>;
}

/// A call to make, and its attempts so far.
#[derive(Debug)]
pub(in crate::sweep) struct Request {
    pub(in crate::sweep) operation: Operation,
    pub(in crate::sweep) clients: Vec<Box<str>>,
    pub(in crate::sweep) attempts: Attempts,
}

/// The result of an attempt of a request.
#[derive(Debug)]
pub(in crate::sweep) struct Response {
    pub(in crate::sweep) request: Request,
    /// For each client of the request whether it is online; `None` if the answer lacks it.
    pub(in crate::sweep) result: Result<Vec<Option<bool>>, CallError>,
    pub(in crate::sweep) request_id: Option<String>,
    /// The time at which the call left, for the limits.
    pub(in crate::sweep) sent: Time,
    pub(in crate::sweep) started: Instant,
    /// The moments at which the request was sent, by the report of the source, and answered.
    pub(in crate::sweep) span: (Moment, Moment),
    pub(in crate::sweep) took: Duration,
}

/// The result of a query of one client.
#[derive(Debug)]
pub struct QueryResult {
    /// The client.
    pub client: Box<str>,
    /// Its status, or the error of the last attempt.
    pub result: Result<Observation, CallError>,
    /// The duration of the last call, without the wait for a permit.
    pub took: Duration,
    /// The ID of the call at Alibaba Cloud, if it was answered.
    pub request_id: Option<String>,
}

impl Response {
    /// The response to a single call as a result for its client.
    pub(in crate::sweep) fn into_single(mut self) -> QueryResult {
        let ((at, answered), operation) = (self.span, self.request.operation);
        QueryResult {
            client: self.request.clients.remove(0),
            result: self.result.map(|statuses| Observation {
                online: statuses[0] == Some(true),
                at,
                answered,
                operation,
            }),
            took: self.took,
            request_id: self.request_id,
        }
    }
}
