//! The breaker of an instance: when calls stop, and when a trial call decides whether they continue.
//!
//! Each operation has its own. Only evidence about the way to the API or about who this exporter is
//! opens it, never evidence about one client.

use std::mem;
use std::time::Duration;

use tokio::time::Instant;

use crate::presence::{CallError, ErrorClass, Operation};

/// Failures on the way in a row that open the breaker. A load balancer may drop 64 connections at
/// once, so one of them has to be of a call that was sent after the first failure.
const FAILURES: u32 = 20;

/// Trial calls after failures on the way: so many at this distance, with which 1,000 clients are
/// fresh 15 s after the end of any outage, ...
const FIRST_TRIALS: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_secs(9);

/// ... and further ones at this one.
const LATER_WAIT: Duration = Duration::from_secs(30);

/// The distance of trial calls after a terminal error, which doubles each time ...
const TERMINAL_WAIT: Duration = Duration::from_secs(10);

/// ... up to this one.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Equal complaints about clients at the start of a sweep, which open it while no client was ever
/// answered: then the clients are not the cause.
const SAME_COMPLAINTS: u32 = 10;

/// Failures on the way in a row after which the API counts as down.
const DOWN_AFTER: u32 = 3;

/// How calls start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartMode {
    /// With as many calls in flight as the limits allow.
    Full,
    /// With one call at a time until one succeeds.
    Careful,
    /// With one trial call, which is not repeated and decides whether others follow.
    Trial,
}

/// The breaker of one instance.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    operations: [State; 2],
    /// Whether a client was ever answered with a status.
    answered: bool,
    /// Failures on the way in a row, of all operations.
    failures: u32,
    /// The number of times the credentials were replaced.
    replaced: u64,
}

/// The breaker of one operation.
#[derive(Debug, Default)]
struct State {
    open: Option<Open>,
    failures: Failures,
    complaints: Complaints,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    since: Instant,
    until: Instant,
    cause: Cause,
    /// Trial calls so far.
    trials: u32,
}

/// What opened the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Calls do not reach the API.
    Way,
    /// The API refuses this exporter.
    Identity,
}

/// Failures on the way without a success in between.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    first_heard: Option<Instant>,
    /// Whether one of the calls was sent after the first failure was heard.
    sent_later: bool,
}

/// The complaints about clients at the start of a sweep.
#[derive(Debug, Default)]
struct Complaints {
    label: Option<&'static str>,
    count: u32,
    others: bool,
}

impl Open {
    fn wait(&self) -> Duration {
        match self.cause {
            Cause::Way if self.trials < FIRST_TRIALS => FIRST_WAIT,
            Cause::Way => LATER_WAIT,
            Cause::Identity => TERMINAL_WAIT
                .saturating_mul(1 << self.trials.min(16))
                .min(LONGEST_WAIT),
        }
    }
}

impl Breaker {
    /// A sweep begins: the complaints of the last one are forgotten, unless they opened the breaker.
    pub(super) fn begin_sweep(&mut self, operation: Operation) {
        let state = &mut self.operations[operation as usize];
        if state.open.is_none() {
            state.complaints = Complaints::default();
        }
    }

    /// How calls of an operation may start at `now`; `Err` is the time until which none is allowed.
    /// While a trial call is in flight, others are refused.
    pub(super) fn admit(
        &mut self,
        operation: Operation,
        now: Instant,
    ) -> Result<StartMode, Instant> {
        match &mut self.operations[operation as usize].open {
            None => Ok(StartMode::Full),
            Some(open) if now < open.until => Err(open.until),
            Some(open) => {
                open.trials += 1;
                open.until = now + open.wait();
                Ok(StartMode::Trial)
            }
        }
    }

    /// The credentials were replaced this many times in all. New credentials close the breaker.
    pub(super) fn credentials_replaced(&mut self, times: u64) {
        if mem::replace(&mut self.replaced, times) != times {
            self.reset();
        }
    }

    /// Closes the breaker: an operator has changed something.
    pub(super) fn reset(&mut self) {
        self.operations = Default::default();
    }

