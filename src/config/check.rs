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
use super::cursor::NodeCursor;
use super::duration::{self, DAY};
use super::keys::Keys;
use super::values::{
    Api, Collect, Config, Exposition, Limits, Mode, Network, Probe, Query, Signature, StaleAfter,
};

/// Maximum of timeouts: the usual maximum of scrape timeouts in Prometheus.
const MINUTE: Duration = Duration::from_secs(60);
/// Ten times the number of clients that one process is designed for.
const MOST_CLIENTS: usize = 10_000_000;
/// The default of `max_clients`: each client is a time series, which Prometheus has to hold.
const MAX_CLIENTS: usize = 100_000;

/// Builds the configuration from the root of the tree; `None` if the root is not a map. The result
/// is valid only if nothing was reported as a problem.
pub(super) fn config(root: &NodeCursor<'_>, folder: &Path, rules: &VendorRules) -> Option<Config> {
    let cx = &Context { folder, rules };
    let keys = Keys::of(root)?;
    let collect = keys.read("collect", collect).unwrap_or_default();
    let limits = keys.read("limits", limits).unwrap_or_default();
    let exposition = keys.read("exposition", exposition).unwrap_or_default();
    let api = keys.read("api", |at| api(at, cx)).unwrap_or_default();
    let max_clients = keys.read("max_clients", |at| at.number(1, MOST_CLIENTS));
    let probe = keys.read("probe", probe).unwrap_or_default();
    let credentials = keys.read("credentials", |at| credentials::credentials(at, cx));
    let credentials = credentials.unwrap_or_default();
    let remedy = "list at least one instance with its `id` and `clients`";
    let instances = keys.required("instances", remedy, |at| {
        instance::instances(at, &credentials, limits.single_per_second, cx)
    });
    Some(Config {
        collect,
        limits,
        exposition,
        api,
        max_clients: max_clients.unwrap_or(MAX_CLIENTS),
        probe,
        instances: instances.unwrap_or_default(),
    })
}

fn collect(root: &NodeCursor<'_>) -> Option<Collect> {
    let keys = Keys::of(root)?;
    let default = Collect::default();
    let modes = [("scrape", Mode::Scrape), ("poll", Mode::Poll)];
    let queries = [("single", Query::Single), ("batch", Query::Batch)];
    let duration = |key, most| keys.read(key, |at| at.duration(Duration::ZERO, most));
    let mut collect = Collect {
        mode: keys
            .read("mode", |at| at.choice(&modes))
            .unwrap_or_default(),
        interval: duration("interval", DAY).unwrap_or(default.interval),
        query: keys
            .read("query", |at| at.choice(&queries))
            .unwrap_or_default(),
        max_age: duration("max_age", DAY).unwrap_or(default.max_age),
        stale_after: keys.read("stale_after", stale_after).unwrap_or_default(),
        scrape_timeout: duration("scrape_timeout", MINUTE).unwrap_or(default.scrape_timeout),
        concurrency: keys
            .read("concurrency", |at| at.number(1, 1000))
            .unwrap_or(default.concurrency),
        call_timeout: duration("call_timeout", MINUTE).unwrap_or(default.call_timeout),
        retries: keys
            .read("retries", |at| at.number(0, 2))
            .unwrap_or(default.retries),
    };
    if collect.mode == Mode::Poll {
        return Some(collect);
    }
    if let Some(at) = keys.get("interval") {
        at.warning("has no effect without `mode: poll`: scrapes start the sweeps");
        collect.interval = default.interval;
    }
    let (limit, name) = match collect.stale_after {
        StaleAfter::Auto => (
            StaleAfter::AUTO_AT_LEAST,
            "5m, the minimum of `stale_after: auto`",
        ),
        StaleAfter::Fixed(fixed) => (fixed, "`stale_after`"),
    };
    if collect.max_age > limit / 2 {
        let at = keys.get("max_age").or(keys.get("stale_after"));
        let max_age = duration::display(collect.max_age);
        at.unwrap_or(*root).problem(
            format!("`max_age` ({max_age}) is more than half of {name}: clients would become unknown between two sweeps; make `max_age` shorter or `stale_after` longer"),
        );
    }
    Some(collect)
}

fn stale_after(at: &NodeCursor<'_>) -> Option<StaleAfter> {
    if at.scalar()? == "auto" {
        return Some(StaleAfter::Auto);
    }
    at.duration(Duration::ZERO, 7 * DAY).map(StaleAfter::Fixed)
}

fn limits(at: &NodeCursor<'_>) -> Option<Limits> {
    let keys = Keys::of(at)?;
    let default = Limits::default();
    Some(Limits {
        single_per_second: keys
            .read("single_per_second", |at| at.number(1, 280))
            .unwrap_or(default.single_per_second),
        batch_per_second: keys
            .read("batch_per_second", |at| at.number(1, 90))
            .unwrap_or(default.batch_per_second),
        share: keys
            .read("share", |at| at.number(0.001, 1.0))
            .unwrap_or(default.share),
    })
}

fn exposition(at: &NodeCursor<'_>) -> Option<Exposition> {
    let per_client = Keys::of(at)?.read("per_client", NodeCursor::boolean)?;
    Some(Exposition { per_client })
}

fn api(at: &NodeCursor<'_>, cx: &Context<'_>) -> Option<Api> {
    let keys = Keys::of(at)?;
    let signatures = [("v3", Signature::V3), ("v2", Signature::V2)];
    let networks = [("public", Network::Public), ("vpc", Network::Vpc)];
    Some(Api {
        signature: keys
            .read("signature", |at| at.choice(&signatures))
            .unwrap_or_default(),
        network: keys
            .read("network", |at| at.choice(&networks))
            .unwrap_or_default(),
        ca_file: keys.read("ca_file", |at| cx.path(at)),
    })
}

fn probe(at: &NodeCursor<'_>) -> Option<Probe> {
    let any_client = Keys::of(at)?.read("any_client", NodeCursor::boolean)?;
    Some(Probe { any_client })
}
