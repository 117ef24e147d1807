//! Everything that a call to one instance needs: source, limits, breaker, publishing, error log.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntCounterVec;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::breaker::{Breaker, StartMode};
use super::limiter::{InstanceQueue, Limiter};
use crate::clock::Clock;
use crate::presence::{
    CallError, Delivery, ErrorClass, InstanceState, LastError, Observation, Operation,
    PresenceSource, Published,
};
use crate::random::Random;
use crate::telemetry::{LogThrottle, Metrics};

/// The dependencies of all sweeps.
#[derive(Clone, Debug)]
pub struct SweepDeps {
    /// The permits for calls.
    pub limiter: Arc<Limiter>,
    /// The metrics of calls.
    pub metrics: Arc<Metrics>,
    /// Time.
    pub clock: Clock,
    /// The source of jitter.
    pub random: Random,
}

/// The caller of one instance.
#[derive(Debug)]
pub(super) struct InstanceCaller {
    pub(super) state: Arc<InstanceState>,
    pub(super) source: Arc<dyn PresenceSource>,
    pub(super) queue: Arc<InstanceQueue>,
    pub(super) deps: SweepDeps,
    /// The maximum number of retries of a failed call.
    pub(super) retries: u32,
    /// The tasks of all instances, and their end.
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    pub(super) breaker: Mutex<Breaker>,
    /// The errors that were logged, by operation and label.
    pub(super) errors: Mutex<LogThrottle<(&'static str, &'static str)>>,
}

