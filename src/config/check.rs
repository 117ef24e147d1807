//! Checks the tree of a configuration file and builds the [`Config`].
//!
//! All problems are reported. An invalid value counts as its default, so that it does not hide other
//! problems.

mod client;
mod client_url;
mod context;
mod credentials;
mod instance;
mod url;

use std::path::Path;
use std::time::Duration;

pub(crate) use client::{UNUSUAL_ID_HINT, label_name_problem};
pub use context::VendorRules;

use self::context::Context;
use super::cursor::{NodeCursor, keys};
use super::duration::{self, DAY};
use super::report::Report;
use super::values::{
    Api, Collect, Config, Exposition, Limits, Mode, Network, Probe, Query, Signature, StaleAfter,
};

keys!(ConfigKeys [collect, limits, exposition, api, max_clients, probe, credentials, instances]);
keys!(CollectKeys [
    mode, interval, query, max_age, stale_after, scrape_timeout, concurrency, call_timeout,
    retries
]);
keys!(LimitsKeys [single_per_second, batch_per_second, share]);
keys!(ExpositionKeys[per_client]);
keys!(ApiKeys [signature, network, ca_file]);
keys!(ProbeKeys[any_client]);

/// Maximum of timeouts: the usual maximum of scrape timeouts in Prometheus.
const MINUTE: Duration = Duration::from_secs(60);
/// Ten times the number of clients that one process is designed for.
const MOST_CLIENTS: usize = 10_000_000;
/// The default of `max_clients`: each client is a time series, which Prometheus has to hold.
const MAX_CLIENTS: usize = 100_000;

/// Builds the configuration from the root of the tree; `None` if the root is not a map. The result
/// is valid only if nothing was reported as a problem.
pub(super) fn config(
    root: NodeCursor<'_>,
    folder: &Path,
    rules: &VendorRules,
    report: &mut Report,
) -> Option<Config> {
    let cx = &mut Context {
        folder,
        rules,
        report,
    };
    let keys = ConfigKeys::read(&root, cx.report)?;
    let credentials = keys
        .credentials
        .and_then(|at| credentials::credentials(&at, cx))
        .unwrap_or_default();
    let limits = keys
        .limits
        .and_then(|at| limits(&at, cx.report))
        .unwrap_or_default();
    let missing = "`instances` is missing; list at least one instance with its `id` and `clients`";
    let instances = root
        .required(keys.instances, cx.report, missing)
        .map(|at| instance::instances(&at, &credentials, limits.single_per_second, cx));
    Some(Config {
        collect: keys
            .collect
            .and_then(|at| collect(&at, cx.report))
            .unwrap_or_default(),
        limits,
        exposition: keys
            .exposition
            .and_then(|at| exposition(&at, cx.report))
            .unwrap_or_default(),
        api: keys.api.and_then(|at| api(&at, cx)).unwrap_or_default(),
        max_clients: keys
            .max_clients
            .and_then(|at| at.integer(cx.report, 1, MOST_CLIENTS))
            .unwrap_or(MAX_CLIENTS),
        probe: keys
            .probe
            .and_then(|at| probe(&at, cx.report))
            .unwrap_or_default(),
        instances: instances.unwrap_or_default(),
    })
}

