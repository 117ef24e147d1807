//! The clients that a batch sweep queries with single calls: those for which a batch returned
//! something new, and those that make a batch fail.

use std::collections::{HashMap, VecDeque};

use crate::presence::CallError;
use crate::telemetry::CONFIRMATION_RESULTS;

/// No further batch is sent while this many clients wait for a single call: the result of a cache
/// is to be confirmed soon, and a whole fleet may change at once.
const MOST: usize = 500;

/// The clients of one sweep that wait for a single call.
#[derive(Debug, Default)]
pub(super) struct ConfirmationQueue {
    queue: VecDeque<Box<str>>,
    /// The results of batches that wait for their confirmation.
    unconfirmed: HashMap<Box<str>, bool>,
}

impl ConfirmationQueue {
    /// Whether single calls have to be made before further batches.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= MOST
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
        let expected = self.unconfirmed.remove(client)?;
        let [confirmed, rejected, failed] = CONFIRMATION_RESULTS;
        Some(match result {
            Ok(online) if online == expected => confirmed,
            Ok(_) => rejected,
            Err(_) => failed,
        })
    }
}
