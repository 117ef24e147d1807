//! When to speak of something that happens again and again: at once, and then now and then, with
//! how often it happened in between.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// How long a thing that goes on is passed over in silence.
const QUIET: Duration = Duration::from_secs(5 * 60);

/// How to log what just happened; see [`Repeats::happened`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It is new: say everything.
    First,
    /// It goes on: say it again, and how often it happened since.
    Again(Count),
}

/// How often something happened since it was last spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How often.
    pub times: u64,
    /// In how much time.
    pub within: Duration,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = if self.times == 1 { "time" } else { "times" };
        let (minutes, seconds) = (self.within.as_secs() / 60, self.within.as_secs() % 60);
        write!(
            f,
            "happened {} more {times} in the last {minutes}m{seconds}s",
            self.times
        )
    }
}

/// What happened lately, by a key that tells one thing from another: an instance with an error
/// code, say. There are to be few keys; each is held until it is [ended](Repeats::ended).
#[derive(Debug)]
pub struct Repeats<K>(HashMap<K, Since>);

#[derive(Clone, Copy, Debug)]
struct Since {
    spoken: Instant,
    times: u64,
}

impl<K> Default for Repeats<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Repeats<K> {
    /// Something happened at `now`; `None` when it is not worth a line yet, because there was one
    /// in the last five minutes.
    pub fn happened(&mut self, key: K, now: Instant) -> Option<Repeat> {
        let Some(since) = self.0.get_mut(&key) else {
            self.0.insert(
                key,
                Since {
                    spoken: now,
                    times: 0,
                },
            );
            return Some(Repeat::First);
        };
        since.times += 1;
        if now - since.spoken < QUIET {
            return None;
        }
        let count = since.count(now);
        *since = Since {
            spoken: now,
            times: 0,
        };
        Some(Repeat::Again(count))
    }

    /// The things whose key is `over` have ended: the next time, each of them is new. Gives back
    /// those that happened since they were last spoken of, for a closing line.
    pub fn ended(&mut self, now: Instant, mut over: impl FnMut(&K) -> bool) -> Vec<(K, Count)> {
        let ended = self.0.extract_if(|key, _| over(key));
        ended
            .filter(|(_, since)| since.times > 0)
            .map(|(key, since)| (key, since.count(now)))
            .collect()
    }
}

impl Since {
    fn count(self, now: Instant) -> Count {
        Count {
            times: self.times,
            within: now - self.spoken,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_time_is_told_at_once_and_later_ones_every_five_minutes() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        assert_eq!(repeats.happened("timeout", start), Some(Repeat::First));
        assert_eq!(repeats.happened("timeout", start + seconds(1)), None);
        assert_eq!(
            repeats.happened("reset", start + seconds(2)),
            Some(Repeat::First)
        );
        assert_eq!(repeats.happened("timeout", start + seconds(299)), None);
        let again = Count {
            times: 3,
            within: seconds(300),
        };
        assert_eq!(
            repeats.happened("timeout", start + seconds(300)),
            Some(Repeat::Again(again))
        );
        assert_eq!(repeats.happened("timeout", start + seconds(599)), None);
    }

    #[test]
    fn an_end_gives_the_count_and_makes_the_next_time_new() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        for (key, at) in [
            ("timeout", 0),
            ("timeout", 5),
            ("reset", 6),
            ("other", 7),
            ("other", 8),
        ] {
            repeats.happened(key, start + seconds(at));
        }
        let ended = repeats.ended(start + seconds(70), |&key| key != "other");
        assert_eq!(
            ended,
            [(
                "timeout",
                Count {
                    times: 1,
                    within: seconds(70)
                }
            )]
        );
        assert_eq!(
            ended[0].1.to_string(),
            "happened 1 more time in the last 1m10s"
        );
        assert_eq!(
            repeats.happened("timeout", start + seconds(71)),
            Some(Repeat::First)
        );
        assert_eq!(repeats.happened("other", start + seconds(72)), None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_lines_are_five_minutes_apart(steps in prop::collection::vec((0u64..200, any::<bool>()), 1..80)) {
            let (mut repeats, mut now) = (Repeats::default(), Instant::now());
            let (mut happened, mut told, mut spoken) = (0, 0, None::<Instant>);
            for (wait, end) in steps {
                now += seconds(wait);
                if end {
                    told += repeats.ended(now, |()| true).iter().map(|((), count)| count.times).sum::<u64>();
                    spoken = None;
                    continue;
                }
                happened += 1;
                let line = repeats.happened((), now);
                told += match line {
                    None => continue,
                    Some(Repeat::First) => 1,
                    Some(Repeat::Again(count)) => count.times,
                };
                prop_assert!(spoken.is_none_or(|spoken| now - spoken >= QUIET));
                spoken = Some(now);
            }
            told += repeats.ended(now, |()| true).iter().map(|((), count)| count.times).sum::<u64>();
            prop_assert_eq!(told, happened);
        }
    }
}
