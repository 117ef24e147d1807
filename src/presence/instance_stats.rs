//! The state of an instance itself; it is removed with the instance.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;

/// How a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SweepResult {
    /// Every client got an answer.
    Complete,
    /// Some clients got no answer.
    Incomplete,
    /// The sweep was cancelled: its breaker opened, or its task panicked.
    Stopped,
}

impl SweepResult {
    /// All results, in the order of the exposition.
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
    /// From the start of the sweep to its last answer.
    pub duration: Duration,
    /// When it ended.
    pub end: Moment,
    /// The part of the fleet that got an answer, 0 to 1.
    pub coverage: f64,
}

/// The newest call that failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: Moment,
    /// The error, as it is logged.
    pub text: String,
}

/// What is known about one instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstanceStats {
    /// The age at which an observation expires and its client becomes unknown.
    pub stale_after: Duration,
    /// `stale_after` as configured, or for the planned duration of a sweep.
    pub planned_stale_after: Duration,
    /// Whether the API answers: not if the newest call was refused for who made it, or if the newest
    /// three failed on the way; `None` before any call.
    pub api_up: Option<bool>,
    /// The number of ended sweeps, in the order of [`SweepResult::ALL`].
    pub sweeps: [u64; 3],
    /// The sweep that ended last.
    pub last_sweep: Option<SweepSummary>,
    /// The server's clock minus this host's, in milliseconds, as corrected.
    pub clock_offset_millis: i64,
    /// The newest call that failed for good, after its retries.
    pub last_error: Option<Arc<LastError>>,
}

impl InstanceStats {
    /// Sets the planned age. If it is a new one, it replaces the age that was measured.
    pub fn plan_stale_after(&mut self, planned: Duration) {
        if self.planned_stale_after != planned {
            (self.planned_stale_after, self.stale_after) = (planned, planned);
        }
    }

    /// Clients are queried each `measured`: an observation lives three times as long, at least as
    /// long as planned and at most ten times as long.
    pub fn measure_stale_after(&mut self, measured: Duration) {
        let planned = self.planned_stale_after;
        self.stale_after = (3 * measured).clamp(planned, 10 * planned);
    }

    /// Counts a sweep that has ended.
    pub fn count_sweep(&mut self, result: SweepResult) {
        self.sweeps[result as usize] += 1;
    }

    /// The number of sweeps that ended with `result`.
    #[must_use]
    pub const fn sweeps_ended(&self, result: SweepResult) -> u64 {
        self.sweeps[result as usize]
    }
}
