//! What is known about an instance itself: it leaves with the instance.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;

/// How a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SweepResult {
    /// Every client was answered for.
    Complete,
    /// Some clients were not answered for.
    Incomplete,
    /// The sweep was given up: its breaker opened, or it failed itself.
    Stopped,
}

impl SweepResult {
    /// All of them, in the order of the exposition.
    pub const ALL: [Self; 3] = [Self::Complete, Self::Incomplete, Self::Stopped];

    /// The value of the label `result`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Stopped => "stopped",
        }
    }
}

/// A sweep that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SweepSummary {
    /// From its first plan to its last answer.
    pub duration: Duration,
    /// When it ended.
    pub end: Timestamp,
    /// The part of the fleet that it had an answer for, 0 to 1.
    pub coverage: f64,
}

/// A call that failed for good: also when it was made again, where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What is to be said about it, as in the log.
    pub text: String,
}

/// What is known about one instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InstanceStats {
    /// How old an observation may get before its client is unknown.
    pub stale_after: Duration,
    /// Whether the newest finished call reached the API and was authorised; `None` before any.
    pub api_up: Option<bool>,
    /// How many sweeps ended, in the order of [`SweepResult::ALL`].
    pub sweeps: [u64; 3],
    /// The sweep that ended last.
    pub last_sweep: Option<SweepSummary>,
    /// The server's clock minus this host's, in milliseconds, as corrected.
    pub clock_offset_millis: i64,
}

impl InstanceStats {
    /// Counts a sweep that has ended.
    pub fn count_sweep(&mut self, result: SweepResult) {
        self.sweeps[result as usize] += 1;
    }

    /// How many sweeps ended so.
    #[must_use]
    pub const fn sweeps_ended(&self, result: SweepResult) -> u64 {
        self.sweeps[result as usize]
    }
}

/// [`InstanceStats`] behind a lock that is held for a copy.
#[derive(Debug)]
pub(super) struct StatsCell(Mutex<InstanceStats>);

impl StatsCell {
    pub(super) fn new(stale_after: Duration) -> Self {
        Self(Mutex::new(InstanceStats {
            stale_after,
            api_up: None,
            sweeps: [0; 3],
            last_sweep: None,
            clock_offset_millis: 0,
        }))
    }

    pub(super) fn read(&self) -> InstanceStats {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut InstanceStats)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
