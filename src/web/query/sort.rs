//! The order of clients.

use std::cmp::Ordering;

use clap::ValueEnum;

use super::client::ClientRef;
use super::parameter::{BadParameter, valid};
use crate::presence::Status;

/// An order of clients. Equal clients are ordered by ID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct SortOrder {
    pub(in crate::web) key: SortKey,
    pub(in crate::web) descending: bool,
}

/// What clients are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(in crate::web) enum SortKey {
    #[default]
    ClientId,
    InstanceId,
    GroupId,
    /// As in [`URGENT_FIRST`].
    Status,
    /// When the status became what it is. Unknown clients come last, also in descending order.
    StatusSince,
    /// When the client was last observed; unknown clients likewise.
    LastObservation,
}

impl SortKey {
    fn name(self) -> String {
        let value = self.to_possible_value().expect("no key is hidden");
        value.get_name().to_owned()
    }
}

/// Clients that need attention come first.
const URGENT_FIRST: [Status; 3] = [Status::Offline, Status::Unknown, Status::Online];

impl SortOrder {
    /// The value that [`SortOrder::parse`] reads.
    pub(super) fn value(self) -> String {
        let sign = if self.descending { "-" } else { "" };
        format!("{sign}{}", self.key.name())
    }

    /// The name of a key, with `-` before it for descending order.
    pub(super) fn parse(value: &str) -> Result<Self, BadParameter> {
        let name = value.strip_prefix('-').unwrap_or(value);
        let keys = SortKey::value_variants().iter();
        let names: Vec<_> = keys.map(|key| format!("`{}`", key.name())).collect();
        let expected = format!(
            "one of {}, optionally with a `-` before it",
            names.join(", ")
        );
        let key = SortKey::from_str(name, false).ok();
        Ok(Self {
            key: valid(key, "sort", value, &expected)?,
            descending: name != value,
        })
    }

    pub(super) fn compare(self, a: &ClientRef<'_>, b: &ClientRef<'_>) -> Ordering {
        let urgency = |client: &ClientRef<'_>| {
            let mut statuses = URGENT_FIRST.iter();
            statuses.position(|of| *of == client.status())
        };
        let by_client = || a.client_id().cmp(&b.client_id());
        let by_instance = || a.instance_id().cmp(b.instance_id());
        let order = match self.key {
            SortKey::ClientId => by_client(),
            SortKey::InstanceId => by_instance(),
            SortKey::GroupId => a.group_id().cmp(b.group_id()),
            SortKey::Status => urgency(a).cmp(&urgency(b)),
            SortKey::StatusSince => a.since().cmp(&b.since()),
            SortKey::LastObservation => a.observed().cmp(&b.observed()),
        };
        let directed = if self.descending {
            order.reverse()
        } else {
            order
        };
        let by_time = matches!(self.key, SortKey::StatusSince | SortKey::LastObservation);
        let is_last = |client: &ClientRef<'_>| by_time && client.status() == Status::Unknown;
        let order = is_last(a).cmp(&is_last(b)).then(directed);
        order.then_with(by_client).then_with(by_instance)
    }
}
