//! The reaction to a failed call, as data: classified errors in, a decision out. And the budget
//! that limits what retries may cost during an outage.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use crate::presence::{CallError, ErrorClass};

/// The longest wait before the first retry; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait before any retry.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// The retries that may be made before any call succeeds.
const FULL: u32 = 50;

/// The successes that pay for one retry: retries are at most a tenth of all calls, plus [`FULL`].
const SUCCESSES_PER_RETRY: u32 = 10;

/// The attempts of one request so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    /// Retries after throttling and transient errors.
    retries: u32,
    /// Whether it was repeated because a connection had ended.
    reconnected: bool,
    /// Whether it was repeated because of clock skew or a nonce.
    restamped: bool,
    /// Whether it was repeated with other credentials.
    refreshed: bool,
}

/// The reaction to a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryDecision {
    /// None: the error is final.
    Final,
    /// Repeat at a random time before this has passed; costs a retry of the budget.
    Retry(Duration),
    /// Refresh the credentials, then repeat if they have changed; costs a retry as well.
    Refresh,
}

impl Attempts {
    /// Decides about `error` and records the decision; at most `retries` retries are allowed.
    pub(super) fn decide(&mut self, error: &CallError, retries: u32) -> RetryDecision {
        match error.class {
            ErrorClass::Throttled { .. } | ErrorClass::Transient | ErrorClass::Connect
                if self.retries < retries =>
            {
                let wait = FIRST_WAIT
                    .saturating_mul(1 << self.retries.min(16))
                    .min(LONGEST_WAIT);
                self.retries += 1;
                RetryDecision::Retry(wait)
            }
            ErrorClass::Closed if !std::mem::replace(&mut self.reconnected, true) => {
                RetryDecision::Retry(Duration::ZERO)
            }
            ErrorClass::ClockSkew | ErrorClass::Nonce
                if !std::mem::replace(&mut self.restamped, true) =>
            {
                RetryDecision::Retry(Duration::ZERO)
            }
            ErrorClass::Credentials if !std::mem::replace(&mut self.refreshed, true) => {
                RetryDecision::Refresh
            }
            _ => RetryDecision::Final,
        }
    }

    /// Whether the one repetition that can resolve an error of this class was made before.
    pub(super) fn was_repeated(self, class: ErrorClass) -> bool {
        match class {
            ErrorClass::ClockSkew | ErrorClass::Nonce => self.restamped,
            _ => false,
        }
    }
}

/// The retry budget of an account: retries spend it, successes refill it slowly.
#[derive(Debug)]
pub(super) struct RetryBudget(AtomicU32);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(AtomicU32::new(FULL * SUCCESSES_PER_RETRY))
    }
}

impl RetryBudget {
    /// Takes one retry, if one is left.
    pub(super) fn spend(&self) -> bool {
        let spent = |left: u32| left.checked_sub(SUCCESSES_PER_RETRY);
        self.0.fetch_update(Relaxed, Relaxed, spent).is_ok()
    }

    /// Adds one success.
    pub(super) fn refund(&self) {
        let refunded = |left: u32| (left < FULL * SUCCESSES_PER_RETRY).then_some(left + 1);
        // It fails if the budget is full.
        let _ = self.0.fetch_update(Relaxed, Relaxed, refunded);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(class: ErrorClass) -> CallError {
        CallError {
            class,
            delivery: crate::presence::Delivery::Answered,
            label: "x",
            operation: "Query",
            instance: "post-cn-1".into(),
            code: "X".into(),
            message: String::new(),
            request_id: None,
            advice: "",
        }
    }

    #[test]
    fn every_request_ends() {
        let classes = [
            ErrorClass::Throttled {
                layer: crate::presence::ThrottledLayer::Account,
                retry_after: None,
            },
            ErrorClass::Transient,
            ErrorClass::Connect,
            ErrorClass::Closed,
            ErrorClass::ClockSkew,
            ErrorClass::Nonce,
            ErrorClass::Credentials,
            ErrorClass::Terminal,
            ErrorClass::Client,
        ];
        let mut attempts = Attempts::default();
        let again = (0..100)
            .filter(|n| attempts.decide(&error(classes[n % 9]), 2) != RetryDecision::Final)
            .count();
        assert_eq!(
            again, 5,
            "two retries, and one each for connection, stamp and credentials"
        );
    }

    #[test]
    fn waits_double_and_terminal_errors_are_final_at_once() {
        let mut attempts = Attempts::default();
        assert_eq!(
            attempts.decide(&error(ErrorClass::Transient), 2),
            RetryDecision::Retry(Duration::from_millis(250))
        );
        assert_eq!(
            attempts.decide(&error(ErrorClass::Transient), 2),
            RetryDecision::Retry(Duration::from_millis(500))
        );
        assert_eq!(
            attempts.decide(&error(ErrorClass::Transient), 2),
            RetryDecision::Final
        );
        for class in [ErrorClass::Terminal, ErrorClass::Client] {
            assert_eq!(
                Attempts::default().decide(&error(class), 2),
                RetryDecision::Final
            );
        }
    }

    proptest! {
        #[test]
        fn retries_are_a_tenth_of_successes_and_a_fixed_number_more(calls in prop::collection::vec(any::<bool>(), 0..2000)) {
            let budget = RetryBudget::default();
            let (mut retries, mut successes) = (0, 0);
            for succeeds in calls {
                if succeeds {
                    budget.refund();
                    successes += 1;
                } else if budget.spend() {
                    retries += 1;
                }
            }
            prop_assert!(retries <= FULL + successes / SUCCESSES_PER_RETRY);
        }
    }

    #[test]
    fn an_outage_ends_the_retries() {
        let budget = RetryBudget::default();
        assert_eq!((0..1000).filter(|_| budget.spend()).count(), 50);
        (0..10).for_each(|_| budget.refund());
        assert!(budget.spend());
        assert!(!budget.spend());
    }
}
