//! What a metric is, apart from its values.

use std::fmt;

/// The type of a metric, as Prometheus names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Only ever goes up; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// The declaration of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The whole name, prefix and unit included.
    pub name: &'static str,
    /// What it means: one or more sentences, the last of which says when it is absent.
    pub help: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// The base unit that its name carries; empty where it counts things or says yes or no.
    pub unit: &'static str,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// Whether the labels that the configuration gives a client come on top.
    pub configured_labels: bool,
}

impl Metric {
    /// The two lines that open its family in the text format: `HELP` and `TYPE`.
    ///
    /// A help is one line without a backslash, so that nothing is to be escaped.
    #[must_use]
    pub fn header(&self) -> String {
        let Self {
            name, help, kind, ..
        } = self;
        format!("# HELP {name} {help}\n# TYPE {name} {kind}\n")
    }

    pub(super) const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(MetricKind::Counter, name, help)
    }

    pub(super) const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(MetricKind::Gauge, name, help)
    }

    pub(super) const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self::new(MetricKind::Histogram, name, help)
    }

    pub(super) const fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    pub(super) const fn labels(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    pub(super) const fn with_configured_labels(self) -> Self {
        Self {
            configured_labels: true,
            ..self
        }
    }

    const fn new(kind: MetricKind, name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind,
            unit: "",
            labels: &[],
            configured_labels: false,
        }
    }
}
