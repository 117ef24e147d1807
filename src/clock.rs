//! Time as a value that is passed as a parameter: the wall clock, and moments of monotonic time.
//!
//! Only this module reads the clock of the operating system. Monotonic time is
//! `tokio::time::Instant` everywhere, which tests pause and advance, and a [`Moment`] where it is
//! stored or compared with other observations. Wall time is for rendering, for signatures and for
//! expiry dates.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
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

/// A point in monotonic time, in microseconds. Moments order and age what was observed: a step of
/// the wall clock changes neither.
///
/// The scale starts at the wall time at which its [`Clock`] was made, so only moments of one clock
/// are comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The moment `micros` microseconds after the zero of the scale.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the zero of the scale.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is not before `self`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Wall time minus monotonic time, in microseconds: the one way to render a [`Moment`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallOffset(i64);

impl WallOffset {
    /// The wall time of `moment`.
    #[must_use]
    pub const fn wall(self, moment: Moment) -> Timestamp {
        Timestamp(moment.0.saturating_add_signed(self.0) / 1000)
    }
}

/// An offset that is wrong by no more than this is kept, so that the rendered time of a moment does
/// not change from scrape to scrape. In microseconds.
const TOLERANCE: u64 = 1_000_000;

/// The latest start of the scale of moments (in 2041), so that moments fit into 52 bits until 2112.
const LATEST_START: u64 = 1 << 51;

/// The source of wall time and monotonic time. Clones share the offset between both.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The same point in both times.
    origin: Instant,
    start: Moment,
    /// The [`WallOffset`] in use.
    offset: AtomicI64,
    /// The true offset of a manual clock, in microseconds.
    manual: Option<AtomicI64>,
}

impl Clock {
    /// The operating system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(system_micros(), false)
    }

    /// A clock that is at `start` now and follows tokio's clock, which tests pause and advance.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::new(start.0.saturating_mul(1000), true)
    }

    fn new(wall: u64, is_manual: bool) -> Self {
        let start = wall.min(LATEST_START);
        let offset = difference(wall, start);
        Self(Arc::new(Shared {
            origin: Instant::now(),
            start: Moment(start),
            offset: AtomicI64::new(offset),
            manual: is_manual.then(|| AtomicI64::new(offset)),
        }))
    }

    /// The current wall time. What was observed has a [`Moment`] instead.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.wall_micros() / 1000)
    }

    /// The current monotonic time.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.moment_of(Instant::now())
    }

    /// The moment of `instant`.
    #[must_use]
    pub fn moment_of(&self, instant: Instant) -> Moment {
        let elapsed = instant.saturating_duration_since(self.0.origin).as_micros();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        Moment(self.0.start.0.saturating_add(elapsed))
    }

    /// The offset that is in use for rendering.
    #[must_use]
    pub fn offset(&self) -> WallOffset {
        WallOffset(self.0.offset.load(Relaxed))
    }

    /// Replaces the offset if it is wrong by more than a second. Returns by how many milliseconds
    /// the wall clock had moved ahead of the offset; 0 if the offset is kept.
    #[must_use]
    pub fn correct_offset(&self) -> i64 {
        let offset = difference(self.wall_micros(), self.moment().0);
        let error = offset - self.0.offset.load(Relaxed);
        if error.unsigned_abs() <= TOLERANCE {
            return 0;
        }
        self.0.offset.store(offset, Relaxed);
        error / 1000
    }

    /// Sets the wall clock of a manual clock ahead, or back, without a change of monotonic time.
    ///
    /// # Panics
    /// If it is the operating system's clock.
    pub fn step_millis(&self, millis: i64) {
        let offset = self.0.manual.as_ref().expect("a manual clock");
        offset.fetch_add(millis * 1000, Relaxed);
    }

    fn wall_micros(&self) -> u64 {
        match &self.0.manual {
            Some(offset) => self.moment().0.saturating_add_signed(offset.load(Relaxed)),
            None => system_micros(),
        }
    }
}

/// `a` minus `b`.
fn difference(a: u64, b: u64) -> i64 {
    i64::try_from(i128::from(a) - i128::from(b)).unwrap_or_default()
}

/// Microseconds since the Unix epoch; a time before it counts as the epoch.
fn system_micros() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the clock of the system"
    )]
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since_epoch.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[tokio::test(start_paused = true)]
    async fn a_step_moves_rendered_times_and_no_moment() {
        let start = Timestamp::from_millis(1_700_000_000_000);
        let clock = Clock::manual(start);
        let seen = clock.moment();
        tokio::time::advance(Duration::from_secs(10)).await;
        for step in [-8 * HOUR, 16 * HOUR, -8 * HOUR - 120_000] {
            let (before, wall) = (clock.moment(), clock.now());
            clock.step_millis(step);
            assert_eq!(clock.moment(), before);
            assert_eq!(
                clock.now().as_millis(),
                wall.as_millis().strict_add_signed(step)
            );
            assert_eq!(clock.correct_offset(), step);
            assert_eq!(clock.correct_offset(), 0);
            assert_eq!(clock.offset().wall(before), clock.now());
        }
        assert_eq!(clock.moment().since(seen), Duration::from_secs(10));
        assert_eq!(
            clock.offset().wall(seen).as_millis(),
            start.as_millis() - 120_000
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_offset_that_is_wrong_by_a_second_is_kept() {
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        let (seen, offset) = (clock.moment(), clock.offset());
        for step in [-1000, 1000, 1000] {
            clock.step_millis(step);
            assert_eq!((clock.correct_offset(), clock.offset()), (0, offset));
        }
        clock.step_millis(1);
        assert_eq!(clock.correct_offset(), 1001);
        assert_eq!(clock.offset().wall(seen).as_millis(), 1_700_000_001_001);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_far_in_the_future_is_rendered_as_it_is() {
        let start = Timestamp::from_millis(7_000_000_000_000);
        let clock = Clock::manual(start);
        assert!(clock.moment().as_micros() >> 52 == 0);
        assert_eq!(clock.now(), start);
    }
}
