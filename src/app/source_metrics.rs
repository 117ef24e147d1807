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
        let Metrics {
            discovery_clients,
            discovery_failures,
            discovery_last_success_timestamp_seconds,
            ..
        } = &*self.metrics;
        for left in self.names.difference(&names) {
            // They are all there.
            let _ = discovery_clients.remove_label_values(&[left]);
            let _ = discovery_failures.remove_label_values(&[left]);
            let _ = discovery_last_success_timestamp_seconds.remove_label_values(&[left]);
        }
        for name in &names {
            let _ = discovery_clients.with_label_values(&[name]);
            let _ = discovery_failures.with_label_values(&[name]);
            let _ = discovery_last_success_timestamp_seconds.with_label_values(&[name]);
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
            let clients = i64::try_from(clients).unwrap_or(i64::MAX);
            self.metrics
                .discovery_clients
                .with_label_values(&[name])
                .set(clients);
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
                .discovery_failures
                .with_label_values(&[&failure.name])
                .inc();
        }
    }
}
