//! The order of clients.

use std::cmp::Ordering;

use super::client::ClientRef;
use super::parameter::{BadParameter, valid};
use crate::clock::Timestamp;
use crate::presence::Status;

/// An order of clients. Equal clients are ordered by ID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct SortOrder {
    pub(in crate::web) key: SortKey,
    pub(in crate::web) descending: bool,
}

/// What clients are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::web) enum SortKey {
    #[default]
    Client,
    Instance,
    Group,
    /// As in [`URGENT_FIRST`].
    Status,
    /// When the status became what it is. Unknown clients come last, also in descending order.
    Since,
    /// When the client was last observed; unknown clients likewise.
    Observation,
}

const KEYS: [(SortKey, &str); 6] = [
    (SortKey::Client, "client_id"),
    (SortKey::Instance, "instance_id"),
    (SortKey::Group, "group_id"),
    (SortKey::Status, "status"),
    (SortKey::Since, "status_since"),
    (SortKey::Observation, "last_observation"),
];

/// Clients that need attention come first.
const URGENT_FIRST: [Status; 3] = [Status::Offline, Status::Unknown, Status::Online];

impl SortOrder {
    /// The value that [`SortOrder::parse`] reads.
    pub(super) fn value(self) -> String {
        let (_, name) = KEYS[self.key as usize];
        format!("{}{name}", if self.descending { "-" } else { "" })
    }

    /// The name of a key, with `-` before it for descending order.
    pub(super) fn parse(value: &str) -> Result<Self, BadParameter> {
        let name = value.strip_prefix('-').unwrap_or(value);
        let key = KEYS.iter().find(|(_, known)| *known == name);
        let names = KEYS.map(|(_, name)| format!("`{name}`")).join(", ");
        let expected = format!("one of {names}, optionally with a `-` before it");
        let (key, _) = valid(key, "sort", value, &expected)?;
        Ok(Self {
            key: *key,
            descending: name != value,
        })
    }

    pub(super) fn compare(self, a: &ClientRef<'_>, b: &ClientRef<'_>) -> Ordering {
        let directed = |order: Ordering| {
            if self.descending {
                order.reverse()
            } else {
                order
            }
        };
        let times = |a: Option<Timestamp>, b: Option<Timestamp>| {
            let unknown_last = a.is_none().cmp(&b.is_none());
            unknown_last.then_with(|| directed(a.cmp(&b)))
        };
        let urgency = |status| URGENT_FIRST.iter().position(|of| *of == status);
        let by_client = || a.client_id().cmp(&b.client_id());
        let by_instance = || a.instance_id().cmp(b.instance_id());
        let order = match self.key {
            SortKey::Client => directed(by_client()),
            SortKey::Instance => directed(by_instance()),
            SortKey::Group => directed(a.group_id().cmp(b.group_id())),
            SortKey::Status => directed(urgency(a.status()).cmp(&urgency(b.status()))),
            SortKey::Since => times(a.since(), b.since()),
            SortKey::Observation => times(a.observed(), b.observed()),
        };
        order.then_with(by_client).then_with(by_instance)
    }
}
