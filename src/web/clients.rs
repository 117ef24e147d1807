//! `/api/v1/clients`: the state of the clients as JSON. `docs/api.md` describes it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::query::{BadParameter, ClientQuery, ClientRef};
use super::shared::SharedState;
use crate::clock::Timestamp;
use crate::presence::Status;

/// A page of clients, without calls to the API.
pub(super) async fn list(
    State(shared): SharedState,
    RawQuery(query): RawQuery,
) -> Result<Response, BadParameter> {
    let query = ClientQuery::parse(query.as_deref().unwrap_or_default())?;
    let response = shared.reader.read(move |snapshot| {
        let page = query.page(snapshot);
        let statuses = Status::ALL.map(Status::as_str);
        let data = ClientPage {
            timestamp_seconds: snapshot.time().as_seconds(),
            total: page.total,
            offset: query.offset,
            limit: query.limit(),
            counts: statuses.into_iter().zip(page.counts).collect(),
            clients: page.clients,
        };
        let status = "success";
        Json(ApiResponse { status, data }).into_response()
    });
    Ok(response.await)
}

/// The frame of the responses of Prometheus's API.
#[derive(serde::Serialize)]
struct ApiResponse<'a> {
    status: &'static str,
    data: ClientPage<'a>,
}

#[derive(serde::Serialize)]
struct ClientPage<'a> {
    timestamp_seconds: f64,
    total: usize,
    offset: usize,
    limit: usize,
    counts: BTreeMap<&'static str, usize>,
    clients: Vec<ClientRef<'a>>,
}

/// An element of `clients`.
impl Serialize for ClientRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = |time: Option<Timestamp>| time.map(Timestamp::as_seconds);
        let mut row = serializer.serialize_struct("Client", 7)?;
        row.serialize_field("instance_id", self.instance_id())?;
        row.serialize_field("client_id", &self.client_id())?;
        row.serialize_field("group_id", self.group_id())?;
        row.serialize_field("labels", &self.labels())?;
        row.serialize_field("status", self.status().as_str())?;
        let (since, observed) = (seconds(self.since()), seconds(self.observed()));
        row.serialize_field("status_since_timestamp_seconds", &since)?;
        row.serialize_field("last_observation_timestamp_seconds", &observed)?;
        row.end()
    }
}
