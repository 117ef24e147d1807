//! The status page at `/`: what is known of the devices, for whoever opens the port in a browser.
//!
//! All of it is rendered here, so that it works without JavaScript; the script that comes with it
//! fetches the same page again now and then, and changes what is new in place. Which devices are
//! shown is a [`ClientQuery`], with the parameters and the pages of `/api/v1/clients`. Nobody is
//! asked for them.

mod assets;
mod devices;
mod exporter;
mod format;
mod overview;

use std::sync::Arc;

use arc_swap::ArcSwap;
use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use super::query::{ClientQuery, SnapshotReader};
use crate::config::Config;
use crate::presence::Snapshot;
use crate::telemetry::{Metrics, VERSION};
use assets::{SCRIPT, STYLE};
use devices::DeviceTable;
use exporter::Fact;
use format::When;
use overview::{InstanceSummary, StatusTotal};

/// What the page shows besides what is known of the devices.
#[derive(Clone)]
pub(super) struct PageSources {
    /// Where what is known is looked at.
    pub(super) viewer: SnapshotReader,
    /// The exporter's own metrics.
    pub(super) metrics: Arc<Metrics>,
    /// The configuration in effect.
    pub(super) config: Arc<ArcSwap<Config>>,
    /// Every endpoint: its path, and what is there.
    pub(super) index: Arc<[(String, &'static str)]>,
}

/// `GET` shows the page.
pub(super) fn routes(parts: PageSources) -> MethodRouter {
    get(move |RawQuery(query): RawQuery| show(parts.clone(), query.unwrap_or_default()))
}

async fn show(parts: PageSources, query: String) -> Response {
    let PageSources {
        viewer,
        metrics,
        config,
        index,
    } = parts;
    let (status, selection, refusal) = match ClientQuery::parse(&query) {
        Ok(selection) => (StatusCode::OK, selection, None),
        Err(refusal) => (
            StatusCode::BAD_REQUEST,
            ClientQuery::default(),
            Some(refusal.to_string()),
        ),
    };
    let html = viewer.look(move |frozen| {
        let facts = exporter::facts(&metrics, &config.load(), frozen.at);
        let page = StatusPage {
            facts,
            index: &index,
            ..StatusPage::new(frozen, &selection, refusal)
        };
        page.render().expect("writing to a String does not fail")
    });
    (status, assets::headers(), Html(html.await)).into_response()
}

#[derive(Template)]
#[template(path = "page.html", config = "src/web/page/askama.toml")]
struct StatusPage<'a> {
    style: &'static str,
    script: &'static str,
    version: &'static str,
    now: When,
    /// What is wrong with the query.
    refusal: Option<String>,
    totals: Vec<StatusTotal>,
    instances: Vec<InstanceSummary<'a>>,
    devices: DeviceTable<'a>,
    facts: Vec<Fact>,
    index: &'a [(String, &'static str)],
}

impl<'a> StatusPage<'a> {
    fn new(frozen: &'a Snapshot, selection: &'a ClientQuery, refusal: Option<String>) -> Self {
        Self {
            style: STYLE,
            script: SCRIPT,
            version: VERSION,
            now: When::new(frozen.at, frozen.at),
            refusal,
            totals: overview::totals(frozen),
            instances: overview::instances(frozen),
            devices: DeviceTable::new(frozen, selection),
            facts: Vec::new(),
            index: &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;
    use crate::presence::{FleetBuilder, InstanceId, InstanceState};

    #[test]
    fn a_hundred_thousand_devices_make_a_page_of_a_hundred_rows() {
        let mut fleet = FleetBuilder::new(InstanceId::new("post-cn-1").expect("an ID"));
        for n in 0..100_000 {
            fleet
                .push(&format!("GID_{}@@@{n:05}", n % 2000), [])
                .expect("new");
        }
        let at = Timestamp::from_millis(1_700_000_000_000);
        let frozen = Snapshot {
            at,
            instances: vec![InstanceState::new(fleet.build(), Duration::MAX).snapshot(at)],
        };
        let html = StatusPage::new(&frozen, &ClientQuery::default(), None)
            .render()
            .expect("a page");
        assert_eq!(html.matches("data-client=").count(), 100);
        assert!(html.contains("1–100 of 100,000"), "{html}");
        assert!(html.len() < 300_000, "{} bytes", html.len());
    }
}
