//! `/sd`: the fleet as targets for Prometheus's `http_sd_configs`. Each target is one `/probe`.
//!
//! The address of every target is this exporter. `__param_…` labels, which Prometheus turns into
//! the query of a scrape, name the client, so that no relabelling is needed. `__meta_…` labels
//! carry the rest, for relabelling.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;

use super::paths::Prefix;
use super::query::{BadParameter, ClientFilter, ClientRef, parameters};
use crate::presence::Snapshot;
use crate::sweep::Sweeps;

/// The number of clients whose targets are written at once, before other tasks run: about 128 KiB.
const CLIENTS_PER_CHUNK: usize = 256;

const PARAMETERS: [&str; 4] = ["instance_id", "group_id", "label", "text"];

/// `GET` lists the targets, without calls to the API.
pub(super) fn routes(sweeps: Arc<Sweeps>, prefix: &Prefix) -> MethodRouter {
    let external = prefix.external.clone();
    let path: Arc<str> = prefix.link("/probe").into();
    get(
        async move |RawQuery(query): RawQuery, uri: Uri, headers: HeaderMap| {
            let filter = parse(query.as_deref().unwrap_or_default())?;
            let configured = external.authority().map(|host| host.as_str().to_owned());
            let Some(address) = configured.or_else(|| host(&uri, &headers)) else {
                let text = "the request has no host; Prometheus needs the address of this exporter: set --web.external-url\n";
                return Ok((StatusCode::BAD_REQUEST, text).into_response());
            };
            let targets = Targets {
                snapshot: sweeps.snapshot(),
                filter,
                external,
                address,
                path,
            };
            Ok::<_, BadParameter>(targets.into_response())
        },
    )
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
    external: Uri,
    address: String,
    path: Arc<str>,
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
        let targets = stream::iter(chunks).then(move |(instance, start)| {
            let text = self.text(instance, start, &mut separator);
            async move {
                tokio::task::yield_now().await;
                text
            }
        });
        let [start, end] = ["[", "\n]\n"].map(|text| stream::iter([text.into()]));
        let text = start.chain(targets).chain(end);
        let body = Body::from_stream(text.map(Ok::<Vec<u8>, Infallible>));
        ([(CONTENT_TYPE, "application/json")], body).into_response()
    }

    /// The targets of the chunk of an instance that begins with client `start`, each after a
    /// separator.
    fn text(&self, instance: usize, start: usize, separator: &mut &str) -> Vec<u8> {
        let instance = &self.snapshot.instances[instance];
        let mut text = Vec::new();
        if let Some(matches) = self.filter.matcher(instance) {
            let clients = (start..instance.fleet().len()).take(CLIENTS_PER_CHUNK);
            for index in clients.filter(|&index| matches(index)) {
                text.extend_from_slice(std::mem::replace(separator, ",\n").as_bytes());
                let group = self.group(ClientRef { instance, index });
                serde_json::to_writer(&mut text, &group).expect("a Vec takes everything");
            }
        }
        text
    }

    fn group<'a>(&'a self, client: ClientRef<'a>) -> TargetGroup<'a> {
        let (instance_id, client_id) = (client.instance_id(), client.client_id());
        // All targets have the same address; this label distinguishes them.
        let instance = format!("{instance_id}/{client_id}");
        let mut labels: BTreeMap<Cow<'static, str>, Cow<'a, str>> = BTreeMap::from([
            ("instance".into(), instance.into()),
            ("__metrics_path__".into(), (&*self.path).into()),
            ("__param_instance_id".into(), instance_id.into()),
            ("__param_client_id".into(), client_id.clone()),
            (
                "__meta_mqtt_presence_instance_id".into(),
                instance_id.into(),
            ),
            (
                "__meta_mqtt_presence_group_id".into(),
                client.group_id().into(),
            ),
            ("__meta_mqtt_presence_client_id".into(), client_id),
        ]);
        let scheme = self.external.scheme_str();
        labels.extend(scheme.map(|scheme| ("__scheme__".into(), scheme.into())));
        let meta = |name| format!("__meta_mqtt_presence_label_{name}").into();
        let configured = client.labels().into_iter();
        labels.extend(configured.map(|(name, value)| (meta(name), value)));
        TargetGroup {
            targets: [&self.address],
            labels,
        }
    }
}
