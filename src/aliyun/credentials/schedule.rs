//! The times of fetches: time in, a decision out.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::random::Random;

/// The longest time between renewal and expiry, as in Alibaba Cloud's SDKs.
const EARLY: Duration = Duration::from_secs(15 * 60);

/// The pause after the first failure; each further failure in a row doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// When to renew credentials that were fetched at `now`: at a random time in the first third of
/// the last 15 minutes before they expire, or of the second half of their lifetime if that is
/// shorter. The random time spreads the requests of many exporters.
pub(super) fn renewal(now: Timestamp, expires: Timestamp, random: &Random) -> Timestamp {
    let left = expires.since(now);
    let early = EARLY.min(left / 2);
    now + left.saturating_sub(early) + random.part_of(early / 3)
}

/// The time without fetches after this number of `failures` in a row: between half of the pause
/// and the whole, at random. A service that is down is not queried once per call.
pub(super) fn pause(failures: u32, random: &Random) -> Duration {
    let pause = FIRST_PAUSE
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(LONGEST_PAUSE);
    pause / 2 + random.part_of(pause / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn renewal_after(left: Duration, random: u64) -> Duration {
        renewal(NOW, NOW + left, &Random::new(move || random)).since(NOW)
    }

    #[test]
    fn credentials_of_an_hour_are_renewed_15_minutes_early() {
        assert_eq!(renewal_after(seconds(3600), 0), seconds(45 * 60));
        assert_eq!(
            renewal_after(seconds(900), 0),
            seconds(450),
            "the shortest session of the service"
        );
        assert_eq!(renewal_after(Duration::ZERO, 0), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn a_renewal_is_between_now_and_the_expiry_with_a_margin(left in 1_000..200_000_000_u64, random: u64) {
            let left = Duration::from_millis(left);
            let after = renewal_after(left, random);
            prop_assert!(after >= left / 2 || after + EARLY >= left);
            prop_assert!(left >= after + EARLY.min(left / 2) * 2 / 3, "{:?}", after);
        }

        #[test]
        fn pauses_grow_to_a_minute(failures in 1..100_u32, random: u64) {
            let random = Random::new(move || random);
            let pause = pause(failures, &random);
            prop_assert!(pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE);
            prop_assert!(failures < 7 || pause >= LONGEST_PAUSE / 2);
        }
    }
}
