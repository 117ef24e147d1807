//! Time as the limits see it.

use std::ops::Add;
use std::time::Duration;

/// The second in which the service counts arrivals.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// A point in time: whole nanoseconds since the limiter's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// When the limiter started. `Time::START + elapsed` is any later point.
    pub const START: Self = Self(0);

    /// Later than everything (584 years).
    pub(super) const NEVER: Self = Self(u64::MAX);

    /// How long before `self` the `earlier` point was; zero when it was not before.
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
