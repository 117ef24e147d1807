//! The retry budget of an account: what executor again may cost while nothing gets better.

use std::sync::{Mutex, PoisonError};

/// Retries that may be made before any call succeeds.
const FULL: u32 = 50;

/// Successes that pay for one retry; so retries are at most a tenth of all calls, and [`FULL`] more.
const SUCCESSES_PER_RETRY: u32 = 10;

/// Retries spend it, successes refill it, slowly. Shared by all instances of an account.
#[derive(Debug)]
pub(super) struct Budget(Mutex<u32>);

impl Budget {
    /// A full budget.
    pub(super) fn new() -> Self {
        Self(Mutex::new(FULL * SUCCESSES_PER_RETRY))
    }

    /// Takes one retry, if there is one left.
    pub(super) fn spend(&self) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let after = left.checked_sub(SUCCESSES_PER_RETRY);
        *left = after.unwrap_or(*left);
        after.is_some()
    }

    /// Pays in one success.
    pub(super) fn refund(&self) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left = (*left + 1).min(FULL * SUCCESSES_PER_RETRY);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn retries_are_a_tenth_of_successes_and_a_fixed_number_more(calls in prop::collection::vec(any::<bool>(), 0..2000)) {
            let budget = Budget::new();
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
        let budget = Budget::new();
        assert_eq!((0..1000).filter(|_| budget.spend()).count(), 50);
        (0..10).for_each(|_| budget.refund());
        assert!(budget.spend());
        assert!(!budget.spend());
    }
}