    /// The time of the next trial call of an operation, if its breaker is open.
    pub(super) fn open_until(&self, operation: Operation) -> Option<Instant> {
        let open = self.operations[operation as usize].open;
        open.map(|open| open.until)
    }

    /// Whether a client was ever answered with a status.
    pub(super) fn was_answered(&self) -> bool {
        self.answered
    }

    /// Whether the newest failures on the way leave the API up.
    pub(super) fn is_down(&self) -> bool {
        self.failures >= DOWN_AFTER
    }

    /// A call that started at `started` was answered with a status; returns whether that closed the
    /// breaker.
    pub(super) fn succeeded(&mut self, operation: Operation, started: Instant) -> bool {
        self.answered = true;
        self.reached(operation, started)
    }

    /// A call reached the API and was authorised. A call from before it opened closes no breaker.
    pub(super) fn reached(&mut self, operation: Operation, started: Instant) -> bool {
        self.failures = 0;
        let state = &mut self.operations[operation as usize];
        state.failures = Failures::default();
        let decides = state.open.is_some_and(|open| started >= open.since);
        decides && state.open.take().is_some()
    }

    /// An attempt failed on the way, may it be repeated or not. Returns the time to the next trial
    /// call if that opened the breaker.
    pub(super) fn failed_on_the_way(
        &mut self,
        operation: Operation,
        started: Instant,
        now: Instant,
    ) -> Option<Duration> {
        self.failures += 1;
        let state = &mut self.operations[operation as usize];
        let failures = &mut state.failures;
        failures.count += 1;
        let first_heard = *failures.first_heard.get_or_insert(now);
        failures.sent_later |= failures.count > 1 && started >= first_heard;
        let enough = failures.count >= FAILURES && failures.sent_later;
        (enough && state.open.is_none()).then(|| state.open(Cause::Way, now))
    }

    /// A call failed finally, for another reason than the way. Returns the time to the next trial
    /// call if no further call can succeed.
    pub(super) fn failed(
        &mut self,
        operation: Operation,
        error: &CallError,
        started: Instant,
        now: Instant,
    ) -> Option<Duration> {
        let state = &mut self.operations[operation as usize];
        let opens = match error.class {
            ErrorClass::Terminal => true,
            ErrorClass::Client => {
                let same = state.complaints.note(error.label);
                if self.answered || !same {
                    self.reached(operation, started);
                    return None;
                }
                true
            }
            _ => false,
        };
        let state = &mut self.operations[operation as usize];
        opens.then(|| state.open(Cause::Identity, now))
    }
}

impl State {
    /// Opens the breaker, or keeps it open. Returns the time to the next trial call.
    fn open(&mut self, cause: Cause, now: Instant) -> Duration {
        let open = self.open.get_or_insert(Open {
            since: now,
            until: now,
            cause,
            trials: 0,
        });
        if open.cause != cause {
            *open = Open {
                cause,
                trials: 0,
                ..*open
            };
        }
        open.until = open.until.max(now + open.wait());
        open.until - now
    }
}