fn collect(at: &NodeCursor<'_>, report: &mut Report) -> Option<Collect> {
    let keys = CollectKeys::read(at, report)?;
    let default = Collect::default();
    let mode = keys
        .mode
        .and_then(|at| at.choice(report, &[("scrape", Mode::Scrape), ("poll", Mode::Poll)]))
        .unwrap_or_default();
    let interval = keys
        .interval
        .and_then(|at| at.duration(report, Duration::ZERO, DAY))
        .filter(|_| mode == Mode::Poll);
    if let Some(at) = keys.interval.filter(|_| mode == Mode::Scrape) {
        at.warning(
            report,
            "has no effect without `mode: poll`: scrapes start the sweeps",
        );
    }
    let stale_after = keys
        .stale_after
        .and_then(|at| stale_after(&at, report))
        .unwrap_or_default();
    let max_age = keys
        .max_age
        .and_then(|at| at.duration(report, Duration::ZERO, DAY))
        .unwrap_or(default.max_age);
    let (limit, name) = match stale_after {
        StaleAfter::Auto => (
            StaleAfter::AUTO_AT_LEAST,
            "5m, the minimum of `stale_after: auto`",
        ),
        StaleAfter::Fixed(fixed) => (fixed, "`stale_after`"),
    };
    if mode == Mode::Scrape && max_age > limit / 2 {
        let at = keys.max_age.or(keys.stale_after).unwrap_or(*at);
        let max_age = duration::display(max_age);
        at.problem(
            report,
            format!("`max_age` ({max_age}) is more than half of {name}: clients would become unknown between two sweeps; make `max_age` shorter or `stale_after` longer"),
        );
    }
    let queries = [("single", Query::Single), ("batch", Query::Batch)];
    Some(Collect {
        mode,
        interval: interval.unwrap_or(default.interval),
        query: keys
            .query
            .and_then(|at| at.choice(report, &queries))
            .unwrap_or_default(),
        max_age,
        stale_after,
        scrape_timeout: keys
            .scrape_timeout
            .and_then(|at| at.duration(report, Duration::ZERO, MINUTE))
            .unwrap_or(default.scrape_timeout),
        concurrency: keys
            .concurrency
            .and_then(|at| at.integer(report, 1, 1000))
            .unwrap_or(default.concurrency),
        call_timeout: keys
            .call_timeout
            .and_then(|at| at.duration(report, Duration::ZERO, MINUTE))
            .unwrap_or(default.call_timeout),
        retries: keys
            .retries
            .and_then(|at| at.integer(report, 0, 2))
            .unwrap_or(default.retries),
    })
}

fn stale_after(at: &NodeCursor<'_>, report: &mut Report) -> Option<StaleAfter> {
    if at.scalar(report)? == "auto" {
        return Some(StaleAfter::Auto);
    }
    at.duration(report, Duration::ZERO, 7 * DAY)
        .map(StaleAfter::Fixed)
}

fn limits(at: &NodeCursor<'_>, report: &mut Report) -> Option<Limits> {
    let keys = LimitsKeys::read(at, report)?;
    let default = Limits::default();
    Some(Limits {
        single_per_second: keys
            .single_per_second
            .and_then(|at| at.integer(report, 1, 280))
            .unwrap_or(default.single_per_second),
        batch_per_second: keys
            .batch_per_second
            .and_then(|at| at.integer(report, 1, 90))
            .unwrap_or(default.batch_per_second),
        share: keys
            .share
            .and_then(|at| at.number(report, 0.001, 1.0))
            .unwrap_or(default.share),
    })
}

fn exposition(at: &NodeCursor<'_>, report: &mut Report) -> Option<Exposition> {
    let keys = ExpositionKeys::read(at, report)?;
    let per_client = keys.per_client?.boolean(report)?;
    Some(Exposition { per_client })
}

fn api(at: &NodeCursor<'_>, cx: &mut Context<'_>) -> Option<Api> {
    let keys = ApiKeys::read(at, cx.report)?;
    let signatures = [("v3", Signature::V3), ("v2", Signature::V2)];
    let networks = [("public", Network::Public), ("vpc", Network::Vpc)];
    Some(Api {
        signature: keys
            .signature
            .and_then(|at| at.choice(cx.report, &signatures))
            .unwrap_or_default(),
        network: keys
            .network
            .and_then(|at| at.choice(cx.report, &networks))
            .unwrap_or_default(),
        ca_file: keys.ca_file.and_then(|at| cx.path(&at)),
    })
}

fn probe(at: &NodeCursor<'_>, report: &mut Report) -> Option<Probe> {
    let keys = ProbeKeys::read(at, report)?;
    let any_client = keys.any_client?.boolean(report)?;
    Some(Probe { any_client })
}
