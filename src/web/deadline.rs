//! How long a scrape may wait.

use std::time::Duration;

use axum::http::HeaderMap;

/// How long the scraper waits, in seconds; Prometheus sends it with every scrape.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// The longest scrape timeout that is believed; with more than this, a header is taken for an error.
const LONGEST_TIMEOUT: f64 = 60.0;

/// What a scraper says about its timeout.
pub(super) fn asked(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(SCRAPE_TIMEOUT)
        .and_then(|value| value.to_str().ok())
}

/// How long a scrape may wait before it answers with what is known.
///
/// The scraper's timeout is what the header `X-Prometheus-Scrape-Timeout-Seconds` says
/// (`asked`), or `scrape_timeout` where it is missing, no number, not above 0 or above 60. Of
/// that is kept the larger of `offset` and twice the last rendering, which is how long the text
/// may well take. An offset that leaves nothing of the timeout does not fit it and is ignored,
/// as `blackbox_exporter` does; half of the timeout is kept instead, so that the answer still
/// arrives. A rendering is a fact and is never ignored: with no time left, the answer comes at once.
pub(super) fn wait(
    asked: Option<&str>,
    scrape_timeout: Duration,
    offset: Duration,
    last_rendering: Duration,
) -> Duration {
    let asked = asked.and_then(|text| text.trim().parse::<f64>().ok());
    let timeout = match asked {
        Some(seconds) if seconds > 0.0 && seconds <= LONGEST_TIMEOUT => {
            Duration::from_secs_f64(seconds)
        }
        _ => scrape_timeout,
    };
    let offset = if offset < timeout {
        offset
    } else {
        timeout / 2
    };
    timeout.saturating_sub(offset.max(last_rendering.saturating_mul(2)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLIS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_timeout_is_the_scrapers_where_it_says_one() {
        let wait = |asked| wait(asked, MILLIS(8000), MILLIS(500), Duration::ZERO);
        assert_eq!(wait(Some("10")), MILLIS(9500));
        assert_eq!(wait(Some(" 2.25 ")), MILLIS(1750));
        assert_eq!(wait(Some("60")), MILLIS(59500));
        for unusable in [
            "", "ten", "10s", "0", "-0", "-5", "60.001", "1e9", "inf", "nan", "0x10",
        ] {
            assert_eq!(wait(Some(unusable)), MILLIS(7500), "{unusable}");
        }
        assert_eq!(wait(None), MILLIS(7500));
    }

    #[test]
    fn twice_the_last_rendering_is_kept_where_it_is_more_than_the_offset() {
        let wait = |rendering| wait(Some("10"), MILLIS(8000), MILLIS(500), MILLIS(rendering));
        assert_eq!(wait(250), MILLIS(9500));
        assert_eq!(wait(251), MILLIS(9498));
        assert_eq!(wait(5000), Duration::ZERO);
        assert_eq!(wait(u64::MAX), Duration::ZERO);
    }

    #[test]
    fn an_offset_that_leaves_nothing_is_ignored() {
        let wait = |asked, offset| wait(Some(asked), MILLIS(8000), MILLIS(offset), Duration::ZERO);
        assert_eq!(wait("0.6", 500), MILLIS(100));
        assert_eq!(wait("0.5", 500), MILLIS(250));
        assert_eq!(wait("0.1", 500), MILLIS(50));
    }

    proptest! {
        #[test]
        fn any_scrape_is_answered_within_its_timeout(asked in 0.001f64..60.0, offset in 0u64..100_000, rendering in 0u64..100_000) {
            let wait = wait(Some(&asked.to_string()), MILLIS(8000), MILLIS(offset), MILLIS(rendering));
            prop_assert!(wait + MILLIS(rendering).min(Duration::from_secs_f64(asked)) <= Duration::from_secs_f64(asked));
        }
    }
}
