//! `/sd`: the fleet as targets for Prometheus's `http_sd_configs`, each of them one `/probe`.
//!
//! The address of every target is this exporter; which client is meant stands in the labels that
//! Prometheus turns into the query of a scrape (`__param_…`), so that no relabelling is needed.
//! What else is known of a client stands in `__meta_…` labels, which relabelling can use.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use serde::Serialize;

use super::paths::Prefix;
use super::query::{BadParameter, ClientFilter};
use crate::presence::{InstanceSnapshot, Snapshot};
use crate::sweep::Sweeps;

/// How much text a chunk holds, give or take a target.
const CHUNK: usize = 64 * 1024;

/// How many clients are looked at for one chunk, wanted or not, before other tasks have their turn.
const CLIENTS_A_CHUNK: usize = 4096;

const PARAMETERS: [&str; 4] = ["instance_id", "group_id", "label", "text"];

/// `GET` lists the targets; nobody is asked for them.
pub(super) fn routes(sweeps: Arc<Sweeps>, prefix: &Prefix) -> MethodRouter {
    let origin = prefix
        .origin()
        .map(|(scheme, host)| (Some(scheme.to_owned()), host.to_owned()));
    let path: Arc<str> = prefix.link("/probe").into();
    get(
        move |RawQuery(query): RawQuery, uri: Uri, headers: HeaderMap| async move {
            let filter = match filter(query.as_deref().unwrap_or_default()) {
                Ok(filter) => filter,
                Err(bad) => return bad.into_response(),
            };
            let asked = || host(&uri, &headers).map(|host| (None, host));
            let Some((scheme, address)) = origin.or_else(asked) else {
                let text = "the request names no host, by which Prometheus would find this exporter; set --web.external-url\n";
                return (StatusCode::BAD_REQUEST, text).into_response();
            };
            let targets = Targets {
                frozen: sweeps.snapshot(),
                filter,
                scheme,
                address,
                path,
            };
            response(targets)
        },
    )
}

fn filter(query: &str) -> Result<ClientFilter, BadParameter> {
    let mut filter = ClientFilter::default();
    for (name, value) in
        form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty())
    {
        if !filter.set_static(&name, &value)? {
            return Err(BadParameter::unknown(&name, &PARAMETERS));
        }
    }
    Ok(filter)
}

/// The host, perhaps with a port, by which a request reached this server.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let header = headers.get(HOST).and_then(|host| host.to_str().ok());
    header
        .or_else(|| uri.authority().map(Authority::as_str))
        .filter(|host| !host.is_empty())
        .map(Into::into)
}

/// A chunk at a time: a large fleet's targets are never in memory as a whole.
fn response(targets: Targets) -> Response {
    let start = Some(Cursor::default());
    let chunks = futures_util::stream::unfold((targets, start), async |(targets, next)| {
        tokio::task::yield_now().await;
        let (chunk, next) = targets.chunk(next?);
        Some((Ok::<_, Infallible>(Bytes::from(chunk)), (targets, next)))
    });
    (
        [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        Body::from_stream(chunks),
    )
        .into_response()
}

/// What is listed, and how it is addressed.
struct Targets {
    frozen: Arc<Snapshot>,
    filter: ClientFilter,
    scheme: Option<String>,
    address: String,
    path: Arc<str>,
}

/// Which client comes next.
#[derive(Clone, Copy, Default)]
struct Cursor {
    instance: usize,
    client: usize,
    /// Whether a target was written already.
    begun: bool,
}

/// A target group, as the page "HTTP SD" of Prometheus's documentation describes it.
#[derive(Serialize)]
struct TargetGroup<'a> {
    targets: [&'a str; 1],
    labels: BTreeMap<Cow<'static, str>, Cow<'a, str>>,
}

impl Targets {
    /// Some targets from `at` on, and where to go on after them.
    fn chunk(&self, at: Cursor) -> (Vec<u8>, Option<Cursor>) {
        let Cursor {
            instance: first,
            client: mut from,
            mut begun,
        } = at;
        let mut text = if (first, from) == (0, 0) {
            b"[".to_vec()
        } else {
            Vec::new()
        };
        let mut looked_at = 0;
        for (number, instance) in self.frozen.instances.iter().enumerate().skip(first) {
            let Some(wanted) = self.filter.matcher(instance) else {
                continue;
            };
            for client in std::mem::take(&mut from)..instance.fleet().len() {
                if looked_at == CLIENTS_A_CHUNK || text.len() >= CHUNK {
                    return (
                        text,
                        Some(Cursor {
                            instance: number,
                            client,
                            begun,
                        }),
                    );
                }
                looked_at += 1;
                if wanted(client) {
                    text.extend_from_slice(if begun { b",\n" } else { b"\n" });
                    begun = true;
                    serde_json::to_writer(&mut text, &self.group(instance, client))
                        .expect("a Vec takes everything");
                }
            }
        }
        text.extend_from_slice(b"\n]\n");
        (text, None)
    }

    fn group<'a>(&'a self, instance: &'a InstanceSnapshot, client: usize) -> TargetGroup<'a> {
        let (fleet, id) = (instance.fleet(), instance.id().as_str());
        let client_id = fleet.client(client);
        let group = &*fleet.groups()[fleet.group_of(client)].name;
        let mut labels: BTreeMap<Cow<'static, str>, Cow<'a, str>> = BTreeMap::from([
            // By it the targets of a job differ, which else would be all of the same address.
            ("instance".into(), format!("{id}/{client_id}").into()),
            ("__metrics_path__".into(), (&*self.path).into()),
            ("__param_instance_id".into(), id.into()),
            ("__meta_mqtt_presence_instance_id".into(), id.into()),
            ("__meta_mqtt_presence_group_id".into(), group.into()),
            ("__meta_mqtt_presence_client_id".into(), client_id.clone()),
            ("__param_client_id".into(), client_id),
        ]);
        if let Some(scheme) = &self.scheme {
            labels.insert("__scheme__".into(), scheme.into());
        }
        let configured = fleet.labels(client);
        labels.extend(
            configured
                .map(|(name, value)| (format!("__meta_mqtt_presence_label_{name}").into(), value)),
        );
        TargetGroup {
            targets: [&self.address],
            labels,
        }
    }
}
