//! Questions about several clients, one after the other, for somebody who watches.

use std::ops::ControlFlow;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ProbeError, Prober};
use crate::limits::Priority;
use crate::presence::CallError;
use crate::sweep::breaker::Admission;
use crate::sweep::executor::{CallPolicy, QueryResult, StartMode, WorkSource, execute};
use crate::sweep::sweeper::{Sweeper, lock};

impl Prober {
    /// Asks about each of `clients`, as carefully as a sweep does: with one call until the
    /// credentials are accepted, and no further once calls have no prospect. `heard` gets the
    /// replies as they come, and may end it; a client that it gets none for was not asked about.
    pub async fn ask_each(
        &self,
        clients: impl IntoIterator<Item = Box<str>, IntoIter: Send>,
        heard: &mut (dyn FnMut(QueryResult) -> ControlFlow<()> + Send),
    ) -> Result<(), ProbeError> {
        let now = Instant::now();
        let start = match (
            self.sweeper.breaker().enter(now),
            self.state().stats().api_up,
        ) {
            (Admission::Refused(until), _) => return Err(self.refused(until - now)),
            (Admission::Full, Some(true)) => StartMode::None,
            (Admission::Full, _) => StartMode::Credentials,
            (Admission::Probe, _) => StartMode::Probe,
        };
        let enough = CancellationToken::new();
        let policy = CallPolicy {
            start,
            priority: Priority::Ordinary,
            until: None,
            enough,
        };
        let mut work = BulkProbe {
            sweeper: &self.sweeper,
            clients: clients.into_iter(),
            heard,
            unreachable: None,
        };
        // Why it was given up is in a reply, unless none came.
        let _ = execute(&self.sweeper.caller, policy, &mut work).await;
        work.unreachable
            .map_or(Ok(()), |error| Err(ProbeError::Failed(Box::new(error))))
    }
}

struct BulkProbe<'a, I> {
    sweeper: &'a Sweeper,
    clients: I,
    heard: &'a mut (dyn FnMut(QueryResult) -> ControlFlow<()> + Send),
    /// Why no connection could be made, again and again.
    unreachable: Option<CallError>,
}

impl<I: Iterator<Item = Box<str>> + Send> WorkSource for BulkProbe<'_, I> {
    fn next(&mut self) -> Option<Box<str>> {
        self.clients.next()
    }

    fn attempt_failed(&mut self, error: &CallError) -> ControlFlow<()> {
        let stopped = lock(&self.sweeper.breaker).attempt_failed(error, Instant::now());
        stopped.map_break(|_| self.unreachable = Some(error.clone()))
    }

    fn replied(&mut self, reply: QueryResult) -> ControlFlow<()> {
        let prospect = match &reply.result {
            Ok(observation) => {
                self.sweeper.publish(&reply.client, *observation);
                self.sweeper.passed();
                ControlFlow::Continue(())
            }
            Err(error) => lock(&self.sweeper.breaker)
                .failed(error, Instant::now())
                .map_break(drop),
        };
        (self.heard)(reply)?;
        prospect
    }
}
