//! What metrics say about the sources of clients.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::discovery::{Failure, Source};
use crate::telemetry::Metrics;

/// The series of all sources that there are.
#[derive(Debug)]
pub(super) struct SourceMetrics {
    metrics: Arc<Metrics>,
    names: BTreeSet<Arc<str>>,
}

impl SourceMetrics {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            names: BTreeSet::new(),
        }
    }

    /// These are the sources from now on. The series of others leave.
    pub(super) fn set(&mut self, names: BTreeSet<Arc<str>>) {
        for left in self.names.difference(&names) {
            self.metrics.forget_source(left);
        }
        for name in &names {
            self.metrics.touch_source(name);
        }
        self.names = names;
    }

    /// How many clients they list.
    pub(super) fn listed(&self, sources: &[Source]) {
        let mut clients: BTreeMap<&str, usize> =
            self.names.iter().map(|name| (&**name, 0)).collect();
        for source in sources {
            *clients.entry(&source.name).or_default() += source.clients.unwrap_or_default();
        }
        for (name, clients) in clients {
            self.metrics
                .discovery_clients
                .with_label_values(&[name])
                .set(clients as f64);
        }
    }

    /// These were read at `now`.
    pub(super) fn read<'a>(&self, names: impl IntoIterator<Item = &'a Arc<str>>, now: Timestamp) {
        for name in names {
            self.metrics
                .discovery_last_success_timestamp_seconds
                .with_label_values(&[name])
                .set(now.as_seconds());
        }
    }

    /// These could not be used.
    pub(super) fn failed(&self, failures: &[Failure]) {
        for failure in failures {
            self.metrics
                .discovery_failures_total
                .with_label_values(&[&failure.name])
                .inc();
        }
    }
}
