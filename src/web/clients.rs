//! `/api/v1/clients`: the state of the clients as JSON. `docs/api.md` describes it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::Json;
use axum::extract::RawQuery;
use axum::response::IntoResponse as _;
use axum::routing::{MethodRouter, get};
use serde::Serialize;

use super::query::{BadParameter, ClientQuery, ClientRef, SnapshotReader};
use crate::clock::Timestamp;
use crate::presence::Status;

/// `GET` returns a page of clients, without calls to the API.
pub(super) fn routes(reader: SnapshotReader) -> MethodRouter {
    get(async move |RawQuery(query): RawQuery| {
        let query = ClientQuery::parse(query.as_deref().unwrap_or_default())?;
        let response = reader.read(move |snapshot| {
            let page = query.page(snapshot);
            let statuses = Status::ALL.map(Status::as_str);
            let data = ClientPage {
                timestamp_seconds: snapshot.at.as_seconds(),
                total: page.total,
                offset: query.offset,
                limit: query.limit(),
                counts: statuses.into_iter().zip(page.counts).collect(),
                clients: page.clients.iter().map(ClientRow::new).collect(),
            };
            let status = "success";
            Json(ApiResponse { status, data }).into_response()
        });
        Ok::<_, BadParameter>(response.await)
    })
}

/// The frame of the responses of Prometheus's API.
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
    clients: Vec<ClientRow<'a>>,
}

#[derive(Serialize)]
struct ClientRow<'a> {
    instance_id: &'a str,
    client_id: Cow<'a, str>,
    group_id: &'a str,
    labels: BTreeMap<&'a str, Cow<'a, str>>,
    status: &'static str,
    status_since_timestamp_seconds: Option<f64>,
    last_observation_timestamp_seconds: Option<f64>,
}

impl<'a> ClientRow<'a> {
    fn new(client: &ClientRef<'a>) -> Self {
        Self {
            instance_id: client.instance_id(),
            client_id: client.client_id(),
            group_id: client.group_id(),
            labels: client.labels(),
            status: client.status().as_str(),
            status_since_timestamp_seconds: client.since().map(Timestamp::as_seconds),
            last_observation_timestamp_seconds: client.observed().map(Timestamp::as_seconds),
        }
    }
}
