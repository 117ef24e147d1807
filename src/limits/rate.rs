//! Time and rates, and the exact arithmetic of calls over time.

use std::ops::Add;
use std::time::Duration;

/// The period in which the API counts arrivals.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// A point in time: whole nanoseconds since the start of the limiter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The start of the limiter. `Time::START + elapsed` is any later point.
    pub const START: Self = Self(0);

    /// Later than everything (584 years).
    pub(super) const NEVER: Self = Self(u64::MAX);

    /// The time from `earlier` to `self`; zero if `earlier` is not before `self`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

/// One call, in the unit in which calls are earned and spent: a thousandth of a call per second
/// over a nanosecond. All sums are whole numbers, so that nothing is rounded.
pub(super) const CALL: u128 = 1_000 * 1_000_000_000;

const MILLI: u64 = 1_000;

/// Calls per second, in whole thousandths; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

impl Rate {
    /// `calls` per second. Zero becomes the smallest rate, one call in 1,000 s.
    #[must_use]
    pub fn per_second(calls: u32) -> Self {
        Self::from_millicalls(u64::from(calls) * MILLI)
    }

    /// The part of this rate that one of several processes may use: `part` is above 0 and at most
    /// 1. Rounded down but not to zero, so that all parts together never exceed the whole.
    #[must_use]
    pub fn scaled(self, part: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rounds down on purpose; the product is neither negative nor above the whole"
        )]
        let millicalls = (self.millicalls() as f64 * part.clamp(0.0, 1.0)) as u64;
        Self::from_millicalls(millicalls)
    }

    /// Calls per second, as in metrics.
    #[must_use]
    pub fn calls_per_second(self) -> f64 {
        self.millicalls() as f64 / MILLI as f64
    }

    /// One call per second.
    pub(super) const ONE: Self = Self(MILLI);

    pub(super) fn from_millicalls(millicalls: u64) -> Self {
        Self(millicalls.max(1))
    }

    pub(super) const fn millicalls(self) -> u64 {
        self.0
    }

    /// The amount that is earned in `time`.
    pub(super) fn over(self, time: Duration) -> u128 {
        u128::from(self.millicalls()) * time.as_nanos()
    }

    /// The time that it takes to earn `amount`, rounded up to a nanosecond.
    pub(super) fn time_for(self, amount: u128) -> Duration {
        let nanos = amount.div_ceil(u128::from(self.millicalls()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rate_is_never_zero() {
        assert_eq!(Rate::per_second(0).millicalls(), 1);
        for part in [0.0, -1.0, 1e-300, f64::NAN] {
            assert_eq!(Rate::per_second(220).scaled(part).millicalls(), 1, "{part}");
        }
    }

    #[test]
    fn a_part_is_exact_where_it_can_be() {
        let rate = Rate::per_second(220);
        assert_eq!(rate.scaled(1.0), rate);
        assert_eq!(rate.scaled(0.5), Rate::per_second(110));
        assert!((rate.scaled(0.01).calls_per_second() - 2.2).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn the_parts_of_a_rate_are_never_more_than_the_rate(calls in 1u32..=1000, shards in 1u32..=1000) {
            let part = Rate::per_second(calls).scaled(1.0 / f64::from(shards));
            prop_assert!(part.millicalls() * u64::from(shards) <= u64::from(calls) * MILLI);
        }

        #[test]
        fn the_time_for_an_amount_is_the_shortest_that_earns_it(millicalls in 1u64..1_000_000, amount in 0..1_000 * CALL) {
            let rate = Rate::from_millicalls(millicalls);
            let time = rate.time_for(amount);
            prop_assert!(rate.over(time) >= amount);
            prop_assert!(time.is_zero() || rate.over(time.saturating_sub(Duration::from_nanos(1))) < amount);
        }
    }
}
