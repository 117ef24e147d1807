//! Pace: how evenly calls leave.

use super::adaptive_rate::AdaptiveRate;
use super::priority::Priority;
use super::rate::CALL;
use super::{LayerSpec, Rate, Time};

/// A call that overtakes costs ten times as much of its own bucket, which is what holds
/// overtaking to a tenth of the rate.
const OVERTAKING: u128 = 10 * CALL;

/// The generic cell rate algorithm as a leaky bucket: it fills by a call and leaks at the rate.
///
/// (The form with a theoretical arrival time is the same for a rate that stays. With what was
/// spent instead of a time, a change of the rate needs no conversion.)
#[derive(Clone, Debug)]
pub(super) struct Pace {
    rate: AdaptiveRate,
    /// Up to when the buckets have leaked.
    settled: Time,
    all: Bucket,
    overtaking: Bucket,
}

#[derive(Clone, Debug)]
struct Bucket {
    spent: u128,
    size: u128,
}

impl Bucket {
    /// A bucket that has room for one call of `cost` and has nothing saved up beyond it.
    fn fresh(size: u128, cost: u128) -> Self {
        Self {
            spent: size - cost,
            size,
        }
    }

    /// How much has to leak before `cost` fits.
    fn lacks(&self, cost: u128) -> u128 {
        (self.spent + cost).saturating_sub(self.size)
    }

    fn leak(&mut self, amount: u128) {
        self.spent = self.spent.saturating_sub(amount);
    }
}

fn sizes(spec: &LayerSpec) -> (u128, u128) {
    let burst = u128::from(spec.burst.max(1)) * CALL;
    (burst, burst.max(OVERTAKING))
}

impl Pace {
    /// A pace at which the first call may leave at `opens_at`, and no burst is saved up then.
    pub(super) fn new(spec: &LayerSpec, opens_at: Time) -> Self {
        let (all, overtaking) = sizes(spec);
        Self {
            rate: AdaptiveRate::new(spec.rate),
            settled: opens_at,
            all: Bucket::fresh(all, CALL),
            overtaking: Bucket::fresh(overtaking, OVERTAKING),
        }
    }

    /// The rate in force at `now`.
    pub(super) fn rate(&self, now: Time) -> Rate {
        self.rate.at(now)
    }

    /// From when on a call may leave.
    pub(super) fn opens_at(&self, priority: Priority) -> Time {
        let lacks = match priority {
            Priority::Ordinary => self.all.lacks(CALL),
            Priority::Urgent => self.all.lacks(CALL).max(self.overtaking.lacks(OVERTAKING)),
        };
        self.rate.earned_at(self.settled, lacks)
    }

    /// A call leaves; an urgent one as one that overtakes.
    pub(super) fn spend(&mut self, priority: Priority, now: Time) {
        self.settle(now);
        self.all.spent += CALL;
        if priority == Priority::Urgent {
            self.overtaking.spent += OVERTAKING;
        }
    }

    /// See [`AdaptiveRate::halve`].
    pub(super) fn halve(&mut self, sent_at: Time, now: Time) {
        self.settle(now);
        self.rate.halve(sent_at, now);
    }

    /// Another rate and burst. What was spent stays spent.
    pub(super) fn reconfigure(&mut self, spec: &LayerSpec, now: Time) {
        self.settle(now);
        self.rate.reconfigure(spec.rate, now);
        (self.all.size, self.overtaking.size) = sizes(spec);
    }

    fn settle(&mut self, now: Time) {
        let earned = self.rate.earned(self.settled, now);
        self.all.leak(earned);
        self.overtaking.leak(earned);
        self.settled = self.settled.max(now);
    }
}
