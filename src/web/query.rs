//! The parameters that choose clients: a filter, an order and a page.
//!
//! `/api/v1/clients`, the status page and `/sd` share them. Nothing here calls the API.

mod client;
mod filter;
mod parameter;
mod sort;

use std::sync::Arc;

use tokio::sync::Mutex;

pub(super) use client::ClientRef;
pub(super) use filter::ClientFilter;
pub(super) use parameter::{BadParameter, parameters};
pub(super) use sort::{SortKey, SortOrder};

use crate::presence::{Snapshot, Status};
use crate::sweep::Sweeps;
use parameter::valid;

/// The number of clients on a page: the default, and the maximum, which limits the memory of a response.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

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

/// Reads snapshots: one at a time, and on a blocking thread, since a read goes through the whole
/// fleet and scrapes must not wait for it.
#[derive(Debug)]
pub(super) struct SnapshotReader(Arc<Mutex<Arc<Sweeps>>>);

impl SnapshotReader {
    pub(super) fn new(sweeps: Arc<Sweeps>) -> Self {
        Self(Arc::new(Mutex::new(sweeps)))
    }

    /// The result of `read` on the current snapshot. Starts no sweep and waits for none.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot) -> T + Send + 'static,
    ) -> T {
        let sweeps = Arc::clone(&self.0).lock_owned().await;
        let result = tokio::task::spawn_blocking(move || read(&sweeps.snapshot()));
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
    pub(super) parameters: Vec<(String, String)>,
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

    /// The query string of the same clients with another order, if any, from `offset` on.
    pub(super) fn link(&self, sort: Option<SortOrder>, offset: usize) -> String {
        let kept = self.parameters.iter();
        let kept = kept.filter(|(name, _)| name != "offset" && (name != "sort" || sort.is_none()));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept);
        query.extend_pairs(sort.map(|sort| ("sort", sort.value())));
        query.extend_pairs((offset > 0).then(|| ("offset", offset.to_string())));
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
