//! What follows from a failed call, as data: classified errors in, a decision out.

use std::time::Duration;

use crate::presence::{CallError, ErrorClass};

/// The longest wait before the first retry; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait before any retry.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// What was attempts for one question already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    /// Retries after throttling and transient errors.
    retries: u32,
    /// Whether it was asked again because a connection had ended.
    reconnected: bool,
    /// Whether it was asked again because of clocks or nonces.
    restamped: bool,
    /// Whether it was asked again with other credentials.
    refreshed: bool,
}

/// What to do about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryDecision {
    /// Nothing more: the error stands.
    Final,
    /// Ask again at a random time before this has passed; it costs a retry of the budget.
    Retry(Duration),
    /// Ask again at once; the error is of a kind that one repetition settles.
    Repeat,
    /// Refresh the credentials, then ask again if there are other ones.
    Refresh,
}

impl Attempts {
    /// Decides about `error`, and remembers the decision; `retries` is how many are allowed.
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
                RetryDecision::Repeat
            }
            ErrorClass::Credentials if !std::mem::replace(&mut self.refreshed, true) => {
                RetryDecision::Refresh
            }
            _ => RetryDecision::Final,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(class: ErrorClass) -> CallError {
        CallError {
            class,
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
    fn every_question_ends() {
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
}
