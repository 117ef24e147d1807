//! The rules: a tree that holds any YAML to a [`Config`] that holds only what makes sense.
//!
//! Every rule that is broken is reported; what was given wrong counts as its default meanwhile,
//! so that one mistake does not hide the next.

mod client;
mod client_url;
mod credentials;
mod instance;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use client::{UNUSUAL_ID_HINT, label_name_problem};
pub use instance::KNOWN_REGIONS;

use super::cursor::NodeCursor;
use super::duration;
use super::report::Report;
use super::{
    Api, Collect, Config, Exposition, Limits, Mode, Network, Probe, Query, Signature, StaleAfter,
};

const TOP: [&str; 8] = [
    "collect",
    "limits",
    "exposition",
    "api",
    "max_clients",
    "probe",
    "credentials",
    "instances",
];
const COLLECT: [&str; 9] = [
    "mode",
    "interval",
    "query",
    "max_age",
    "stale_after",
    "scrape_timeout",
    "concurrency",
    "call_timeout",
    "retries",
];
const LIMITS: [&str; 3] = ["single_per_second", "batch_per_second", "share"];
const EXPOSITION: [&str; 1] = ["per_client"];
const API: [&str; 3] = ["signature", "network", "ca_file"];
const PROBE: [&str; 1] = ["any_client"];

/// How long a call and a scrape may take: Prometheus knows no longer usual scrape timeout.
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// Clients that one process is built for, ten times over.
const MOST_CLIENTS: usize = 10_000_000;
const MAX_CLIENTS: usize = 100_000;

/// The configuration that stands at `root`, relative paths taken from `folder`. `None` means
/// that something was reported; something may be reported all the same.
pub(super) fn config(root: NodeCursor<'_>, folder: &Path, report: &mut Report) -> Option<Config> {
    let [
        collect_at,
        limits_at,
        exposition_at,
        api_at,
        max_clients,
        probe_at,
        credentials_at,
        instances,
    ] = root.fields(TOP, report)?;
    let credentials = credentials_at
        .and_then(|at| credentials::credentials(&at, folder, report))
        .unwrap_or_else(credentials::default);
    let limits = limits_at
        .and_then(|at| limits(&at, report))
        .unwrap_or_default();
    let instances = root
        .required(
            instances,
            report,
            "`instances` is missing; list at least one instance with its `id` and `clients`",
        )
        .map(|at| instance::instances(&at, &credentials, limits.single_per_second, folder, report))
        .unwrap_or_default();
    Some(Config {
        collect: collect_at
            .and_then(|at| collect(&at, report))
            .unwrap_or_default(),
        limits,
        exposition: exposition_at
            .and_then(|at| exposition(&at, report))
            .unwrap_or_default(),
        api: api_at
            .and_then(|at| api(&at, folder, report))
            .unwrap_or_default(),
        max_clients: max_clients
            .and_then(|at| at.integer(report, 1, MOST_CLIENTS))
            .unwrap_or(MAX_CLIENTS),
        probe: probe_at
            .and_then(|at| probe(&at, report))
            .unwrap_or_default(),
        instances,
    })
}