impl Complaints {
    /// Whether the first answers of the sweep were all this complaint.
    fn note(&mut self, label: &'static str) -> bool {
        self.others |= self.label.is_some_and(|other| other != label);
        self.label = Some(label);
        self.count += 1;
        !self.others && self.count >= SAME_COMPLAINTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::Delivery;

    const SINGLE: Operation = Operation::Single;
    const SECOND: Duration = Duration::from_secs(1);

    fn error(class: ErrorClass, label: &'static str) -> CallError {
        CallError {
            class,
            delivery: Delivery::Answered,
            label,
            operation: "Query",
            instance: "post-cn-1".into(),
            code: label.into(),
            message: String::new(),
            request_id: None,
            advice: "",
        }
    }

    fn terminal(breaker: &mut Breaker, now: Instant) -> Option<Duration> {
        let refused = error(ErrorClass::Terminal, "NoPermission");
        breaker.failed(SINGLE, &refused, now, now)
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_terminal_error_the_distance_of_trial_calls_doubles_up_to_five_minutes() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        assert_eq!(breaker.admit(SINGLE, now), Ok(StartMode::Full));
        assert_eq!(terminal(&mut breaker, now), Some(10 * SECOND));
        for wait in [10, 20, 40, 80, 160, 300, 300].map(Duration::from_secs) {
            assert_eq!(breaker.admit(SINGLE, now), Err(now + wait));
            now += wait;
            assert_eq!(breaker.admit(SINGLE, now), Ok(StartMode::Trial));
            terminal(&mut breaker, now);
        }
        now += 300 * SECOND;
        assert_eq!(breaker.admit(SINGLE, now), Ok(StartMode::Trial));
        assert!(breaker.succeeded(SINGLE, now));
        assert!(!breaker.succeeded(SINGLE, now));
        assert_eq!(breaker.admit(SINGLE, now), Ok(StartMode::Full));
        assert_eq!(terminal(&mut breaker, now), Some(10 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn after_failures_on_the_way_trial_calls_are_at_most_30_seconds_apart() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let opened = (0..20)
            .map(|_| breaker.failed_on_the_way(SINGLE, now, now))
            .collect::<Vec<_>>();
        assert!(opened[..19].iter().all(Option::is_none));
        assert_eq!(opened[19], Some(9 * SECOND));
        for wait in [9, 9, 9, 9, 9, 9, 30, 30, 30].map(Duration::from_secs) {
            assert_eq!(breaker.admit(SINGLE, now), Err(now + wait));
            now += wait;
            assert_eq!(breaker.admit(SINGLE, now), Ok(StartMode::Trial));
            assert_eq!(breaker.failed_on_the_way(SINGLE, now, now), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_balancer_that_drops_all_connections_at_once_does_not_open_it() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let heard = now + SECOND;
        let dropped = (0..64).map(|_| breaker.failed_on_the_way(SINGLE, now, heard));
        assert_eq!(dropped.flatten().count(), 0);
        assert!(breaker.is_down());
        let later = breaker.failed_on_the_way(SINGLE, heard + SECOND, heard + SECOND);
        assert!(
            later.is_some(),
            "a call that was sent after the first failure"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_in_between_and_calls_from_before_leave_it_as_it_is() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..5 {
            for _ in 0..19 {
                assert!(breaker.failed_on_the_way(SINGLE, now, now).is_none());
            }
            assert!(breaker.is_down());
            breaker.succeeded(SINGLE, now);
            assert!(!breaker.is_down());
        }
        terminal(&mut breaker, now + SECOND);
        assert!(!breaker.succeeded(SINGLE, now), "it was sent before");
        assert!(breaker.admit(SINGLE, now + SECOND).is_err());
        assert!(breaker.succeeded(SINGLE, now + SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn operations_have_breakers_of_their_own() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        terminal(&mut breaker, now);
        assert_eq!(breaker.admit(Operation::Batch, now), Ok(StartMode::Full));
        breaker.succeeded(Operation::Batch, now);
        assert!(breaker.admit(SINGLE, now).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn equal_complaints_open_it_only_while_no_client_was_ever_answered() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let bad = error(ErrorClass::Client, "ParameterCheckFailed");
        let complain = |breaker: &mut Breaker| breaker.failed(SINGLE, &bad, now, now).is_some();
        breaker.begin_sweep(SINGLE);
        assert_eq!((0..10).filter(|_| complain(&mut breaker)).count(), 1);
        breaker.reset();
        breaker.begin_sweep(SINGLE);
        let other = error(ErrorClass::Client, "InvalidParameter");
        assert_eq!(breaker.failed(SINGLE, &other, now, now), None);
        assert!(!(0..60).any(|_| complain(&mut breaker)));
        breaker.succeeded(SINGLE, now);
        breaker.begin_sweep(SINGLE);
        assert!(!(0..60).any(|_| complain(&mut breaker)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_complaint_about_a_client_proves_that_the_api_is_reached() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        terminal(&mut breaker, now);
        let bad = error(ErrorClass::Client, "ParameterCheckFailed");
        assert_eq!(breaker.failed(SINGLE, &bad, now, now), None);
        assert_eq!(breaker.admit(SINGLE, now), Ok(StartMode::Full));
    }
}
