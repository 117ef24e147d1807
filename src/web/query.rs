//! Looking through what is known: which clients are wanted, in which order, which page of them.
//!
//! `/api/v1/clients`, the status page and `/sd` take the same words. Nothing here calls the API.

mod filter;
mod sort;

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Semaphore;

pub(super) use filter::ClientFilter;
pub(super) use sort::{SortKey, SortOrder};

use crate::presence::{InstanceSnapshot, Snapshot, Status};
use crate::sweep::Sweeps;

/// How many clients a page has where nothing is said, and how many at most.
const USUAL_LIMIT: usize = 100;
const MOST: usize = 10_000;

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

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A parameter of a query string that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadParameter {
    /// There is none of this name.
    #[error("there is no parameter `{name}`; there are {known}")]
    Unknown { name: String, known: String },
    /// It does not have this value.
    #[error("`{name}={value}`: {wanted}")]
    Value {
        name: &'static str,
        value: String,
        wanted: String,
    },
}

impl BadParameter {
    /// `name` is none of the parameters, which are `known`.
    pub(super) fn unknown(name: &str, known: &[&str]) -> Self {
        let known: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
        Self::Unknown {
            name: name.to_owned(),
            known: known.join(", "),
        }
    }
}

/// As Prometheus answers a wrong query of its own API.
impl IntoResponse for BadParameter {
    fn into_response(self) -> Response {
        let error = serde_json::json!({ "status": "error", "errorType": "bad_data", "error": self.to_string() });
        (StatusCode::BAD_REQUEST, json(&error)).into_response()
    }
}

/// `value` as the body of an answer.
pub(super) fn json(value: &impl Serialize) -> Response {
    let text = serde_json::to_vec(value).expect("text and numbers");
    ([(CONTENT_TYPE, JSON)], Body::from(text)).into_response()
}

/// Looks at everything that is known: one look at a time, and away from the threads that answer
/// scrapes, since a look goes through the whole fleet.
#[derive(Clone, Debug)]
pub(super) struct SnapshotReader {
    sweeps: Arc<Sweeps>,
    turn: Arc<Semaphore>,
}

impl SnapshotReader {
    pub(super) fn new(sweeps: Arc<Sweeps>) -> Self {
        Self {
            sweeps,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// What `look` makes of what is known now. No sweep is started or waited for.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Snapshot) -> T + Send + 'static,
    ) -> T {
        let turn = Arc::clone(&self.turn)
            .acquire_owned()
            .await
            .expect("never closed");
        let sweeps = Arc::clone(&self.sweeps);
        let looked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            look(&sweeps.snapshot())
        });
        looked.await.expect("it neither panics nor is it aborted")
    }
}

/// What is asked for: clients, their order, a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientQuery {
    pub(super) filter: ClientFilter,
    pub(super) sort: SortOrder,
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Default for ClientQuery {
    fn default() -> Self {
        Self {
            filter: ClientFilter::default(),
            sort: SortOrder::default(),
            offset: 0,
            limit: USUAL_LIMIT,
        }
    }
}

impl ClientQuery {
    /// Reads a query string. Empty values, which forms send, say nothing.
    pub(super) fn parse(query: &str) -> Result<Self, BadParameter> {
        let mut selection = Self::default();
        for (name, value) in
            form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty())
        {
            match &*name {
                "sort" => selection.sort = SortOrder::parse(&value)?,
                "offset" => selection.offset = number("offset", &value, 0, usize::MAX)?,
                "limit" => selection.limit = number("limit", &value, 1, MOST)?,
                _ if selection.filter.take(&name, &value)? => {}
                _ => return Err(BadParameter::unknown(&name, &PARAMETERS)),
            }
        }
        Ok(selection)
    }

    /// The query string by which it is asked for.
    pub(super) fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .extend_pairs(self.filter.pairs())
            .extend_pairs(self.pairs());
        if self.offset > 0 {
            query.append_pair("offset", &self.offset.to_string());
        }
        query.finish()
    }

    /// What it says about order and length, as parameters; what is usual is not said.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        let sort = (self.sort != SortOrder::default()).then(|| ("sort", self.sort.to_string()));
        let limit = (self.limit != USUAL_LIMIT).then(|| ("limit", self.limit.to_string()));
        sort.into_iter().chain(limit)
    }

    /// The page of `frozen` that is asked for.
    pub(super) fn page<'a>(&self, frozen: &'a Snapshot) -> Page<'a> {
        let (mut counts, mut places) = ([0; Status::ALL.len()], Vec::new());
        for place in self.filter.clients(frozen) {
            counts[place.status() as usize] += 1;
            if self.filter.has_status(place.status()) {
                places.push(place);
            }
        }
        let total = places.len();
        let end = self.offset.saturating_add(self.limit).min(total);
        // Only as much is put into order as is shown.
        if end < total {
            places.select_nth_unstable_by(end, |a, b| self.sort.compare(a, b));
            places.truncate(end);
        }
        places.sort_unstable_by(|a, b| self.sort.compare(a, b));
        places.drain(..self.offset.min(places.len()));
        Page {
            counts,
            total,
            places,
        }
    }
}

/// A page of clients, and how many there are besides.
#[derive(Debug)]
pub(super) struct Page<'a> {
    /// How many clients have which status, in the order of [`Status::ALL`], whichever status is asked for.
    pub(super) counts: [usize; Status::ALL.len()],
    /// How many clients are asked for, on all pages together.
    pub(super) total: usize,
    /// Those of this page, in order.
    pub(super) places: Vec<ClientRef<'a>>,
}

/// One client at the moment at which everything was frozen.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientRef<'a> {
    pub(super) instance: &'a InstanceSnapshot,
    pub(super) client: usize,
}

impl<'a> ClientRef<'a> {
    pub(super) fn status(&self) -> Status {
        self.instance.status(self.client)
    }

    /// The group, as the exposition names it.
    pub(super) fn group(&self) -> &'a str {
        let fleet = self.instance.fleet();
        &fleet.groups()[fleet.group_of(self.client)].name
    }
}

fn number(
    name: &'static str,
    value: &str,
    least: usize,
    most: usize,
) -> Result<usize, BadParameter> {
    let number = value
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| BadParameter::Value {
        name,
        value: value.to_owned(),
        wanted: if most == usize::MAX {
            "a whole number".to_owned()
        } else {
            format!("a number from {least} to {most}")
        },
    })
}
