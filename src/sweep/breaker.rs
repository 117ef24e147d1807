//! The breaker of an instance: when calls stop, and when a trial call decides whether they continue.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;

use crate::presence::{CallError, ErrorClass};

/// The first time for which the breaker stays open; each failed trial call doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// The longest time for which it stays open.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Connections in a row that could not be established, which open it.
const REFUSALS: u32 = 5;

/// Equal client errors at the start of a sweep, which open it: then the clients are not the cause.
const SAME_COMPLAINTS: u32 = 10;

/// How calls start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartMode {
    /// With as many calls in flight as the limits allow.
    Full,
    /// With one call at a time until an answer shows that the credentials are accepted.
    Careful,
    /// With one trial call, which is not repeated and decides whether others follow.
    Trial,
}

/// The breaker of one instance.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    open: Option<Open>,
    refusals: u32,
    client_errors: ClientErrors,
    /// The number of times the credentials were replaced.
    replaced: u64,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    until: Instant,
    wait: Duration,
}

/// The client errors at the start of a sweep.
#[derive(Debug, Default)]
struct ClientErrors {
    code: Option<&'static str>,
    count: u32,
    others: bool,
}

impl Breaker {
    /// How a sweep may start at `now`; `Err` is the time until which no call is allowed.
    pub(super) fn admit_sweep(&mut self, now: Instant) -> Result<StartMode, Instant> {
        self.client_errors = ClientErrors::default();
        self.admit(now)
    }

    /// How calls outside sweeps may start at `now`. While a trial call is in flight, others are
    /// refused.
    pub(super) fn admit(&mut self, now: Instant) -> Result<StartMode, Instant> {
        match &mut self.open {
            None => Ok(StartMode::Full),
            Some(Open { until, .. }) if now < *until => Err(*until),
            Some(Open { until, wait }) => {
                *until = now + *wait;
                Ok(StartMode::Trial)
            }
        }
    }

    /// The credentials were replaced this many times in all. New credentials close the breaker.
    pub(super) fn credentials_replaced(&mut self, times: u64) {
        if std::mem::replace(&mut self.replaced, times) != times {
            self.open = None;
        }
    }

    /// The time of the next trial call, if the breaker is open.
    pub(super) fn open_until(&self) -> Option<Instant> {
        self.open.map(|open| open.until)
    }

    /// A call succeeded; returns whether that closed the breaker.
    pub(super) fn succeeded(&mut self) -> bool {
        self.refusals = 0;
        self.client_errors.others = true;
        self.open.take().is_some()
    }

    /// An attempt failed and may be repeated. `Break` with the time to the next trial call if no
    /// connections can be established.
    pub(super) fn attempt_failed(
        &mut self,
        error: &CallError,
        now: Instant,
    ) -> ControlFlow<Duration> {
        self.refusals = if error.class == ErrorClass::Connect {
            self.refusals + 1
        } else {
            0
        };
        if self.refusals >= REFUSALS {
            self.open(now)
        } else {
            ControlFlow::Continue(())
        }
    }

    /// A call failed finally. `Break` with the time to the next trial call if calls stop.
    pub(super) fn failed(&mut self, error: &CallError, now: Instant) -> ControlFlow<Duration> {
        let same = self.client_errors.note(error);
        if error.class == ErrorClass::Terminal || same || self.open.is_some() {
            self.open(now)
        } else {
            ControlFlow::Continue(())
        }
    }

    fn open(&mut self, now: Instant) -> ControlFlow<Duration> {
        let wait = self
            .open
            .map_or(FIRST_WAIT, |open| (open.wait * 2).min(LONGEST_WAIT));
        self.open = Some(Open {
            until: now + wait,
            wait,
        });
        ControlFlow::Break(wait)
    }
}

impl ClientErrors {
    /// Whether the first results of the sweep were all this error.
    fn note(&mut self, error: &CallError) -> bool {
        if error.class != ErrorClass::Client || self.code.is_some_and(|code| code != error.label) {
            self.others = true;
        }
        self.code = Some(error.label);
        self.count += 1;
        !self.others && self.count == SAME_COMPLAINTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(class: ErrorClass, label: &'static str) -> CallError {
        CallError {
            class,
            delivery: crate::presence::Delivery::Answered,
            label,
            operation: "Query",
            instance: "post-cn-1".into(),
            code: label.into(),
            message: String::new(),
            request_id: None,
            advice: "",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_terminal_error_opens_it_and_failed_trial_calls_double_the_wait_up_to_five_minutes() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let refused = error(ErrorClass::Terminal, "NoPermission");
        assert_eq!(breaker.admit_sweep(now), Ok(StartMode::Full));
        for wait in [10, 20, 40, 80, 160, 300, 300].map(Duration::from_secs) {
            assert_eq!(breaker.failed(&refused, now), ControlFlow::Break(wait));
            assert_eq!(breaker.admit_sweep(now), Err(now + wait));
            now += wait;
            assert_eq!(breaker.admit_sweep(now), Ok(StartMode::Trial));
        }
        assert!(breaker.succeeded());
        assert!(!breaker.succeeded());
        assert_eq!(breaker.admit_sweep(now), Ok(StartMode::Full));
        assert_eq!(
            breaker.failed(&refused, now),
            ControlFlow::Break(Duration::from_secs(10))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_trial_call_is_made_at_a_time() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        assert!(
            breaker
                .failed(&error(ErrorClass::Terminal, "NoPermission"), now)
                .is_break()
        );
        now += Duration::from_secs(10);
        assert_eq!(breaker.admit(now), Ok(StartMode::Trial));
        assert_eq!(breaker.admit(now), Err(now + Duration::from_secs(10)));
        assert_eq!(breaker.admit_sweep(now), Err(now + Duration::from_secs(10)));
        // The trial call had no result.
        now += Duration::from_secs(10);
        assert_eq!(breaker.admit_sweep(now), Ok(StartMode::Trial));
        assert!(breaker.succeeded());
        assert_eq!(breaker.admit(now), Ok(StartMode::Full));
    }

    #[tokio::test(start_paused = true)]
    async fn any_failure_of_a_trial_call_keeps_it_open() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        assert!(
            breaker
                .failed(&error(ErrorClass::Terminal, "NoPermission"), now)
                .is_break()
        );
        assert!(
            breaker
                .failed(&error(ErrorClass::Transient, "timeout"), now)
                .is_break()
        );
        assert!(breaker.admit_sweep(now).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn refused_connections_in_a_row_open_it_and_scattered_ones_do_not() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let refused = error(ErrorClass::Connect, "connect");
        for _ in 0..20 {
            assert!(breaker.attempt_failed(&refused, now).is_continue());
            breaker.succeeded();
        }
        let opened = (0..5)
            .map(|_| breaker.attempt_failed(&refused, now).is_break())
            .collect::<Vec<_>>();
        assert_eq!(opened, [false, false, false, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn ten_equal_client_errors_open_it_only_at_the_start_of_a_sweep() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let bad = error(ErrorClass::Client, "ParameterCheckFailed");
        assert!(breaker.admit_sweep(now).is_ok());
        breaker.succeeded();
        assert!((0..30).all(|_| breaker.failed(&bad, now).is_continue()));
        assert!(breaker.admit_sweep(now).is_ok());
        assert_eq!(
            (0..10)
                .filter(|_| breaker.failed(&bad, now).is_break())
                .count(),
            1
        );
    }
}
