//! The rate limit of all requests.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::web::toolkit::RateLimit;

/// A token bucket, represented by the time at which it is full.
pub(super) struct RequestBucket {
    pub(super) limit: RateLimit,
    full_at: Mutex<Instant>,
}

impl RequestBucket {
    /// A full bucket.
    pub(super) fn new(limit: RateLimit) -> Self {
        let full_at = Mutex::new(Instant::now());
        Self { limit, full_at }
    }

    /// Takes a token; `false` if there is none.
    pub(super) fn take(&self) -> bool {
        let RateLimit { interval, burst } = self.limit;
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let full_then = now.max(*full_at) + interval;
        let enough = full_then - now <= interval.saturating_mul(burst);
        if enough {
            *full_at = full_then;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn taken(bucket: &RequestBucket) -> usize {
        (0..100).take_while(|_| bucket.take()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_allowed_at_once_then_one_request_in_each_interval() {
        let bucket = RequestBucket::new(RateLimit {
            interval: Duration::from_secs(2),
            burst: 3,
        });
        assert_eq!(taken(&bucket), 3);
        for (seconds, tokens) in [(1, 0), (1, 1), (2, 1), (5, 2), (1, 1), (3600, 3)] {
            advance(Duration::from_secs(seconds)).await;
            assert_eq!(taken(&bucket), tokens, "{seconds} s later");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_zero_refuses_all_requests() {
        let bucket = RequestBucket::new(RateLimit {
            interval: Duration::from_secs(1),
            burst: 0,
        });
        advance(Duration::from_secs(3600)).await;
        assert_eq!(taken(&bucket), 0);
    }
}
