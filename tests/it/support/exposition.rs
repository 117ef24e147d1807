//! A strict reader of the text format 0.0.4, and questions to ask of what it read.
//!
//! It is stricter than Prometheus, whose parser takes the first of duplicate series, families in
//! pieces, and samples without a header, without a word: what stands here is what the exporter
//! promises. It shares no code with the exporter.

mod parse;

use std::collections::BTreeMap;

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// The name, `_bucket`, `_sum` and `_count` included.
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Sample {
    /// The value of a label; empty where it is absent, which is the same to Prometheus.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn matches(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name
            && labels
                .iter()
                .all(|(name, value)| self.label(name) == *value)
    }
}

/// A metric with its samples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) help: String,
    /// `counter`, `gauge`, `histogram`, `summary` or `untyped`.
    pub(crate) kind: String,
    pub(crate) samples: Vec<Sample>,
}

/// What one scrape brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scrape {
    pub(crate) families: Vec<Family>,
}

impl Scrape {
    /// Reads `text`; an error names the line and what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        parse::parse(text)
    }

    /// The family of this name.
    pub(crate) fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|family| family.name == name)
    }

    /// The samples of this name whose labels include `labels`, in their order.
    pub(crate) fn matching(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        self.families
            .iter()
            .flat_map(|family| &family.samples)
            .filter(|sample| sample.matches(name, labels))
            .collect()
    }

    /// All samples of this name.
    pub(crate) fn series(&self, name: &str) -> Vec<&Sample> {
        self.matching(name, &[])
    }

    /// The value of the one sample of this name whose labels include `labels`; `None` where there
    /// is none. A question that several samples answer is a mistake in the test, and panics.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        match self.matching(name, labels)[..] {
            [] => None,
            [sample] => Some(sample.value),
            ref several => panic!(
                "{name} with {labels:?} is {} series: {several:?}",
                several.len()
            ),
        }
    }

    /// The sum of the samples of this name whose labels include `labels`.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels)
            .iter()
            .map(|sample| sample.value)
            .sum()
    }
}
