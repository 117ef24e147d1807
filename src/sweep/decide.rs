//! What follows from a failed call, as data: classified errors in, a decision out.

use std::time::Duration;

use crate::presence::{CallError, ErrorClass};

/// The longest wait before the first retry; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait before any retry.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// What was tried for one question already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tried {
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
pub(super) enum Decision {
    /// Nothing more: the error stands.
    Final,
    /// Ask again at a random time before this has passed; it costs a retry of the budget.
    Retry(Duration),
    /// Ask again at once; the error is of a kind that one repetition settles.
    Repeat,
    /// Refresh the credentials, then ask again if there are other ones.
    Refresh,
}

impl Tried {
    /// Decides about `error`, and remembers the decision; `retries` is how many are allowed.
    pub(super) fn decide(&mut self, error: &CallError, retries: u32) -> Decision {
        match error.class {
            ErrorClass::Throttled { .. } | ErrorClass::Transient | ErrorClass::Connect
                if self.retries < retries =>
            {
                let wait = FIRST_WAIT
                    .saturating_mul(1 << self.retries.min(16))
                    .min(LONGEST_WAIT);
                self.retries += 1;
                Decision::Retry(wait)
            }
            ErrorClass::Closed if !std::mem::replace(&mut self.reconnected, true) => {
                Decision::Retry(Duration::ZERO)
            }
            ErrorClass::ClockSkew | ErrorClass::Nonce
                if !std::mem::replace(&mut self.restamped, true) =>
            {
                Decision::Repeat
            }
            ErrorClass::Credentials if !std::mem::replace(&mut self.refreshed, true) => {
                Decision::Refresh
            }
            _ => Decision::Final,
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
        let mut tried = Tried::default();
        let again = (0..100)
            .filter(|n| tried.decide(&error(classes[n % 9]), 2) != Decision::Final)
            .count();
        assert_eq!(
            again, 5,
            "two retries, and one each for connection, stamp and credentials"
        );
    }

    #[test]
    fn waits_double_and_terminal_errors_are_final_at_once() {
        let mut tried = Tried::default();
        assert_eq!(
            tried.decide(&error(ErrorClass::Transient), 2),
            Decision::Retry(Duration::from_millis(250))
        );
        assert_eq!(
            tried.decide(&error(ErrorClass::Transient), 2),
            Decision::Retry(Duration::from_millis(500))
        );
        assert_eq!(
            tried.decide(&error(ErrorClass::Transient), 2),
            Decision::Final
        );
        for class in [ErrorClass::Terminal, ErrorClass::Client] {
            assert_eq!(Tried::default().decide(&error(class), 2), Decision::Final);
        }
    }
}
