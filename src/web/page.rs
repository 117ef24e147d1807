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
use crate::clock::{Timestamp, WallOffset};
use crate::config::{Mode, Query};
use crate::presence::{InstanceSnapshot, StatusCounts};
use devices::DeviceTable;
use exporter::ProcessState;
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
    let (sources, config) = (Arc::clone(&shared), shared.web.config.load_full());
    let html = shared.reader.read(move |snapshot| {
        let instances = snapshot.instances.iter();
        let page = StatusPage {
            now: snapshot.time(),
            offset: snapshot.offset,
            query_error,
            totals: overview::sum(instances.clone().flat_map(InstanceSnapshot::groups)),
            instances: instances.map(InstanceSummary::new).collect(),
            devices: DeviceTable::new(snapshot, &query),
            process: ProcessState::new(&sources.web.metrics, &config.collect, snapshot.time()),
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
    offset: WallOffset,
    /// The error of an invalid query.
    query_error: Option<String>,
    totals: StatusCounts,
    instances: Vec<InstanceSummary<'a>>,
    devices: DeviceTable<'a>,
    process: ProcessState<'a>,
    index: &'a [(String, &'static str)],
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Moment;
    use crate::config::Collect;
    use crate::presence::{FleetBuilder, InstanceId, InstanceState, Snapshot};
    use crate::telemetry::Metrics;

    const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    /// The page of an instance with this number of devices.
    fn html(devices: usize, metrics: &Metrics) -> String {
        let mut fleet = FleetBuilder::new(InstanceId::new("post-cn-1").expect("an ID"));
        for n in 0..devices {
            fleet
                .push(&format!("GID_{}@@@{n:05}", n % 2000), [])
                .expect("new");
        }
        let at = Moment::from_micros(AT.as_millis() * 1000);
        let snapshot = Snapshot {
            at,
            offset: WallOffset::default(),
            instances: vec![InstanceState::new(fleet.build(), Duration::MAX).snapshot(at)],
        };
        let (query, collect) = (ClientQuery::default(), Collect::default());
        let page = StatusPage {
            now: snapshot.time(),
            offset: snapshot.offset,
            query_error: None,
            totals: StatusCounts::default(),
            instances: snapshot
                .instances
                .iter()
                .map(InstanceSummary::new)
                .collect(),
            devices: DeviceTable::new(&snapshot, &query),
            process: ProcessState::new(metrics, &collect, AT),
            index: &[],
        };
        page.render().expect("a page")
    }

    #[test]
    fn a_hundred_thousand_devices_make_a_page_of_a_hundred_rows() {
        let html = html(100_000, &Metrics::new(Duration::ZERO));
        assert_eq!(html.matches("data-client=").count(), 100);
        assert!(html.contains("1–100 of 100,000"), "{html}");
        assert!(html.len() < 300_000, "{} bytes", html.len());
    }

    #[test]
    fn the_state_of_the_process_is_described_and_marked_if_it_needs_attention() {
        let metrics = Metrics::new(Duration::ZERO);
        let (single, batch) = ("QuerySessionByClientId", "BatchQuerySessionByClientIds");
        for (operation, projected) in [(single, 3.75), (batch, 0.0)] {
            let limit = &metrics.quota_calls_per_second;
            limit.with_label_values(&[operation]).set(5.0);
            for instance in ["post-cn-1", "post-cn-2"] {
                let rate = &metrics.projected_calls_per_second;
                rate.with_label_values(&[instance, operation])
                    .set(projected);
            }
        }
        let throttled = &metrics.limiter_calls_per_second;
        for (layer, rate) in [("account", 2.5), ("instance", 1.0)] {
            throttled
                .with_label_values(&[layer, "main", single])
                .set(rate);
        }
        let expiry = &metrics.credential_expiry_timestamp_seconds;
        for (name, seconds) in [("old", AT.as_seconds()), ("new", AT.as_seconds() + 600.0)] {
            expiry.with_label_values(&[name]).set(seconds);
        }
        metrics.config_last_reload_successful.set(0.0);
        let loaded = &metrics.config_last_reload_success_timestamp_seconds;
        loaded.set(AT.as_seconds() - 90.0);
        metrics
            .discovery_clients
            .with_label_values(&["csv"])
            .set(1234.0);
        let shard = &metrics.shard_info;
        shard.with_label_values(&["1", "3"]).set(1.0);

        let html = html(1, &metrics);
        let bad = "<dd class=\"bad\"><span class=\"hidden\">Attention: </span>";
        for (about, attention, text) in [
            (
                "Single calls",
                bad,
                "limit 5 calls/s; 7.5 calls/s; 0 calls since start",
            ),
            (
                "Batch calls",
                "<dd>",
                "limit 5 calls/s; current rate not known yet; 0 calls since start",
            ),
            (
                "Throttled by the API",
                bad,
                "account main QuerySessionByClientId at 2.5 calls/s",
            ),
            ("Failed calls since start", "<dd>", "none"),
            ("Credentials", bad, "old: expired"),
            (
                "Credentials",
                "<dd>",
                "new: expire in 10 min, renewed before",
            ),
            (
                "Configuration",
                bad,
                "last reload failed, see the log; in effect is the version loaded 1 min ago",
            ),
            (
                "Source",
                bad,
                "csv: 1,234 devices, never read successfully, see the log",
            ),
            ("Shard", "<dd>", "1 of 3, counted from 0"),
        ] {
            let expected = format!("<dt>{about}</dt>{attention}{text}</dd>");
            assert!(html.contains(&expected), "{expected} is not in {html}");
        }
        assert!(!html.contains("Web configuration"));
    }
}
