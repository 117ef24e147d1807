//! Wall time, as a value that is handed down.
//!
//! Only this module asks the operating system what time it is. Monotonic time
//! is `tokio::time::Instant` everywhere, so that a test which pauses the runtime
//! steers it; a [`Clock::steered`] wall clock follows that same paused time.

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

    /// How long before `self` the `earlier` point was; zero when it was not before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The same point as the standard library writes it.
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

/// Where wall time comes from.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    Steered { start: Timestamp, at: Instant },
}

impl Clock {
    /// The operating system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that shows `start` now and goes on as tokio's clock does, paused time included.
    #[must_use]
    pub fn steered(start: Timestamp) -> Self {
        Self(Source::Steered {
            start,
            at: Instant::now(),
        })
    }

    /// The time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self.0 {
            Source::System => {
                #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
                let now = SystemTime::now();
                now.into()
            }
            Source::Steered { start, at } => start + at.elapsed(),
        }
    }
}
