//! Clients that a sweep by batches asks for by themselves: those of which a batch says something
//! new, and those that spoil a batch.

use std::collections::{HashMap, HashSet, VecDeque};

use super::executor::QueryResult;
use crate::presence::{ErrorClass, Fleet};
use crate::telemetry::CONFIRMATION_RESULTS;

/// So many clients at most wait to be asked for by themselves before more batches are asked: what
/// a cache said is to be confirmed soon, and a fleet may change as a whole.
const MOST: usize = 500;

/// Clients whose IDs the API refused, until one of them is answered for. A batch with one of them
/// fails as a whole.
#[derive(Debug, Default)]
pub(super) struct RejectedIds(HashSet<Box<str>>);

/// What outcome of the confirmation of a client that a batch says something new of; in the order of
/// [`CONFIRMATION_RESULTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirmation {
    /// It is as the batch said.
    Confirmed,
    /// It is not: the cache was stale.
    Rejected,
    /// The call failed, so that nothing is known.
    Failed,
}

/// The clients of one sweep that are asked for by themselves.
#[derive(Debug)]
pub(super) struct ConfirmationQueue<'a> {
    rejected: &'a mut RejectedIds,
    queue: VecDeque<Box<str>>,
    /// What batches said of those that wait for a confirmation.
    unconfirmed: HashMap<Box<str>, bool>,
}

impl RejectedIds {
    /// Forgets those that have left the fleet.
    pub(super) fn retain(&mut self, fleet: &Fleet) {
        self.0.retain(|client| fleet.position(client).is_some());
    }
}

impl Confirmation {
    /// The value of the label `result`.
    pub(super) const fn as_str(self) -> &'static str {
        CONFIRMATION_RESULTS[self as usize]
    }
}

impl<'a> ConfirmationQueue<'a> {
    pub(super) fn new(rejected: &'a mut RejectedIds) -> Self {
        Self {
            rejected,
            queue: VecDeque::new(),
            unconfirmed: HashMap::new(),
        }
    }

    /// Whether batches have to wait until some of those here were asked for.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= MOST
    }

    /// Whether `client` must not be in a batch.
    pub(super) fn is_rejected(&self, client: &str) -> bool {
        self.rejected.0.contains(client)
    }

    /// `client` is to be asked for by itself.
    pub(super) fn push(&mut self, client: Box<str>) {
        self.queue.push_back(client);
    }

    /// A batch says of `client` what only a single call can say.
    pub(super) fn needs_confirmation(&mut self, client: Box<str>, online: bool) {
        self.unconfirmed.insert(client.clone(), online);
        self.queue.push_back(client);
    }

    /// The client to ask for.
    pub(super) fn next(&mut self) -> Option<Box<str>> {
        self.queue.pop_front()
    }

    /// Learns from the reply about a client. What its confirmation came to, if it was one.
    pub(super) fn replied(&mut self, reply: &QueryResult) -> Option<Confirmation> {
        match &reply.result {
            Ok(_) => {
                self.rejected.0.remove(&reply.client);
            }
            Err(error)
                if error.class == ErrorClass::Client
                    && self.rejected.0.insert(reply.client.clone()) =>
            {
                tracing::warn!(instance_id = error.instance, client_id = %reply.client, code = error.code, "the API refuses this client ID; it is asked for by itself from now on, so that it spoils no batch");
            }
            Err(_) => {}
        }
        let said = self.unconfirmed.remove(&reply.client)?;
        Some(match reply.result {
            Ok(seen) if seen.online == said => Confirmation::Confirmed,
            Ok(_) => Confirmation::Rejected,
            Err(_) => Confirmation::Failed,
        })
    }
}
