//! The limits of `/metrics` and `/probe`: how many requests at a time, and how long each may wait.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::options::WebOptions;
use crate::config::Config;

/// The timeout of the scraper in seconds; Prometheus sends it with every scrape.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// The longest scrape timeout; a higher value of the header counts as invalid.
const MAX_TIMEOUT: f64 = 60.0;

/// The response to a request that is refused.
pub(super) type Refusal = (StatusCode, String);

/// The limits of one kind of request.
pub(super) struct ScrapeLimits {
    /// The requests, for the refusal.
    kind: &'static str,
    max_requests: usize,
    permits: Arc<Semaphore>,
    timeout_offset: Duration,
}

impl ScrapeLimits {
    pub(super) fn new(kind: &'static str, options: &WebOptions) -> Self {
        let max_requests = options.max_requests;
        let permits = match max_requests {
            0 => Semaphore::MAX_PERMITS,
            limit => limit.min(Semaphore::MAX_PERMITS),
        };
        Self {
            kind,
            max_requests,
            permits: Arc::new(Semaphore::new(permits)),
            timeout_offset: options.timeout_offset,
        }
    }

    /// A permit for one request, which is returned when it is dropped.
    pub(super) fn acquire(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        permit.map_err(|_| {
            let (kind, limit) = (self.kind, self.max_requests);
            let text = format!(
                "too many concurrent {kind}: --web.max-requests is {limit}; try again later\n"
            );
            (StatusCode::SERVICE_UNAVAILABLE, text)
        })
    }

    /// How long a request with `headers` may wait before it is answered with what is known.
    pub(super) fn wait(
        &self,
        headers: &HeaderMap,
        config: &Config,
        last_rendering: Duration,
    ) -> Duration {
        let requested = headers.get(SCRAPE_TIMEOUT);
        let requested = requested.and_then(|value| value.to_str().ok());
        let default = config.collect.scrape_timeout;
        wait(requested, default, self.timeout_offset, last_rendering)
    }
}

/// How long a scrape may wait.
///
/// The timeout is the value of the header `X-Prometheus-Scrape-Timeout-Seconds` (`requested`), or
/// `scrape_timeout` if the header is missing, not a number, not above 0 or above 60. The larger of
/// `offset` and twice the last rendering is subtracted, because the next rendering may take that
/// long. An offset that leaves nothing of the timeout is ignored, as in `blackbox_exporter`; half
/// of the timeout is subtracted instead, so that the response still arrives. A rendering is a
/// measured time and is never ignored: with no time left, the response is immediate.
fn wait(
    requested: Option<&str>,
    scrape_timeout: Duration,
    offset: Duration,
    last_rendering: Duration,
) -> Duration {
    let requested = requested.and_then(|text| text.trim().parse().ok());
    let requested = requested.filter(|&seconds| seconds > 0.0 && seconds <= MAX_TIMEOUT);
    let timeout = requested.map_or(scrape_timeout, Duration::from_secs_f64);
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
    fn the_timeout_is_that_of_the_scraper_if_valid() {
        let wait = |asked| wait(asked, MILLIS(8000), MILLIS(500), Duration::ZERO);
        assert_eq!(wait(Some("10")), MILLIS(9500));
        assert_eq!(wait(Some(" 2.25 ")), MILLIS(1750));
        assert_eq!(wait(Some("60")), MILLIS(59500));
        for invalid in [
            "", "ten", "10s", "0", "-0", "-5", "60.001", "1e9", "inf", "nan", "0x10",
        ] {
            assert_eq!(wait(Some(invalid)), MILLIS(7500), "{invalid}");
        }
        assert_eq!(wait(None), MILLIS(7500));
    }

    #[test]
    fn twice_the_last_rendering_is_subtracted_if_above_the_offset() {
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
