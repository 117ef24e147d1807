//! In which order clients are shown.

use std::cmp::Ordering;
use std::fmt;

use super::{BadParameter, ClientRef};
use crate::clock::Timestamp;
use crate::presence::Status;

/// An order of clients; those that are equal in it stand in the order of their IDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct SortOrder {
    pub(in crate::web) by: SortKey,
    pub(in crate::web) descending: bool,
}

/// By what clients are put into order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::web) enum SortKey {
    #[default]
    Client,
    Instance,
    Group,
    /// Offline, unknown, online: what needs a look comes first.
    Status,
    /// Since when the status is what it is. Unknown clients come last, also in descending order.
    Since,
    /// When the client was last observed; so too.
    Observation,
}

impl SortKey {
    pub(in crate::web) const ALL: [Self; 6] = [
        Self::Client,
        Self::Instance,
        Self::Group,
        Self::Status,
        Self::Since,
        Self::Observation,
    ];

    /// The word for it in a query string.
    pub(in crate::web) const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client_id",
            Self::Instance => "instance_id",
            Self::Group => "group_id",
            Self::Status => "status",
            Self::Since => "status_since",
            Self::Observation => "last_observation",
        }
    }
}

/// As [`SortOrder::parse`] reads it.
impl fmt::Display for SortOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}",
            if self.descending { "-" } else { "" },
            self.by.as_str()
        )
    }
}

impl SortOrder {
    /// A word of [`SortKey`], descending behind a `-`.
    pub(super) fn parse(value: &str) -> Result<Self, BadParameter> {
        let (word, descending) = value
            .strip_prefix('-')
            .map_or((value, false), |word| (word, true));
        let by = SortKey::ALL.into_iter().find(|by| by.as_str() == word);
        let by = by.ok_or_else(|| BadParameter::Value {
            name: "sort",
            value: value.to_owned(),
            wanted: format!(
                "one of {}, perhaps behind a `-`",
                SortKey::ALL
                    .map(|by| format!("`{}`", by.as_str()))
                    .join(", ")
            ),
        })?;
        Ok(Self { by, descending })
    }

    pub(super) fn compare(self, a: &ClientRef<'_>, b: &ClientRef<'_>) -> Ordering {
        let turned = |order: Ordering| {
            if self.descending {
                order.reverse()
            } else {
                order
            }
        };
        let times = |a: Option<Timestamp>, b: Option<Timestamp>| {
            a.is_none()
                .cmp(&b.is_none())
                .then_with(|| turned(a.cmp(&b)))
        };
        let known = |place: &ClientRef<'_>| place.instance.client(place.client);
        let order = match self.by {
            SortKey::Client => turned(client(a, b)),
            SortKey::Instance => turned(instance(a, b)),
            SortKey::Group => turned(a.group().cmp(b.group())),
            SortKey::Status => turned(urgency(a.status()).cmp(&urgency(b.status()))),
            SortKey::Since => times(
                known(a).map(|(_, run)| run.since),
                known(b).map(|(_, run)| run.since),
            ),
            SortKey::Observation => times(
                known(a).map(|(seen, _)| seen.at),
                known(b).map(|(seen, _)| seen.at),
            ),
        };
        order
            .then_with(|| client(a, b))
            .then_with(|| instance(a, b))
    }
}

fn client(a: &ClientRef<'_>, b: &ClientRef<'_>) -> Ordering {
    a.instance
        .fleet()
        .client(a.client)
        .cmp(&b.instance.fleet().client(b.client))
}

fn instance(a: &ClientRef<'_>, b: &ClientRef<'_>) -> Ordering {
    a.instance.id().cmp(b.instance.id())
}

const fn urgency(status: Status) -> u8 {
    match status {
        Status::Offline => 0,
        Status::Unknown => 1,
        Status::Online => 2,
    }
}
