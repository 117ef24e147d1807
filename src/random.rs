//! Random numbers, as a value that is passed as a parameter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The source of random numbers.
#[derive(Clone)]
pub struct Random(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Random {
    /// Random numbers from `source`.
    pub fn new(source: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// A random number.
    #[must_use]
    pub fn number(&self) -> u64 {
        (self.0)()
    }

    /// A uniformly random duration shorter than `longest`: full jitter.
    #[must_use]
    pub fn part_of(&self, longest: Duration) -> Duration {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos((self.0)().checked_rem(nanos).unwrap_or_default())
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_full() {
        let highest = Random::new(|| u64::MAX);
        assert_eq!(highest.part_of(Duration::ZERO), Duration::ZERO);
        assert!(highest.part_of(Duration::from_secs(1)) < Duration::from_secs(1));
        assert_eq!(
            Random::new(|| 0).part_of(Duration::from_secs(1)),
            Duration::ZERO
        );
    }
}
