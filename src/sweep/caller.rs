//! One instance as something that can be asked: its source, its lane, its state, its records.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::confirm::Confirmation;
use super::limiter::{InstanceQueue, Limiter};
use crate::clock::Clock;
use crate::presence::{CallError, ErrorClass, InstanceState, LastError, Operation, PresenceSource};
use crate::random::Random;
use crate::telemetry::{LogThrottle, Metrics};

/// Everything that a call about one instance needs.
#[derive(Debug)]
pub(super) struct InstanceCaller {
    pub(super) state: Arc<InstanceState>,
    pub(super) source: Arc<dyn PresenceSource>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) queue: InstanceQueue,
    pub(super) metrics: Arc<Metrics>,
    /// Errors that were spoken of, by operation and label.
    pub(super) errors: Mutex<LogThrottle<(&'static str, &'static str)>>,
    pub(super) clock: Clock,
    pub(super) random: Random,
    /// How often a failed call is made again, at most.
    pub(super) retries: u32,
}

impl InstanceCaller {
    /// Counts a call that leaves now.
    pub(super) fn sent(&self, operation: Operation) {
        let labels = [self.state.id().as_str(), operation.name()];
        self.metrics
            .api_requests_total
            .with_label_values(&labels)
            .inc();
    }

    /// Counts a call that is made again.
    pub(super) fn retried(&self, operation: Operation) {
        let labels = [self.state.id().as_str(), operation.name()];
        self.metrics
            .api_retries_total
            .with_label_values(&labels)
            .inc();
    }

    /// Records a call that has ended, whatever it came to.
    pub(super) fn ended<T>(
        &self,
        operation: Operation,
        sent: Instant,
        result: &Result<T, CallError>,
    ) {
        let name = operation.name();
        self.metrics
            .api_request_duration_seconds
            .with_label_values(&[name])
            .observe(sent.elapsed().as_secs_f64());
        if let Err(error) = result {
            self.metrics
                .api_errors_total
                .with_label_values(&[self.state.id().as_str(), name, error.label])
                .inc();
        }
        let up = result.as_ref().map_or_else(CallError::authorised, |_| true);
        self.state.record(|stats| {
            stats.api_up = Some(up);
            stats.clock_offset_millis = self.source.clock_offset_millis();
        });
    }

    /// Counts clients that were asked for in a batch and are not in its answer.
    pub(super) fn missing(&self, clients: usize) {
        let missing = self
            .metrics
            .clients_missing_total
            .with_label_values(&[self.state.id().as_str()]);
        missing.inc_by(u64::try_from(clients).unwrap_or(u64::MAX));
    }

    /// Counts the confirmation of what a batch said of a client.
    pub(super) fn confirmed(&self, confirmation: Confirmation) {
        let labels = [self.state.id().as_str(), confirmation.as_str()];
        self.metrics
            .confirmations_total
            .with_label_values(&labels)
            .inc();
    }

    /// Lets the limits know of an error that speaks of them.
    pub(super) fn slow_down(
        &self,
        operation: Operation,
        sent: crate::limits::Time,
        error: &CallError,
    ) {
        if let ErrorClass::Throttled { layer, retry_after } = error.class {
            self.limiter
                .throttled(&self.queue, operation, layer, sent, retry_after);
        }
    }

    /// Logs an error that stands: once, and now and then how often it came again.
    pub(super) fn log_error(&self, error: &CallError) {
        self.state.record_error(LastError {
            at: self.clock.now(),
            text: error.to_string(),
        });
        let key = (error.operation, error.label);
        let Some(suppressed) = self.complaints().record(key, Instant::now()) else {
            return;
        };
        let (instance_id, code) = (self.state.id(), &error.code);
        if error.class == ErrorClass::Terminal {
            tracing::error!(%instance_id, code, "{error}{suppressed}");
        } else {
            tracing::warn!(%instance_id, code, "{error}{suppressed}");
        }
    }

    /// A whole sweep had no error: whatever there was has ended.
    pub(super) fn clear_errors(&self) {
        for ((operation, code), suppressed) in self.complaints().clear(Instant::now(), |_| true) {
            tracing::info!(instance_id = %self.state.id(), operation, code, "error cleared{suppressed}");
        }
    }

    fn complaints(&self) -> MutexGuard<'_, LogThrottle<(&'static str, &'static str)>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A random part of `longest`.
    pub(super) fn jitter(&self, longest: Duration) -> Duration {
        self.random.part_of(longest)
    }
}
