//! The status page at `/`: what is known of the devices, for whoever opens the port in a browser.
//!
//! All of it is rendered here, so that it works without JavaScript; the script that comes with it
//! fetches the same page again now and then, and changes what is new in place. Which devices are
//! shown is a [`Selection`], with the parameters and the pages of `/api/v1/clients`. Nobody is
//! asked for them.

mod assets;
mod devices;
mod exporter;
mod overview;
mod words;

use std::sync::Arc;

use arc_swap::ArcSwap;
use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use super::select::{Selection, Viewer};
use crate::config::Config;
use crate::presence::Snapshot;
use crate::telemetry::{Metrics, VERSION};
use assets::{SCRIPT, STYLE};
use devices::Devices;
use exporter::Fact;
use overview::{Instance, Total};
use words::When;

/// What the page shows besides what is known of the devices.
#[derive(Clone)]
pub(super) struct Parts {
    /// Where what is known is looked at.
    pub(super) viewer: Viewer,
    /// The exporter's own metrics.
    pub(super) metrics: Arc<Metrics>,
    /// The configuration in effect.
    pub(super) config: Arc<ArcSwap<Config>>,
    /// Every endpoint: its path, and what is there.
    pub(super) index: Arc<[(String, &'static str)]>,
}

/// `GET` shows the page.
pub(super) fn routes(parts: Parts) -> MethodRouter {
    get(move |RawQuery(query): RawQuery| show(parts.clone(), query.unwrap_or_default()))
}

async fn show(parts: Parts, query: String) -> Response {
    let Parts {
        viewer,
        metrics,
        config,
        index,
    } = parts;
    let (status, selection, refusal) = match Selection::parse(&query) {
        Ok(selection) => (StatusCode::OK, selection, None),
        Err(refusal) => (
            StatusCode::BAD_REQUEST,
            Selection::default(),
            Some(refusal.to_string()),
        ),
    };
    let html = viewer.look(move |frozen| {
        let facts = exporter::facts(&metrics, &config.load(), frozen.at);
        let page = Page {
            facts,
            index: &index,
            ..Page::new(frozen, &selection, refusal)
        };
        page.render().expect("writing to a String does not fail")
    });
    (status, assets::headers(), Html(html.await)).into_response()
}

#[derive(Template)]
#[template(path = "page.html", config = "src/web/page/askama.toml")]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    version: &'static str,
    now: When,
    /// What is wrong with the query.
    refusal: Option<String>,
    totals: Vec<Total>,
    instances: Vec<Instance<'a>>,
    devices: Devices<'a>,
    facts: Vec<Fact>,
    index: &'a [(String, &'static str)],
}

impl<'a> Page<'a> {
    fn new(frozen: &'a Snapshot, selection: &'a Selection, refusal: Option<String>) -> Self {
        Self {
            style: STYLE,
            script: SCRIPT,
            version: VERSION,
            now: When::new(frozen.at, frozen.at),
            refusal,
            totals: overview::totals(frozen),
            instances: overview::instances(frozen),
            devices: Devices::new(frozen, selection),
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
        let html = Page::new(&frozen, &Selection::default(), None)
            .render()
            .expect("a page");
        assert_eq!(html.matches("data-client=").count(), 100);
        assert!(html.contains("1–100 of 100,000"), "{html}");
        assert!(html.len() < 300_000, "{} bytes", html.len());
    }
}
