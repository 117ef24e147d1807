//! Limits the log lines of a recurring event: the first occurrence is logged, then at most one
//! line each five minutes, with the number of occurrences in between.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two lines with the same key.
const INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Occurrences that were not logged. Displays as nothing where there are none, else as a suffix of
/// the log line, in parentheses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suppressed {
    /// Their number.
    pub count: u64,
    /// The time since the last line.
    pub within: Duration,
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.count, self.within.as_secs()) {
            (0, _) => Ok(()),
            (1, secs) => write!(f, " (1 more occurrence in the last {secs} s)"),
            (count, secs) => write!(f, " ({count} more occurrences in the last {secs} s)"),
        }
    }
}

/// Recurring events by key, such as an instance and an error code. A key is held until it is
/// [cleared](Self::clear), so the number of keys must be small.
#[derive(Debug, Default)]
pub struct LogThrottle<K>(HashMap<K, Logged>);

/// The time of the last line, and the number of occurrences since.
type Logged = (Instant, u64);

impl<K: Eq + Hash> LogThrottle<K> {
    /// Records an occurrence at `now`; `None` if it must not be logged.
    pub fn record(&mut self, key: K, now: Instant) -> Option<Suppressed> {
        let Some((last, suppressed)) = self.0.get_mut(&key) else {
            self.0.insert(key, (now, 0));
            return Some(Suppressed::default());
        };
        let (count, within) = (*suppressed + 1, now - *last);
        *suppressed = count;
        (within >= INTERVAL).then(|| {
            (*last, *suppressed) = (now, 0);
            Suppressed { count, within }
        })
    }

    /// Ends the events whose key is `over`: their next occurrence is logged at once. Returns those
    /// with occurrences since their last line.
    pub fn clear(
        &mut self,
        now: Instant,
        mut over: impl FnMut(&K) -> bool,
    ) -> Vec<(K, Suppressed)> {
        let ended = self.0.extract_if(|key, _| over(key));
        let ended = ended.filter(|(_, (_, count))| *count > 0);
        let since = |(last, count)| Suppressed {
            count,
            within: now - last,
        };
        ended.map(|(key, logged)| (key, since(logged))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: Option<Suppressed> = Some(Suppressed {
        count: 0,
        within: Duration::ZERO,
    });

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_occurrence_is_logged_at_once_and_later_ones_every_five_minutes() {
        let (mut throttle, start) = (LogThrottle::default(), Instant::now());
        assert_eq!(throttle.record("timeout", start), FIRST);
        assert_eq!(throttle.record("timeout", start + seconds(1)), None);
        assert_eq!(throttle.record("reset", start + seconds(2)), FIRST);
        assert_eq!(throttle.record("timeout", start + seconds(299)), None);
        let again = Suppressed {
            count: 3,
            within: seconds(300),
        };
        assert_eq!(
            throttle.record("timeout", start + seconds(300)),
            Some(again)
        );
        assert_eq!(again.to_string(), " (3 more occurrences in the last 300 s)");
        assert_eq!(throttle.record("timeout", start + seconds(599)), None);
    }

    #[test]
    fn clearing_returns_the_count_and_the_next_occurrence_is_a_first_one() {
        let (mut throttle, start) = (LogThrottle::default(), Instant::now());
        for (key, at) in [
            ("timeout", 0),
            ("timeout", 5),
            ("reset", 6),
            ("other", 7),
            ("other", 8),
        ] {
            throttle.record(key, start + seconds(at));
        }
        let cleared = throttle.clear(start + seconds(70), |&key| key != "other");
        let suppressed = Suppressed {
            count: 1,
            within: seconds(70),
        };
        assert_eq!(cleared, [("timeout", suppressed)]);
        assert_eq!(
            suppressed.to_string(),
            " (1 more occurrence in the last 70 s)"
        );
        assert_eq!(throttle.record("timeout", start + seconds(71)), FIRST);
        assert_eq!(throttle.record("other", start + seconds(72)), None);
    }

    proptest! {
        #[test]
        fn every_occurrence_is_counted_and_lines_are_five_minutes_apart(steps in prop::collection::vec((0u64..200, any::<bool>()), 1..80)) {
            let (mut throttle, mut now) = (LogThrottle::default(), Instant::now());
            let (mut occurred, mut counted, mut last) = (0, 0, None::<Instant>);
            for (wait, end) in steps {
                now += seconds(wait);
                if end {
                    counted += throttle.clear(now, |()| true).iter().map(|((), suppressed)| suppressed.count).sum::<u64>();
                    last = None;
                    continue;
                }
                occurred += 1;
                let Some(line) = throttle.record((), now) else {
                    continue;
                };
                // A later line counts its own occurrence as well.
                counted += line.count.max(1);
                prop_assert_eq!(line.count == 0, last.is_none());
                prop_assert!(last.is_none_or(|last| now - last >= INTERVAL));
                last = Some(now);
            }
            counted += throttle.clear(now, |()| true).iter().map(|((), suppressed)| suppressed.count).sum::<u64>();
            prop_assert_eq!(counted, occurred);
        }
    }
}