/// What calls are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Sweep,
    /// A probe of a client of the fleet.
    Probe,
    /// A probe of a client outside the fleet, which neither opens the breaker nor is a trial call.
    Outsider,
    /// The command `query`, which reports errors itself.
    Query,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl InstanceCaller {
    /// How calls of an operation may start now, or the time until which the breaker allows none. A
    /// client outside the fleet is never the trial call.
    pub(super) fn admit(
        &self,
        purpose: Purpose,
        operation: Operation,
    ) -> Result<StartMode, Instant> {
        let now = Instant::now();
        let mut breaker = lock(&self.breaker);
        breaker.credentials_replaced(self.source.credentials_replaced());
        match purpose {
            Purpose::Sweep | Purpose::Query => breaker.begin_sweep(operation),
            Purpose::Outsider => breaker.open_until(operation).map_or(Ok(()), Err)?,
            Purpose::Probe => {}
        }
        let proven = breaker.was_answered() && self.state.stats().api_up == Some(true);
        let careful = !proven && matches!(purpose, Purpose::Sweep | Purpose::Query);
        Ok(match breaker.admit(operation, now)? {
            StartMode::Full if self.deps.limiter.is_shut(&self.queue) => StartMode::Trial,
            StartMode::Full if careful => StartMode::Careful,
            start => start,
        })
    }

    /// Whether a call of another operation than that of the sweep may start now. A trial call is
    /// admitted alone.
    pub(super) fn admits(&self, operation: Operation) -> bool {
        let until = lock(&self.breaker).open_until(operation);
        until.is_none_or(|until| until <= Instant::now())
    }

    /// Publishes the status of a client.
    pub(super) fn publish(&self, client: &str, observation: Observation) -> Published {
        let published = self.state.publish(client, observation);
        if matches!(published, Published::Connected | Published::Disconnected) {
            tracing::debug!(instance_id = %self.state.id(), client_id = client, online = observation.online, "client changed");
        }
        published
    }

    /// A call that started at `started` was answered with a status.
    pub(super) fn succeeded(&self, operation: Operation, started: Instant) {
        self.queue.account.budget.refund();
        self.set_api_up(Some(true));
        if lock(&self.breaker).succeeded(operation, started) {
            tracing::info!(instance_id = %self.state.id(), operation = operation.name(), "the API answers again; sweeps continue");
        }
    }

    /// An attempt failed, and may be repeated. `Break` if no further call can succeed.
    pub(super) fn attempt_failed(
        &self,
        purpose: Purpose,
        operation: Operation,
        error: &CallError,
        started: Instant,
    ) -> ControlFlow<()> {
        let mut breaker = lock(&self.breaker);
        let mut opened = None;
        if error.is_on_the_way() && purpose != Purpose::Outsider {
            opened = breaker.failed_on_the_way(operation, started, Instant::now());
        }
        let is_down = breaker.is_down();
        drop(breaker);
        self.set_api_up(match error.class {
            ErrorClass::Credentials => Some(false),
            ErrorClass::Terminal | ErrorClass::ClockSkew | ErrorClass::Nonce => None,
            ErrorClass::Client | ErrorClass::Throttled { .. } => Some(true),
            ErrorClass::Transient | ErrorClass::Connect | ErrorClass::Closed => Some(!is_down),
        });
        opened.map_or(ControlFlow::Continue(()), |wait| {
            self.stopped(purpose, error, wait);
            ControlFlow::Break(())
        })
    }

    /// A call failed finally. `Break` if no further call can succeed.
    pub(super) fn failed(
        &self,
        purpose: Purpose,
        operation: Operation,
        error: &CallError,
        started: Instant,
    ) -> ControlFlow<()> {
        if error.class == ErrorClass::Terminal {
            self.set_api_up(Some(false));
        }
        let mut breaker = lock(&self.breaker);
        let is_closed = breaker.open_until(operation).is_none();
        let opened = match purpose {
            Purpose::Outsider => None,
            // Complaints count at the start of a sweep: repeated probes may name the same client.
            Purpose::Probe if error.class == ErrorClass::Client && is_closed => {
                breaker.reached(operation, started);
                None
            }
            _ => breaker.failed(operation, error, started, Instant::now()),
        };
        drop(breaker);
        if let Some(wait) = opened {
            self.stopped(purpose, error, wait);
            return ControlFlow::Break(());
        }
        // A batch with a refused client is split; the error is logged for that client alone.
        let of_batch = error.class == ErrorClass::Client && operation == Operation::Batch;
        if purpose != Purpose::Query && !of_batch {
            self.log_error(error);
        }
        ControlFlow::Continue(())
    }

    fn stopped(&self, purpose: Purpose, error: &CallError, wait: Duration) {
        if purpose != Purpose::Query {
            self.log_error(error);
            tracing::warn!(instance_id = %self.state.id(), next_call_seconds = wait.as_secs(), "calls stopped; a trial call decides whether they continue");
        }
    }

    fn set_api_up(&self, up: Option<bool>) {
        self.state.record(|stats| {
            stats.api_up = up.or(stats.api_up);
            stats.clock_offset_millis = self.source.clock_offset_millis();
        });
    }

    /// Logs an error once, and its repetitions from time to time.
    fn log_error(&self, error: &CallError) {
        self.state.record_error(LastError {
            at: self.deps.clock.moment(),
            text: error.to_string(),
        });
        let key = (error.operation, error.label);
        let Some(suppressed) = lock(&self.errors).record(key, Instant::now()) else {
            return;
        };
        let (instance_id, code) = (self.state.id(), &error.code);
        if error.class == ErrorClass::Terminal {
            tracing::error!(%instance_id, code, "{error}{suppressed}");
        } else {
            tracing::warn!(%instance_id, code, "{error}{suppressed}");
        }
    }

    /// A complete sweep had no error: logs that all errors have ended.
    pub(super) fn clear_errors(&self) {
        let cleared = lock(&self.errors).clear(Instant::now(), |_| true);
        for ((operation, code), suppressed) in cleared {
            tracing::info!(instance_id = %self.state.id(), operation, code, "error cleared{suppressed}");
        }
    }

    /// Adds one to a counter of calls, by instance and operation.
    pub(super) fn count(&self, calls: &IntCounterVec, operation: Operation) {
        let labels = [self.state.id().as_str(), operation.name()];
        calls.with_label_values(&labels).inc();
    }

    /// Counts a call that has ended.
    pub(super) fn count_ended(
        &self,
        operation: Operation,
        took: Duration,
        error: Option<&CallError>,
    ) {
        let (metrics, name) = (&self.deps.metrics, operation.name());
        let durations = &metrics.api_request_duration_seconds;
        let duration = durations.with_label_values(&[name]);
        duration.observe(took.as_secs_f64());
        if let Some(error) = error {
            let labels = [self.state.id().as_str(), name, error.label];
            metrics.api_errors_total.with_label_values(&labels).inc();
        } else {
            self.count(&metrics.api_billed_calls_total, operation);
        }
        if error.is_none_or(|error| error.delivery != Delivery::NotSent) {
            self.count(&metrics.api_requests_total, operation);
        }
    }

    /// Counts clients of a batch that its answer lacks.
    pub(super) fn count_missing(&self, clients: usize) {
        let counter = &self.deps.metrics.clients_missing_total;
        counter
            .with_label_values(&[self.state.id().as_str()])
            .inc_by(u64::try_from(clients).unwrap_or(u64::MAX));
    }
}
