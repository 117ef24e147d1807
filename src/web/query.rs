//! The parameters that choose clients: a filter, an order and a page.
//!
//! `/api/v1/clients`, the status page and `/sd` share them. Nothing here calls the API.

mod filter;
mod sort;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

pub(super) use filter::ClientFilter;
pub(super) use sort::{SortKey, SortOrder};

use crate::clock::Timestamp;
use crate::presence::{InstanceSnapshot, Snapshot, Status};
use crate::sweep::Sweeps;

/// The number of clients on a page: the default and the maximum.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 10_000;

const PARAMETERS: [&str; 8] = [
    "status",
    "instance_id",
    "group_id",
    "label",
    "text",
    "sort",
    "limit",
    "offset",
];

/// An invalid parameter of a query string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadParameter {
    /// The name is unknown.
    #[error("unknown parameter `{name}`; known parameters: {known}")]
    Unknown { name: String, known: String },
    /// The value is invalid.
    #[error("`{name}={value}`: must be {expected}")]
    Value {
        name: &'static str,
        value: String,
        expected: String,
    },
}

impl BadParameter {
    /// `name` is none of the `known` parameters.
    pub(super) fn unknown(name: &str, known: &[&str]) -> Self {
        let known: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
        Self::Unknown {
            name: name.to_owned(),
            known: known.join(", "),
        }
    }
}

/// In the form of Prometheus's API errors.
impl IntoResponse for BadParameter {
    fn into_response(self) -> Response {
        let error = serde_json::json!({ "status": "error", "errorType": "bad_data", "error": self.to_string() });
        (StatusCode::BAD_REQUEST, Json(error)).into_response()
    }
}

/// What `value` was parsed to; without that, an error that names what is expected.
fn valid<T>(
    parsed: Option<T>,
    name: &'static str,
    value: &str,
    expected: &str,
) -> Result<T, BadParameter> {
    parsed.ok_or_else(|| BadParameter::Value {
        name,
        value: value.to_owned(),
        expected: expected.to_owned(),
    })
}

/// The parameters of a query string. Empty values, which forms send, are ignored.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty())
}

/// Reads snapshots: one at a time, and on a blocking thread, since a read goes through the whole
/// fleet and scrapes must not wait for it.
#[derive(Clone, Debug)]
pub(super) struct SnapshotReader {
    sweeps: Arc<Sweeps>,
    permits: Arc<Semaphore>,
}

impl SnapshotReader {
    pub(super) fn new(sweeps: Arc<Sweeps>) -> Self {
        Self {
            sweeps,
            permits: Arc::new(Semaphore::new(1)),
        }
    }

    /// The result of `read` on the current snapshot. Starts no sweep and waits for none.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot) -> T + Send + 'static,
    ) -> T {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let sweeps = Arc::clone(&self.sweeps);
        let result = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read(&sweeps.snapshot())
        });
        result.await.expect("it neither panics nor is aborted")
    }
}

/// A page of clients: which clients, in which order, which part of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClientQuery {
    pub(super) filter: ClientFilter,
    pub(super) sort: SortOrder,
    pub(super) offset: usize,
    limit: Option<usize>,
    /// All parameters as given, for links to other pages.
    parameters: Vec<(String, String)>,
}

impl ClientQuery {
    /// Parses a query string.
    pub(super) fn parse(query: &str) -> Result<Self, BadParameter> {
        let mut parsed = Self::default();
        for (name, value) in parameters(query) {
            match &*name {
                "sort" => parsed.sort = SortOrder::parse(&value)?,
                "offset" => {
                    parsed.offset = valid(value.parse().ok(), "offset", &value, "a whole number")?;
                }
                "limit" => {
                    let limit = value.parse().ok();
                    let limit = limit.filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    let expected = format!("a number from 1 to {MAX_LIMIT}");
                    parsed.limit = Some(valid(limit, "limit", &value, &expected)?);
                }
                _ if parsed.filter.set(&name, &value)? => {}
                _ => return Err(BadParameter::unknown(&name, &PARAMETERS)),
            }
            parsed.parameters.push((name.into(), value.into()));
        }
        Ok(parsed)
    }

    /// The number of clients on a page.
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// The parameters with one of these names.
    pub(super) fn given(&self, names: &[&str]) -> impl Iterator<Item = &(String, String)> {
        let given = self.parameters.iter();
        given.filter(|(name, _)| names.contains(&&**name))
    }

    /// The query string of the same clients with another order, if any, from `offset` on.
    pub(super) fn link(&self, sort: Option<SortOrder>, offset: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(
            self.parameters
                .iter()
                .filter(|(name, _)| name != "offset" && (name != "sort" || sort.is_none())),
        );
        if let Some(sort) = sort {
            query.append_pair("sort", &sort.to_string());
        }
        if offset > 0 {
            query.append_pair("offset", &offset.to_string());
        }
        query.finish()
    }

    /// The page of `snapshot`.
    pub(super) fn page<'a>(&self, snapshot: &'a Snapshot) -> Page<'a> {
        let (mut counts, mut clients) = ([0; Status::ALL.len()], Vec::new());
        for client in self.filter.clients_of_any_status(snapshot) {
            counts[client.status() as usize] += 1;
            if self.filter.has_status(client.status()) {
                clients.push(client);
            }
        }
        let total = clients.len();
        let end = self.offset.saturating_add(self.limit()).min(total);
        // Sorts no more than is shown.
        if end < total {
            clients.select_nth_unstable_by(end, |a, b| self.sort.compare(a, b));
            clients.truncate(end);
        }
        clients.sort_unstable_by(|a, b| self.sort.compare(a, b));
        clients.drain(..self.offset.min(clients.len()));
        Page {
            counts,
            total,
            clients,
        }
    }
}

/// A page of clients.
#[derive(Debug)]
pub(super) struct Page<'a> {
    /// The number of clients by status, in the order of [`Status::ALL`], whichever are queried.
    pub(super) counts: [usize; Status::ALL.len()],
    /// The number of clients on all pages.
    pub(super) total: usize,
    /// The clients of this page, in order.
    pub(super) clients: Vec<ClientRef<'a>>,
}

/// One client of a snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientRef<'a> {
    pub(super) instance: &'a InstanceSnapshot,
    pub(super) index: usize,
}

impl<'a> ClientRef<'a> {
    pub(super) fn instance_id(&self) -> &'a str {
        self.instance.id().as_str()
    }

    pub(super) fn client_id(&self) -> Cow<'a, str> {
        self.instance.fleet().client(self.index)
    }

    /// The group, as the exposition names it.
    pub(super) fn group_id(&self) -> &'a str {
        let fleet = self.instance.fleet();
        &fleet.groups()[fleet.group_of(self.index)].name
    }

    pub(super) fn labels(&self) -> BTreeMap<&'a str, Cow<'a, str>> {
        self.instance.fleet().labels(self.index).collect()
    }

    pub(super) fn status(&self) -> Status {
        self.instance.status(self.index)
    }

    /// When the status became what it is; `None` while it is unknown.
    pub(super) fn since(&self) -> Option<Timestamp> {
        let (_, run) = self.instance.client(self.index)?;
        Some(run.since)
    }

    /// When the client was last observed; `None` while its status is unknown.
    pub(super) fn observed(&self) -> Option<Timestamp> {
        let (observation, _) = self.instance.client(self.index)?;
        Some(observation.at)
    }
}
