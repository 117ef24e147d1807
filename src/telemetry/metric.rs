//! The declaration of a metric, and the macros that declare one in one place.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::proto::MetricFamily;
use prometheus::{
    CounterVec, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts,
    Registry, Result,
};

/// The type of a metric, as Prometheus names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Only increases; its name ends in `_total`.
    Counter,
    /// Increases and decreases.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_ascii_lowercase())
    }
}

/// The declaration of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The full name, with prefix and unit.
    pub name: &'static str,
    /// The help text. Its last sentence names the cases in which the metric is absent.
    pub help: &'static str,
    /// The type.
    pub kind: MetricKind,
    /// The names of the labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// Whether the configured labels of a client are added to `labels`.
    pub configured_labels: bool,
}

impl Metric {
    pub(super) const fn with_configured_labels(self) -> Self {
        Self {
            configured_labels: true,
            ..self
        }
    }

    /// The `HELP` and `TYPE` lines of the text format. Help texts need no escaping: they are one
    /// line without a backslash.
    #[must_use]
    pub fn header(&self) -> String {
        let Self {
            name, help, kind, ..
        } = self;
        format!("# HELP {name} {help}\n# TYPE {name} {kind}\n")
    }

    /// A family with one sample without labels in the text format.
    pub(crate) fn text(&self, value: impl fmt::Display) -> String {
        format!("{}{} {value}\n", self.header(), self.name)
    }
}

/// Declares one metric: its name is the prefix and the identifier, its help the doc comment.
macro_rules! metric {
    ($prefix:literal $name:ident $kind:expr, [$($label:ident),*] $($help:literal)+) => {
        Metric {
            name: concat!($prefix, stringify!($name)),
            help: concat!($($help),+).trim_ascii_start(),
            kind: $kind,
            labels: &[$(stringify!($label)),*],
            configured_labels: false,
        }
    };
}

/// Declares metrics that are rendered outside of the registry, as fields of a table.
macro_rules! rendered {
    (
        $(#[$doc:meta])*
        pub static $TABLE:ident: $Table:ident = $prefix:literal {
            $($(#[doc = $help:literal])+ $name:ident: $Kind:ident[$($label:ident),*] $(.$option:ident())?,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $Table {
            $($(#[doc = $help])+ pub $name: Metric,)*
        }

        $(#[$doc])*
        pub static $TABLE: $Table = $Table {
            $($name: metric!($prefix $name MetricKind::$Kind, [$($label),*] $($help)+)$(.$option())?,)*
        };

        impl $Table {
            /// All of them.
            #[must_use]
            pub fn all(&self) -> Vec<&Metric> {
                vec![$(&self.$name),*]
            }
        }
    };
}

/// Declares metrics that the registry collects, as fields of a struct that counts them.
macro_rules! registered {
    (
        $(#[$doc:meta])*
        pub struct $Metrics:ident = $prefix:literal {
            $($(#[doc = $help:literal])+ $name:ident: $Type:ident[$($label:ident),*],)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $Metrics {
            pub(super) registry: Registry,
            $($(#[doc = $help])+ pub $name: $Type,)*
        }

        impl $Metrics {
            /// The declarations.
            pub const DECLARED: &'static [Metric] = &[
                $(metric!($prefix $name $Type::KIND, [$($label),*] $($help)+)),*
            ];

            /// All at zero. Histograms count in `buckets`.
            pub(super) fn register(buckets: &[f64]) -> Self {
                let registry = Registry::new();
                // In the order of the fields, which is that of the declarations.
                let mut declared = Self::DECLARED.iter();
                Self {
                    $($name: $Type::register(&registry, declared.next(), buckets),)*
                    registry,
                }
            }

            /// Removes all series whose label `name` is `value`. A call that is still in flight
            /// would create some again: call this after the last one has ended.
            pub fn remove_series(&self, name: &str, value: &str) {
                $(self.$name.remove_series(name, value);)*
            }
        }
    };
}

pub(super) use {metric, registered, rendered};

/// A collector of the registry, made of a declaration.
pub(super) trait Family: Collector + Clone + 'static {
    const KIND: MetricKind;

    fn make(opts: Opts, labels: &[&str], buckets: &[f64]) -> Result<Self>;

    fn remove_series(&self, _name: &str, _value: &str) {}

    fn register(registry: &Registry, metric: Option<&Metric>, buckets: &[f64]) -> Self {
        let metric = metric.expect("each field has a declaration");
        let opts = Opts::new(metric.name, metric.help);
        let family = Self::make(opts, metric.labels, buckets).expect("declared names are valid");
        registry
            .register(Box::new(family.clone()))
            .expect("each name is declared once");
        family
    }
}

impl Family for IntCounter {
    const KIND: MetricKind = MetricKind::Counter;

    fn make(opts: Opts, _: &[&str], _: &[f64]) -> Result<Self> {
        Self::with_opts(opts)
    }
}

impl Family for Gauge {
    const KIND: MetricKind = MetricKind::Gauge;

    fn make(opts: Opts, _: &[&str], _: &[f64]) -> Result<Self> {
        Self::with_opts(opts)
    }
}

/// Implements [`Family`] for types with labels.
macro_rules! vector {
    ($($Type:ident $Kind:ident |$opts:ident, $buckets:ident| $make:expr;)*) => {$(
        impl Family for $Type {
            const KIND: MetricKind = MetricKind::$Kind;

            fn make($opts: Opts, labels: &[&str], $buckets: &[f64]) -> Result<Self> {
                Self::new($make, labels)
            }

            fn remove_series(&self, name: &str, value: &str) {
                remove_series(self, name, value);
            }
        }
    )*};
}

vector! {
    IntCounterVec Counter |opts, _buckets| opts;
    CounterVec Counter |opts, _buckets| opts;
    GaugeVec Gauge |opts, _buckets| opts;
    HistogramVec Histogram |opts, buckets| HistogramOpts::from(opts).buckets(buckets.to_vec());
}

fn remove_series<T: MetricVecBuilder>(family: &MetricVec<T>, name: &str, value: &str) {
    for Sample { labels, .. } in samples(family) {
        if labels.get(name).is_some_and(|of| of == value) {
            let labels: HashMap<_, _> = labels.iter().map(|(name, of)| (&**name, of)).collect();
            // It fails only where the series is gone already.
            let _ = family.remove(&labels);
        }
    }
}

/// One series of a family: its labels, and the value of a counter or gauge.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    labels: BTreeMap<String, String>,
    /// The value; 0 for a histogram.
    pub value: f64,
}

impl Sample {
    /// The value of a label; empty if there is no such label.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// The series of a family of [`Metrics`](super::Metrics), in the order of their labels.
pub fn samples(family: &impl Collector) -> Vec<Sample> {
    let families = family.collect();
    let series = families.iter().flat_map(MetricFamily::get_metric);
    let samples = series.map(|series| {
        let labels = series.get_label().iter();
        let labels = labels.map(|label| (label.name().to_owned(), label.value().to_owned()));
        Sample {
            labels: labels.collect(),
            value: series.get_gauge().get_value() + series.get_counter().get_value(),
        }
    });
    let mut samples: Vec<_> = samples.collect();
    samples.sort_by(|a, b| a.labels.cmp(&b.labels));
    samples
}
