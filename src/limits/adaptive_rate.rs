//! The rate of a layer over time: halved when the API throttles, with a gradual recovery.

use std::time::Duration;

use super::rate::{Rate, SECOND, Time};

/// The time between two steps of the recovery.
const STEP_EVERY: Duration = Duration::from_secs(10);
/// A step is this part of the configured rate.
const STEPS: u64 = 20;

/// A rate that is a function of time: it rises in steps from `base` to `configured`.
#[derive(Clone, Debug)]
pub(super) struct AdaptiveRate {
    configured: Rate,
    /// The rate at `since`; the configured one while nothing was throttled.
    base: Rate,
    since: Time,
    halved: Option<Time>,
}

impl AdaptiveRate {
    pub(super) fn new(configured: Rate) -> Self {
        Self {
            configured,
            base: configured,
            since: Time::START,
            halved: None,
        }
    }

    /// The rate at `now`.
    pub(super) fn at(&self, now: Time) -> Rate {
        let step = (self.configured.millicalls() / STEPS).max(1);
        let risen = step.saturating_mul(self.steps(now));
        Rate::from_millicalls(self.base.millicalls().saturating_add(risen)).min(self.configured)
    }

    /// The amount that is earned between two points in time.
    pub(super) fn earned(&self, mut from: Time, to: Time) -> u128 {
        let mut earned = 0;
        while from < to {
            let end = self.steady_until(from).min(to);
            earned += self.at(from).over(end.since(from));
            from = end;
        }
        earned
    }

    /// The first point in time at which `amount` is earned since `from`.
    pub(super) fn earned_at(&self, mut from: Time, mut amount: u128) -> Time {
        loop {
            let rate = self.at(from);
            let done = from + rate.time_for(amount);
            let end = self.steady_until(from);
            if done <= end {
                return done;
            }
            amount -= rate.over(end.since(from));
            from = end;
        }
    }

    /// Halves the rate because a call that was sent at `sent_at` was throttled: at most once a
    /// second, and not for a call that left before the last halving. The rate stays at one call
    /// per second or above, unless a lower one is configured.
    pub(super) fn halve(&mut self, sent_at: Time, now: Time) {
        if self
            .halved
            .is_some_and(|last| sent_at <= last || now.since(last) < SECOND)
        {
            return;
        }
        let floor = Rate::per_second(1).min(self.configured);
        self.base = Rate::from_millicalls(self.at(now).millicalls() / 2).max(floor);
        self.since = now;
        self.halved = Some(now);
    }

    /// Changes the configured rate. A halved rate stays as it is, and continues to recover.
    pub(super) fn reconfigure(&mut self, configured: Rate, now: Time) {
        let rate = self.at(now);
        if rate == self.configured {
            self.base = configured;
        } else {
            self.base = rate.min(configured);
            self.since = self.since + length(self.steps(now));
        }
        self.configured = configured;
    }

    /// The number of steps that the rate has risen from `base`.
    fn steps(&self, now: Time) -> u64 {
        now.since(self.since).as_secs() / STEP_EVERY.as_secs()
    }

    /// The time until which the rate stays the same as at `now`.
    fn steady_until(&self, now: Time) -> Time {
        if self.at(now) == self.configured {
            Time::NEVER
        } else {
            self.since + length(self.steps(now) + 1)
        }
    }
}

/// The time that this many steps take.
fn length(steps: u64) -> Duration {
    Duration::from_secs(STEP_EVERY.as_secs().saturating_mul(steps))
}
