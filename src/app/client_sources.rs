//! What is known about the sources of clients: their content, their failures and their metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::config::{ClientUrl, Config, Problem};
use crate::discovery::{Discovered, SourceCache, SourceFailure, patterns};
use crate::net::{FileWatch, WatchedFiles};
use crate::telemetry::{LogThrottle, Metrics};

/// The sources of all clients.
#[derive(Debug)]
pub(super) struct ClientSources {
    metrics: Arc<Metrics>,
    /// The names of all sources, which are the values of the label `source`.
    names: BTreeSet<Arc<str>>,
    /// The content in use.
    pub(super) texts: SourceCache,
    /// The watch on client files.
    pub(super) watch: FileWatch,
    /// Logged failures, by source and message.
    failures: LogThrottle<(Arc<str>, String)>,
    /// The names of the sources that could not be read or used the last time.
    failed: BTreeSet<Arc<str>>,
    /// The warnings about the content in use, without the numbers in them.
    warned: BTreeSet<String>,
}

/// The client URLs of `config`.
pub(super) fn urls(config: &Config) -> impl Iterator<Item = &ClientUrl> {
    let instances = config.instances.iter();
    instances.flat_map(|instance| &instance.client_urls)
}

impl ClientSources {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            names: BTreeSet::new(),
            texts: SourceCache::default(),
            watch: FileWatch::new(WatchedFiles::default()),
            failures: LogThrottle::default(),
            failed: BTreeSet::new(),
            warned: BTreeSet::new(),
        }
    }

    /// Replaces the sources by those of `config`; its files were read at `now`. The series of
    /// sources that left are removed.
    pub(super) fn configure(&mut self, config: &Config, discovered: &Discovered, now: Timestamp) {
        let urls: BTreeSet<Arc<str>> = urls(config).map(|url| url.url.to_string().into()).collect();
        let listed = discovered.sources.iter();
        let listed = listed.map(|source| Arc::clone(&source.name));
        let names: BTreeSet<_> = listed.chain(patterns(config)).collect();
        for left in self.names.difference(&names) {
            self.metrics.remove_series("source", left);
        }
        for name in &names {
            self.metrics.touch_source(name);
        }
        let read = &names - &urls;
        self.names = names;
        self.watch = FileWatch::new(discovered.files.clone());
        self.set_content(discovered);
        self.mark_read(&read, now);
        self.mark_healthy(|name| !urls.contains(name));
        self.warned.clear();
    }

    /// Replaces the content in use.
    pub(super) fn set_content(&mut self, discovered: &Discovered) {
        self.texts = discovered.texts.clone();
        let names = self.names.iter().map(|name| (&**name, 0));
        let mut clients: BTreeMap<&str, usize> = names.collect();
        for source in &discovered.sources {
            *clients.entry(&source.name).or_default() += source.clients.unwrap_or_default();
        }
        for (name, clients) in clients {
            let gauge = &self.metrics.discovery_clients;
            gauge.with_label_values(&[name]).set(clients as f64);
        }
    }

    /// Records that these sources are valid at `now`.
    pub(super) fn succeeded(&mut self, names: &BTreeSet<Arc<str>>, now: Timestamp) {
        self.mark_read(names, now);
        self.mark_healthy(|name| names.contains(name));
    }

    /// Records that the client files are valid at `now`, unless one of them could not be used.
    pub(super) fn files_unchanged(&self, config: &Config, now: Timestamp) -> bool {
        let patterns: BTreeSet<_> = patterns(config).collect();
        let unchanged = patterns.is_disjoint(&self.failed);
        if unchanged {
            self.mark_read(&patterns, now);
        }
        unchanged
    }

    /// Counts failures of sources, and logs new ones.
    pub(super) fn failed(&mut self, failures: &[SourceFailure]) {
        for SourceFailure { name, problems } in failures {
            let counter = &self.metrics.discovery_failures_total;
            counter.with_label_values(&[name]).inc();
            self.failed.insert(Arc::clone(name));
            let problems = problems.to_string();
            let key = (Arc::clone(name), problems.clone());
            if let Some(suppressed) = self.failures.record(key, Instant::now()) {
                tracing::error!(source = %name, "{problems}; the previous content stays in use{suppressed}");
            }
        }
    }

    /// Logs the warnings about the content in use that did not apply to the content before. A
    /// warning in which only a number has changed is the same.
    pub(super) fn warn(&mut self, warnings: &[Problem]) {
        let texts = warnings.iter().map(Problem::to_string);
        let current: BTreeMap<_, _> = texts.map(|text| (without_numbers(&text), text)).collect();
        for (key, warning) in &current {
            if !self.warned.contains(key) {
                tracing::warn!("{warning}");
            }
        }
        self.warned = current.into_keys().collect();
    }

    fn mark_read(&self, names: &BTreeSet<Arc<str>>, now: Timestamp) {
        let gauge = &self.metrics.discovery_last_success_timestamp_seconds;
        for name in names {
            gauge.with_label_values(&[name]).set(now.as_seconds());
        }
    }

    fn mark_healthy(&mut self, healthy: impl Fn(&Arc<str>) -> bool) {
        self.failures
            .clear(Instant::now(), |(name, _)| healthy(name));
        self.failed.retain(|source| {
            let recovered = healthy(source);
            if recovered {
                tracing::info!(%source, "client source recovered");
            }
            !recovered
        });
    }
}

/// A text without the words that are numbers.
fn without_numbers(text: &str) -> String {
    let words = text.split(' ').filter(|word| {
        let digits = word.trim_matches(|c: char| c.is_ascii_punctuation());
        digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit() || c == ',')
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_the_same_if_only_a_number_in_it_has_changed() {
        let same = |one: &str, other: &str| without_numbers(one) == without_numbers(other);
        assert!(same(
            "3 clients (3 %) are listed twice",
            "4,711 clients (12 %) are listed twice"
        ));
        assert!(!same(
            "client pump-1 is listed twice",
            "client pump-2 is listed twice"
        ));
        assert!(!same("a.yaml:3:5: no label", "b.yaml:3:5: no label"));
    }
}
