//! When executor an instance is given up, and when it is attempts again.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;

use crate::presence::{CallError, ErrorClass};

/// How long the breaker stays open at first; each probe that fails doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// How long it stays open at most.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Connections in a row that could not be made.
const REFUSALS: u32 = 5;

/// First answers of a sweep that all complain of the client in the same way: then it is not the client.
const SAME_COMPLAINTS: u32 = 10;

/// How a sweep may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// With everything.
    Full,
    /// With one call that decides about the rest.
    Probe,
    /// Not at all, before this time.
    Refused(Instant),
}

/// The breaker of one instance.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    open: Option<Open>,
    refusals: u32,
    complaints: Complaints,
    /// How often the credentials had been replaced.
    replaced: u64,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    until: Instant,
    wait: Duration,
}

/// The complaints about clients at the beginning of a sweep.
#[derive(Debug, Default)]
struct Complaints {
    code: Option<&'static str>,
    count: u32,
    others: bool,
}

impl Breaker {
    /// How a sweep that wants to begin at `now` may begin.
    pub(super) fn enter(&mut self, now: Instant) -> Admission {
        self.complaints = Complaints::default();
        self.admit(now)
    }

    /// How a question that belongs to no sweep may begin at `now`. While one call decides, others
    /// are refused.
    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        match &mut self.open {
            None => Admission::Full,
            Some(Open { until, .. }) if now < *until => Admission::Refused(*until),
            Some(Open { until, wait }) => {
                *until = now + *wait;
                Admission::Probe
            }
        }
    }

    /// The credentials have been replaced so many times in all; if that is new, what was refused
    /// before may be accepted now.
    pub(super) fn credentials_replaced(&mut self, times: u64) {
        if std::mem::replace(&mut self.replaced, times) != times {
            self.open = None;
        }
    }

    /// When it may be probed, if it is open.
    pub(super) fn open_until(&self) -> Option<Instant> {
        self.open.map(|open| open.until)
    }

    /// A call succeeded; whether that closed the breaker.
    pub(super) fn passed(&mut self) -> bool {
        self.refusals = 0;
        self.complaints.others = true;
        self.open.take().is_some()
    }

    /// An attempt failed, which may be made again. `Break` with the time of the next probe where
    /// that has no prospect: nobody takes connections.
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

    /// A call failed for good. `Break` with the time of the next probe: the sweep ends here.
    pub(super) fn failed(&mut self, error: &CallError, now: Instant) -> ControlFlow<Duration> {
        let same = self.complaints.note(error);
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

impl Complaints {
    /// Whether the first answers of the sweep were all this complaint.
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
    async fn a_terminal_error_opens_it_and_probes_double_up_to_five_minutes() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let refused = error(ErrorClass::Terminal, "NoPermission");
        assert_eq!(breaker.enter(now), Admission::Full);
        for wait in [10, 20, 40, 80, 160, 300, 300].map(Duration::from_secs) {
            assert_eq!(breaker.failed(&refused, now), ControlFlow::Break(wait));
            assert_eq!(breaker.enter(now), Admission::Refused(now + wait));
            now += wait;
            assert_eq!(breaker.enter(now), Admission::Probe);
        }
        assert!(breaker.passed());
        assert!(!breaker.passed());
        assert_eq!(breaker.enter(now), Admission::Full);
        assert_eq!(
            breaker.failed(&refused, now),
            ControlFlow::Break(Duration::from_secs(10))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_that_wait_for_it_to_close_one_may_try() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        assert!(
            breaker
                .failed(&error(ErrorClass::Terminal, "NoPermission"), now)
                .is_break()
        );
        now += Duration::from_secs(10);
        assert_eq!(breaker.admit(now), Admission::Probe);
        assert_eq!(
            breaker.admit(now),
            Admission::Refused(now + Duration::from_secs(10))
        );
        assert_eq!(
            breaker.enter(now),
            Admission::Refused(now + Duration::from_secs(10))
        );
        // Nothing came of it, neither good nor bad.
        now += Duration::from_secs(10);
        assert_eq!(breaker.enter(now), Admission::Probe);
        assert!(breaker.passed());
        assert_eq!(breaker.admit(now), Admission::Full);
    }

    #[tokio::test(start_paused = true)]
    async fn any_failure_of_a_probe_keeps_it_open() {
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
        assert!(matches!(breaker.enter(now), Admission::Refused(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_in_a_row_open_it_and_scattered_ones_do_not() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let refused = error(ErrorClass::Connect, "connect");
        for _ in 0..20 {
            assert!(breaker.attempt_failed(&refused, now).is_continue());
            breaker.passed();
        }
        let opened = (0..5)
            .map(|_| breaker.attempt_failed(&refused, now).is_break())
            .collect::<Vec<_>>();
        assert_eq!(opened, [false, false, false, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn ten_equal_complaints_open_it_only_at_the_beginning_of_a_sweep() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let bad = error(ErrorClass::Client, "ParameterCheckFailed");
        breaker.enter(now);
        breaker.passed();
        assert!((0..30).all(|_| breaker.failed(&bad, now).is_continue()));
        breaker.enter(now);
        assert_eq!(
            (0..10)
                .filter(|_| breaker.failed(&bad, now).is_break())
                .count(),
            1
        );
    }
}
