//! The client IDs of an instance that the API refuses.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::presence::{CallError, Fleet};

/// The interval of a client that was refused twice in a row; each further refusal doubles it.
const FIRST_INTERVAL: Duration = Duration::from_secs(60);

/// The longest interval.
const LONGEST_INTERVAL: Duration = Duration::from_secs(900);

/// Clients that the API refused, until a call for them succeeds. A batch with one of them fails,
/// and each is queried at growing intervals.
#[derive(Debug, Default)]
pub(super) struct RejectedClients(HashMap<Box<str>, Rejection>);

#[derive(Clone, Copy, Debug)]
struct Rejection {
    times: u32,
    /// No call is made before this time.
    until: Instant,
}

impl RejectedClients {
    /// The time before which `client` is not queried, if it was refused.
    pub(super) fn until(&self, client: &str) -> Option<Instant> {
        self.0.get(client).map(|rejection| rejection.until)
    }

    /// The API refused `client` alone.
    pub(super) fn refused(&mut self, client: &str, error: &CallError, now: Instant) {
        let rejection = self.0.entry(client.into()).or_insert_with(|| {
            tracing::warn!(
                instance_id = error.instance,
                client_id = client,
                code = error.code,
                "the API refuses this client ID; it is queried alone and at growing intervals, at most 15 min"
            );
            Rejection { times: 0, until: now }
        });
        rejection.until = now
            + match rejection.times {
                0 => Duration::ZERO,
                times => FIRST_INTERVAL
                    .saturating_mul(1 << (times - 1).min(16))
                    .min(LONGEST_INTERVAL),
            };
        rejection.times += 1;
    }

    /// The API answered a call for `client`.
    pub(super) fn accepted(&mut self, client: &str) {
        self.0.remove(client);
    }

    /// Forgets clients that are not in `fleet`.
    pub(super) fn retain(&mut self, fleet: &Fleet) {
        self.0.retain(|client, _| fleet.position(client).is_some());
    }
}
