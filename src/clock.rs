//! Wall time, as a value that is passed as a parameter.
//!
//! Only this module reads the clock of the operating system. Monotonic time is
//! `tokio::time::Instant` everywhere, which tests pause and advance; a [`Clock::manual`] wall clock
//! follows it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A point in wall time: milliseconds since the Unix epoch, by this host's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The timestamp `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Seconds since the Unix epoch, as Prometheus writes a timestamp.
    #[must_use]
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is not before `self`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The same point as a type of the standard library.
    #[must_use]
    pub fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0)
    }
}

impl From<SystemTime> for Timestamp {
    /// A time before the epoch counts as the epoch.
    fn from(time: SystemTime) -> Self {
        let millis = time
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        Self(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(rhs.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

/// The source of wall time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The start of a manual clock, in wall time and in tokio's time.
    manual: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// The operating system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self { manual: None }
    }

    /// A clock that is at `start` now and follows tokio's clock, which tests pause and advance.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self {
            manual: Some((start, Instant::now())),
        }
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        if let Some((start, at)) = self.manual {
            return start + at.elapsed();
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the only place that reads the clock of the system"
        )]
        let now = SystemTime::now();
        now.into()
    }
}
