//! Questions about several clients, one after the other, for somebody who watches.

use std::ops::ControlFlow;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{NoAnswer, Prober};
use crate::limits::Priority;
use crate::presence::CallError;
use crate::sweep::ask::{Caution, Inquiry, Manner, Reply, ask};
use crate::sweep::breaker::Entry;
use crate::sweep::sweeper::{Sweeper, lock};

impl Prober {
    /// Asks about each of `clients`, as carefully as a sweep does: with one call until the
    /// credentials are accepted, and no further once calls have no prospect. `heard` gets the
    /// replies as they come, and may end it; a client that it gets none for was not asked about.
    pub async fn ask_each(
        &self,
        clients: impl IntoIterator<Item = Box<str>, IntoIter: Send>,
        heard: &mut (dyn FnMut(Reply) -> ControlFlow<()> + Send),
    ) -> Result<(), NoAnswer> {
        let now = Instant::now();
        let caution = match (
            self.sweeper.breaker().enter(now),
            self.state().stats().api_up,
        ) {
            (Entry::Refused(until), _) => return Err(self.refused(until - now)),
            (Entry::Full, Some(true)) => Caution::None,
            (Entry::Full, _) => Caution::Credentials,
            (Entry::Probe, _) => Caution::Probe,
        };
        let enough = CancellationToken::new();
        let manner = Manner {
            caution,
            priority: Priority::Ordinary,
            until: None,
            enough,
        };
        let mut inquiry = Each {
            sweeper: &self.sweeper,
            clients: clients.into_iter(),
            heard,
            unreachable: None,
        };
        // Why it was given up is in a reply, unless none came.
        let _ = ask(&self.sweeper.target, manner, &mut inquiry).await;
        inquiry
            .unreachable
            .map_or(Ok(()), |error| Err(NoAnswer::Failed(Box::new(error))))
    }
}

struct Each<'a, I> {
    sweeper: &'a Sweeper,
    clients: I,
    heard: &'a mut (dyn FnMut(Reply) -> ControlFlow<()> + Send),
    /// Why no connection could be made, again and again.
    unreachable: Option<CallError>,
}

impl<I: Iterator<Item = Box<str>> + Send> Inquiry for Each<'_, I> {
    fn next(&mut self) -> Option<Box<str>> {
        self.clients.next()
    }

    fn attempt_failed(&mut self, error: &CallError) -> ControlFlow<()> {
        let stopped = lock(&self.sweeper.breaker).attempt_failed(error, Instant::now());
        stopped.map_break(|_| self.unreachable = Some(error.clone()))
    }

    fn replied(&mut self, reply: Reply) -> ControlFlow<()> {
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
