//! What the endpoints share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use axum::extract::State;

use super::health::Readiness;
use super::options::WebOptions;
use super::paths::Prefix;
use super::query::SnapshotReader;
use super::reload::Reload;
use super::scrape_limits::ScrapeLimits;
use crate::config::Config;
use crate::sweep::Sweeps;
use crate::telemetry::Metrics;

/// The HTTP edge and its sources.
#[derive(Clone)]
pub struct Web {
    /// The flags.
    pub options: WebOptions,
    /// The state of all instances.
    pub sweeps: Arc<Sweeps>,
    /// The metrics of this process.
    pub metrics: Arc<Metrics>,
    /// The state of `/-/ready`.
    pub readiness: Readiness,
    /// The configuration in effect, which a reload replaces.
    pub config: Arc<ArcSwap<Config>>,
    /// Requests reloads; `None` if `/-/reload` is disabled.
    pub reload: Option<Reload>,
}

/// The argument of handlers.
pub(super) type SharedState = State<Arc<Shared>>;

/// The sources of the endpoints, and the state that requests have in common.
pub(super) struct Shared {
    pub(super) web: Web,
    pub(super) prefix: Prefix,
    pub(super) reader: SnapshotReader,
    /// The limits of `/metrics`.
    pub(super) scrapes: ScrapeLimits,
    /// The limits of `/probe`.
    pub(super) probes: ScrapeLimits,
    /// The time that the last scrape spent on rendering.
    pub(super) last_rendering_micros: AtomicU64,
    /// Every endpoint to link to: its path and its purpose.
    pub(super) index: Vec<(String, &'static str)>,
}

impl Shared {
    pub(super) fn new(web: Web, prefix: Prefix, index: Vec<(String, &'static str)>) -> Self {
        let limits = |kind| ScrapeLimits::new(kind, &web.options);
        Self {
            reader: SnapshotReader::new(Arc::clone(&web.sweeps)),
            scrapes: limits("scrapes"),
            probes: limits("probes"),
            last_rendering_micros: AtomicU64::default(),
            web,
            prefix,
            index,
        }
    }
}
