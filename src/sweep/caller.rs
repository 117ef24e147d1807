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
    CallError, ErrorClass, InstanceState, LastError, Observation, Operation, PresenceSource,
    Published,
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
    /// Wall time.
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
    Probe,
    /// The command `query`, which reports errors itself.
    Query,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl InstanceCaller {
    /// How calls may start now, or the time until which the breaker allows none.
    pub(super) fn admit(&self, purpose: Purpose) -> Result<StartMode, Instant> {
        let now = Instant::now();
        let mut breaker = lock(&self.breaker);
        breaker.credentials_replaced(self.source.credentials_replaced());
        let start = match purpose {
            Purpose::Probe => breaker.admit(now)?,
            Purpose::Sweep | Purpose::Query => breaker.admit_sweep(now)?,
        };
        let accepted = purpose == Purpose::Probe || self.state.stats().api_up == Some(true);
        Ok(match start {
            StartMode::Full if self.deps.limiter.is_shut(&self.queue) => StartMode::Trial,
            StartMode::Full if !accepted => StartMode::Careful,
            start => start,
        })
    }

    /// Publishes the status of a client.
    pub(super) fn publish(&self, client: &str, observation: Observation) -> Published {
        let published = self.state.publish(client, observation);
        if matches!(published, Published::Connected | Published::Disconnected) {
            tracing::debug!(instance_id = %self.state.id(), client_id = client, online = observation.online, "client changed");
        }
        published
    }

    /// A call succeeded.
    pub(super) fn succeeded(&self) {
        self.queue.account.budget.refund();
        if lock(&self.breaker).succeeded() {
            tracing::info!(instance_id = %self.state.id(), "the API answers again; sweeps continue");
        }
    }

    /// An attempt failed and may be repeated. `Break` if further calls are useless.
    pub(super) fn attempt_failed(&self, purpose: Purpose, error: &CallError) -> ControlFlow<()> {
        let verdict = lock(&self.breaker).attempt_failed(error, Instant::now());
        verdict.map_break(|wait| self.stopped(purpose, error, wait))
    }

    /// A call failed finally. `Break` if further calls are useless.
    pub(super) fn failed(
        &self,
        purpose: Purpose,
        start: StartMode,
        operation: Operation,
        error: &CallError,
    ) -> ControlFlow<()> {
        let of_client = error.class == ErrorClass::Client;
        // A probe of a refused client proves nothing about other clients, unless it is the trial call.
        if !(of_client && purpose == Purpose::Probe && start == StartMode::Full) {
            let verdict = lock(&self.breaker).failed(error, Instant::now());
            verdict.map_break(|wait| self.stopped(purpose, error, wait))?;
        }
        // A batch with a refused client is split; the error is logged for that client alone.
        if purpose != Purpose::Query && !(of_client && operation == Operation::Batch) {
            self.log_error(error);
        }
        ControlFlow::Continue(())
    }

    fn stopped(&self, purpose: Purpose, error: &CallError, wait: Duration) {
        if purpose != Purpose::Query {
            self.log_error(error);
            tracing::debug!(instance_id = %self.state.id(), wait_seconds = wait.as_secs(), "calls stopped; a trial call after the wait decides whether they continue");
        }
    }

    /// Logs an error once, and its repetitions from time to time.
    fn log_error(&self, error: &CallError) {
        self.state.record_error(LastError {
            at: self.deps.clock.now(),
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
    pub(super) fn count_ended<T>(
        &self,
        operation: Operation,
        took: Duration,
        result: &Result<T, CallError>,
    ) {
        let (metrics, name) = (&self.deps.metrics, operation.name());
        let durations = &metrics.api_request_duration_seconds;
        let duration = durations.with_label_values(&[name]);
        duration.observe(took.as_secs_f64());
        if let Err(error) = result {
            let labels = [self.state.id().as_str(), name, error.label];
            metrics.api_errors_total.with_label_values(&labels).inc();
        }
        let up = result.as_ref().map_or_else(CallError::authorised, |_| true);
        self.state.record(|stats| {
            stats.api_up = Some(up);
            stats.clock_offset_millis = self.source.clock_offset_millis();
        });
    }

    /// Counts clients of a batch that its answer lacks.
    pub(super) fn count_missing(&self, clients: usize) {
        let counter = &self.deps.metrics.clients_missing_total;
        counter
            .with_label_values(&[self.state.id().as_str()])
            .inc_by(u64::try_from(clients).unwrap_or(u64::MAX));
    }
}
