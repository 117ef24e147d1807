//! The status page at `/`: the devices and the state of the exporter.
//!
//! The server renders all of the page, so that it works without JavaScript; the script fetches the
//! page again every few seconds and replaces what changed. A [`ClientQuery`] chooses the devices,
//! with the parameters of `/api/v1/clients`. The page causes no calls to the API.

mod assets;
mod devices;
mod exporter;
mod format;
mod overview;

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::query::ClientQuery;
use super::shared::SharedState;
use crate::clock::Timestamp;
use crate::presence::{InstanceSnapshot, StatusCounts};
use devices::DeviceTable;
use exporter::Fact;
use overview::InstanceSummary;

/// The page.
pub(super) async fn show(State(shared): SharedState, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let (status, query, query_error) = match ClientQuery::parse(&query) {
        Ok(query) => (StatusCode::OK, query, None),
        Err(query_error) => (
            StatusCode::BAD_REQUEST,
            ClientQuery::default(),
            Some(query_error.to_string()),
        ),
    };
    let sources = Arc::clone(&shared);
    let html = shared.reader.read(move |snapshot| {
        let instances = snapshot.instances.iter();
        let page = StatusPage {
            now: snapshot.at,
            query_error,
            totals: overview::sum(instances.clone().flat_map(InstanceSnapshot::groups)),
            instances: instances.map(InstanceSummary::new).collect(),
            devices: DeviceTable::new(snapshot, &query),
            facts: exporter::facts(
                &sources.web.metrics,
                &sources.web.config.load(),
                snapshot.at,
            ),
            index: &sources.index,
        };
        page.render().expect("writing to a String does not fail")
    });
    (status, assets::headers(), Html(html.await)).into_response()
}

#[derive(Template)]
#[template(path = "page.html", config = "src/web/page/askama.toml")]
struct StatusPage<'a> {
    now: Timestamp,
    /// The error of an invalid query.
    query_error: Option<String>,
    totals: StatusCounts,
    instances: Vec<InstanceSummary<'a>>,
    devices: DeviceTable<'a>,
    facts: Vec<Fact>,
    index: &'a [(String, &'static str)],
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::presence::{FleetBuilder, InstanceId, InstanceState, Snapshot};

    #[test]
    fn a_hundred_thousand_devices_make_a_page_of_a_hundred_rows() {
        let mut fleet = FleetBuilder::new(InstanceId::new("post-cn-1").expect("an ID"));
        for n in 0..100_000 {
            fleet
                .push(&format!("GID_{}@@@{n:05}", n % 2000), [])
                .expect("new");
        }
        let at = Timestamp::from_millis(1_700_000_000_000);
        let snapshot = Snapshot {
            at,
            instances: vec![InstanceState::new(fleet.build(), Duration::MAX).snapshot(at)],
        };
        let query = ClientQuery::default();
        let page = StatusPage {
            now: at,
            query_error: None,
            totals: StatusCounts::default(),
            instances: snapshot
                .instances
                .iter()
                .map(InstanceSummary::new)
                .collect(),
            devices: DeviceTable::new(&snapshot, &query),
            facts: Vec::new(),
            index: &[],
        };
        let html = page.render().expect("a page");
        assert_eq!(html.matches("data-client=").count(), 100);
        assert!(html.contains("1–100 of 100,000"), "{html}");
        assert!(html.len() < 300_000, "{} bytes", html.len());
    }
}
