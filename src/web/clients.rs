//! `/api/v1/clients`: what is known of the clients, as JSON. `docs/api.md` describes it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::extract::RawQuery;
use axum::routing::{MethodRouter, get};
use serde::Serialize;

use super::query::{BadParameter, ClientQuery, ClientRef, Page, SnapshotReader, json};
use crate::clock::Timestamp;
use crate::presence::Status;

/// `GET` shows a page of clients; nobody is asked for them.
pub(super) fn routes(viewer: SnapshotReader) -> MethodRouter {
    get(async move |RawQuery(query): RawQuery| {
        let selection = ClientQuery::parse(query.as_deref().unwrap_or_default())?;
        let page = viewer.look(move |frozen| {
            let page = selection.page(frozen);
            json(&ApiResponse {
                status: "success",
                data: ClientPage::new(frozen.at, &selection, &page),
            })
        });
        Ok::<_, BadParameter>(page.await)
    })
}

/// The frame in which Prometheus's own API puts its answers.
#[derive(Serialize)]
struct ApiResponse<'a> {
    status: &'static str,
    data: ClientPage<'a>,
}

#[derive(Serialize)]
struct ClientPage<'a> {
    timestamp_seconds: f64,
    total: usize,
    offset: usize,
    limit: usize,
    counts: BTreeMap<&'static str, usize>,
    clients: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    instance_id: &'a str,
    client_id: Cow<'a, str>,
    group_id: &'a str,
    labels: BTreeMap<&'a str, Cow<'a, str>>,
    status: &'static str,
    status_since_timestamp_seconds: Option<f64>,
    last_observation_timestamp_seconds: Option<f64>,
}

impl<'a> ClientPage<'a> {
    fn new(at: Timestamp, selection: &ClientQuery, page: &Page<'a>) -> Self {
        Self {
            timestamp_seconds: at.as_seconds(),
            total: page.total,
            offset: selection.offset,
            limit: selection.limit,
            counts: Status::ALL
                .map(Status::as_str)
                .into_iter()
                .zip(page.counts)
                .collect(),
            clients: page.places.iter().map(Row::new).collect(),
        }
    }
}

impl<'a> Row<'a> {
    fn new(place: &ClientRef<'a>) -> Self {
        let (instance, client) = (place.instance, place.client);
        let known = instance.client(client);
        Self {
            instance_id: instance.id().as_str(),
            client_id: instance.fleet().client(client),
            group_id: place.group(),
            labels: instance.fleet().labels(client).collect(),
            status: place.status().as_str(),
            status_since_timestamp_seconds: known.map(|(_, run)| run.since.as_seconds()),
            last_observation_timestamp_seconds: known.map(|(seen, _)| seen.at.as_seconds()),
        }
    }
}
