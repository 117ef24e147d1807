//! The clients that a batch sweep queries with single calls: those for which a batch returned
//! something new, and those that make a batch fail.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::presence::{CallError, ErrorClass};
use crate::telemetry::CONFIRMATION_RESULTS;

/// No further batch is sent while this many clients wait for a single call: the result of a cache
/// is to be confirmed soon, and a whole fleet may change at once.
const MOST: usize = 500;

/// The clients of one sweep that wait for a single call.
#[derive(Debug)]
pub(super) struct ConfirmationQueue<'a> {
    /// Client IDs that the API refused, until a call for them succeeds. A batch with one of them
    /// fails.
    rejected: &'a mut HashSet<Box<str>>,
    queue: VecDeque<Box<str>>,
    /// The results of batches that wait for their confirmation.
    unconfirmed: HashMap<Box<str>, bool>,
}

impl<'a> ConfirmationQueue<'a> {
    pub(super) fn new(rejected: &'a mut HashSet<Box<str>>) -> Self {
        Self {
            rejected,
            queue: VecDeque::new(),
            unconfirmed: HashMap::new(),
        }
    }

    /// Whether single calls have to be made before further batches.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= MOST
    }

    /// Whether `client` must not be in a batch.
    pub(super) fn is_rejected(&self, client: &str) -> bool {
        self.rejected.contains(client)
    }

    /// Adds a client.
    pub(super) fn push(&mut self, client: Box<str>) {
        self.queue.push_back(client);
    }

    /// Adds a client for which a batch returned a status that only a single call can confirm.
    pub(super) fn needs_confirmation(&mut self, client: Box<str>, online: bool) {
        self.unconfirmed.insert(client.clone(), online);
        self.queue.push_back(client);
    }

    /// The next client.
    pub(super) fn next(&mut self) -> Option<Box<str>> {
        self.queue.pop_front()
    }

    /// Records the result of a single call. If it was a confirmation, returns whether the status of
    /// the batch was confirmed, rejected because the cache was stale, or is not known.
    pub(super) fn completed(
        &mut self,
        client: &str,
        result: Result<bool, &CallError>,
    ) -> Option<&'static str> {
        match result {
            Ok(_) => {
                self.rejected.remove(client);
            }
            Err(error)
                if error.class == ErrorClass::Client && self.rejected.insert(client.into()) =>
            {
                tracing::warn!(
                    instance_id = error.instance,
                    client_id = client,
                    code = error.code,
                    "the API refuses this client ID; it is queried with single calls from now on, so that it makes no batch fail"
                );
            }
            Err(_) => {}
        }
        let expected = self.unconfirmed.remove(client)?;
        let [confirmed, rejected, failed] = CONFIRMATION_RESULTS;
        Some(match result {
            Ok(online) if online == expected => confirmed,
            Ok(_) => rejected,
            Err(_) => failed,
        })
    }
}