fn collect(at: &NodeCursor<'_>, report: &mut Report) -> Option<Collect> {
    let [
        mode,
        interval,
        query,
        max_age,
        stale_after,
        scrape_timeout,
        concurrency,
        call_timeout,
        retries,
    ] = at.fields(COLLECT, report)?;
    let default = Collect::default();
    let mode = mode
        .and_then(|at| at.choice(report, &[("scrape", Mode::Scrape), ("poll", Mode::Poll)]))
        .unwrap_or_default();
    let every = interval
        .and_then(|at| at.duration(report, DAY))
        .filter(|_| mode == Mode::Poll);
    if let Some(at) = interval.filter(|_| mode == Mode::Scrape) {
        at.warning(
            report,
            "is for `mode: poll`; without it scrapes start the sweeps, and this changes nothing",
        );
    }
    let stale = stale_after
        .and_then(|at| stale_after_of(&at, report))
        .unwrap_or_default();
    let age = max_age
        .and_then(|at| at.duration(report, DAY))
        .unwrap_or(default.max_age);
    let (limit, name) = match stale {
        StaleAfter::Auto => (
            StaleAfter::AUTO_AT_LEAST,
            "the 5m that `stale_after: auto` may come to",
        ),
        StaleAfter::Fixed(fixed) => (fixed, "`stale_after`"),
    };
    if mode == Mode::Scrape && age > limit / 2 {
        let at = max_age.or(stale_after).unwrap_or(*at);
        let age = duration::display(age);
        at.problem(
            report,
            format!("`max_age` ({age}) is more than half of {name}: clients would turn unknown between two sweeps; make `max_age` shorter or `stale_after` longer"),
        );
    }
    Some(Collect {
        mode,
        interval: every.unwrap_or(default.interval),
        query: query
            .and_then(|at| {
                at.choice(
                    report,
                    &[("single", Query::Single), ("batch", Query::Batch)],
                )
            })
            .unwrap_or_default(),
        max_age: age,
        stale_after: stale,
        scrape_timeout: scrape_timeout
            .and_then(|at| at.duration(report, MINUTE))
            .unwrap_or(default.scrape_timeout),
        concurrency: concurrency
            .and_then(|at| at.integer(report, 1, 1000))
            .unwrap_or(default.concurrency),
        call_timeout: call_timeout
            .and_then(|at| at.duration(report, MINUTE))
            .unwrap_or(default.call_timeout),
        retries: retries
            .and_then(|at| at.integer(report, 0, 2))
            .unwrap_or(default.retries),
    })
}

fn stale_after_of(at: &NodeCursor<'_>, report: &mut Report) -> Option<StaleAfter> {
    if at.scalar(report)? == "auto" {
        return Some(StaleAfter::Auto);
    }
    at.duration(report, 7 * DAY).map(StaleAfter::Fixed)
}

fn limits(at: &NodeCursor<'_>, report: &mut Report) -> Option<Limits> {
    let [single, batch, share] = at.fields(LIMITS, report)?;
    let default = Limits::default();
    Some(Limits {
        single_per_second: single
            .and_then(|at| at.integer(report, 1, 280))
            .unwrap_or(default.single_per_second),
        batch_per_second: batch
            .and_then(|at| at.integer(report, 1, 90))
            .unwrap_or(default.batch_per_second),
        share: share
            .and_then(|at| at.share(report))
            .unwrap_or(default.share),
    })
}

fn exposition(at: &NodeCursor<'_>, report: &mut Report) -> Option<Exposition> {
    let [per_client] = at.fields(EXPOSITION, report)?;
    let default = Exposition::default();
    Some(Exposition {
        per_client: per_client
            .and_then(|at| at.boolean(report))
            .unwrap_or(default.per_client),
    })
}

fn api(at: &NodeCursor<'_>, folder: &Path, report: &mut Report) -> Option<Api> {
    let [signature, network, ca_file] = at.fields(API, report)?;
    Some(Api {
        signature: signature
            .and_then(|at| at.choice(report, &[("v3", Signature::V3), ("v2", Signature::V2)]))
            .unwrap_or_default(),
        network: network
            .and_then(|at| {
                at.choice(
                    report,
                    &[("public", Network::Public), ("vpc", Network::Vpc)],
                )
            })
            .unwrap_or_default(),
        ca_file: ca_file.and_then(|at| path(&at, folder, report)),
    })
}

fn probe(at: &NodeCursor<'_>, report: &mut Report) -> Option<Probe> {
    let [any_client] = at.fields(PROBE, report)?;
    Some(Probe {
        any_client: any_client
            .and_then(|at| at.boolean(report))
            .unwrap_or_default(),
    })
}

/// A path, a relative one taken from `folder`.
fn path(at: &NodeCursor<'_>, folder: &Path, report: &mut Report) -> Option<PathBuf> {
    at.text(report).map(|path| folder.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key that means something now.
    fn keys() -> impl Iterator<Item = &'static str> {
        let sections: [&[&str]; 6] = [&TOP, &COLLECT, &LIMITS, &EXPOSITION, &API, &PROBE];
        sections
            .into_iter()
            .chain(instance::KEYS)
            .chain(credentials::KEYS)
            .flatten()
            .copied()
    }

    #[test]
    fn the_example_names_every_key() {
        let example = include_str!("../../config.yaml");
        for key in keys() {
            let named = example.match_indices(&format!("{key}:")).any(|(at, _)| {
                !example[..at].ends_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            });
            assert!(named, "config.yaml does not name `{key}`");
        }
    }
}
