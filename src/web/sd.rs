//! `/sd`: the fleet as targets for Prometheus's `http_sd_configs`. Each target is one `/probe`.
//!
//! The address of every target is this exporter. `__param_…` labels, which Prometheus turns into
//! the query of a scrape, name the client, so that no relabelling is needed. `__meta_…` labels
//! carry the rest, for relabelling.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::Serialize;

use super::chunked::chunked_body;
use super::query::{BadParameter, ClientFilter, ClientRef, parameters};
use super::shared::{Shared, SharedState};
use crate::presence::Snapshot;

/// The number of clients whose targets are written at once: about 64 KiB.
const CLIENTS_PER_CHUNK: usize = 128;

const PARAMETERS: [&str; 4] = ["instance_id", "group_id", "label", "text"];

/// The targets, without calls to the API.
pub(super) async fn targets(
    State(shared): SharedState,
    RawQuery(query): RawQuery,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, BadParameter> {
    let filter = parse(query.as_deref().unwrap_or_default())?;
    let configured = shared.prefix.external.authority();
    let configured = configured.map(|host| host.as_str().to_owned());
    let Some(address) = configured.or_else(|| host(&uri, &headers)) else {
        let text = "the request has no host; Prometheus needs the address of this exporter: set --web.external-url\n";
        return Ok((StatusCode::BAD_REQUEST, text).into_response());
    };
    let targets = Targets {
        snapshot: shared.web.sweeps.snapshot(),
        filter,
        address,
        path: shared.prefix.link("/probe"),
        shared,
    };
    Ok(targets.into_response())
}

fn parse(query: &str) -> Result<ClientFilter, BadParameter> {
    let mut filter = ClientFilter::default();
    for (name, value) in parameters(query) {
        // Targets do not depend on the status of a client.
        if name == "status" || !filter.set(&name, &value)? {
            return Err(BadParameter::unknown(&name, &PARAMETERS));
        }
    }
    Ok(filter)
}

/// The host, perhaps with a port, under which a request reached this server.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let header = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = header.or_else(|| uri.authority().map(Authority::as_str));
    host.filter(|host| !host.is_empty()).map(Into::into)
}

/// The clients to list, and how Prometheus reaches this exporter.
struct Targets {
    snapshot: Arc<Snapshot>,
    filter: ClientFilter,
    address: String,
    path: String,
    shared: Arc<Shared>,
}

/// A target group, as described on the page "HTTP SD" of Prometheus's documentation.
#[derive(Serialize)]
struct TargetGroup<'a> {
    targets: [&'a str; 1],
    labels: BTreeMap<Cow<'static, str>, Cow<'a, str>>,
}

impl Targets {
    /// In chunks: the targets of a large fleet are never in memory as a whole.
    fn into_response(self) -> Response {
        let instances = self.snapshot.instances.iter().enumerate();
        let chunks = instances.flat_map(|(number, instance)| {
            let starts = (0..instance.fleet().len()).step_by(CLIENTS_PER_CHUNK);
            starts.map(move |start| (number, start))
        });
        let chunks: Vec<_> = chunks.collect();
        let mut separator = "\n";
        let targets = chunks.into_iter();
        let targets =
            targets.map(move |(instance, start)| self.text(instance, start, &mut separator));
        let [start, end] = ["[", "\n]\n"].map(|text| iter::once(text.into()));
        let body = chunked_body(start.chain(targets).chain(end));
        ([(CONTENT_TYPE, "application/json")], body).into_response()
    }

    /// The targets of the chunk of an instance that begins with client `start`, each after a
    /// separator.
    fn text(&self, instance: usize, start: usize, separator: &mut &str) -> Bytes {
        let (offset, instance) = (self.snapshot.offset, &self.snapshot.instances[instance]);
        let mut text = Vec::new();
        if let Some(matches) = self.filter.matcher(instance) {
            let clients = (start..instance.fleet().len()).take(CLIENTS_PER_CHUNK);
            for index in clients.filter(|&index| matches(index)) {
                text.extend_from_slice(std::mem::replace(separator, ",\n").as_bytes());
                let group = self.group(ClientRef {
                    offset,
                    instance,
                    index,
                });
                serde_json::to_writer(&mut text, &group).expect("a Vec takes everything");
            }
        }
        text.into()
    }

    fn group<'a>(&'a self, client: ClientRef<'a>) -> TargetGroup<'a> {
        let (instance_id, client_id) = (client.instance_id(), client.client_id());
        // All targets have the same address; this label distinguishes them.
        let instance = format!("{instance_id}/{client_id}");
        let labels = [
            ("instance", instance.into()),
            ("__metrics_path__", (&*self.path).into()),
            ("__param_instance_id", instance_id.into()),
            ("__param_client_id", client_id.clone()),
            ("__meta_mqtt_presence_instance_id", instance_id.into()),
            ("__meta_mqtt_presence_group_id", client.group_id().into()),
            ("__meta_mqtt_presence_client_id", client_id),
        ];
        let scheme = self.shared.prefix.external.scheme_str();
        let scheme = scheme.map(|scheme| ("__scheme__", scheme.into()));
        let labels = labels.into_iter().chain(scheme);
        let meta = |name| format!("__meta_mqtt_presence_label_{name}").into();
        let configured = client.labels().into_iter();
        let configured = configured.map(|(name, value)| (meta(name), value));
        TargetGroup {
            targets: [&self.address],
            labels: (labels.map(|(name, value)| (name.into(), value)))
                .chain(configured)
                .collect(),
        }
    }
}
