//! The table of devices, and the form and links that filter, sort and page it.

use std::collections::BTreeSet;

use super::format::number;
use crate::presence::{Snapshot, Status};
use crate::web::query::{ClientFilter, ClientQuery, ClientRef, SortKey, SortOrder};

/// The maximum number of groups to choose from.
const MAX_CHOICES: usize = 1000;

/// The table.
pub(super) struct DeviceTable<'a> {
    pub(super) rows: Vec<ClientRef<'a>>,
    pub(super) columns: [Column; 6],
    /// The text in the form.
    pub(super) text: &'a str,
    pub(super) statuses: [Choice<'a>; 3],
    pub(super) instances: Vec<Choice<'a>>,
    pub(super) groups: Vec<Choice<'a>>,
    /// Parameters that the form does not show, and sends along.
    pub(super) hidden: Vec<&'a (String, String)>,
    /// Which devices of how many are shown.
    pub(super) range: String,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
    pub(super) is_filtered: bool,
}

/// A column that the table can be sorted by.
pub(super) struct Column {
    pub(super) title: &'static str,
    /// The query of the page sorted by it, or in reverse if it is already.
    pub(super) link: String,
    /// The value of the attribute `aria-sort`.
    pub(super) order: &'static str,
}

/// A value to choose, and whether it is chosen.
pub(super) type Choice<'a> = (&'a str, bool);

impl<'a> DeviceTable<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, query: &'a ClientQuery) -> Self {
        let page = query.page(snapshot);
        let filter = &query.filter;
        let instances = snapshot.instances.iter();
        let ids = instances.clone().map(|instance| instance.id().as_str());
        let shown = instances.filter(|instance| filter.has_instance(instance));
        let groups = shown.flat_map(|instance| instance.fleet().groups());
        let groups: BTreeSet<&str> = groups.map(|group| &*group.name).collect();
        let groups = groups.into_iter().filter(|name| !name.is_empty());
        let hidden = query.parameters.iter();
        let hidden = hidden.filter(|(name, _)| ["label", "sort", "limit"].contains(&&**name));
        let end = query.offset + page.clients.len();
        Self {
            columns: [
                (SortKey::Status, "Status"),
                (SortKey::ClientId, "Device"),
                (SortKey::GroupId, "Group"),
                (SortKey::InstanceId, "Instance"),
                (SortKey::StatusSince, "Since"),
                (SortKey::LastObservation, "Last observation"),
            ]
            .map(|(key, title)| {
                let order = match query.sort.descending {
                    _ if query.sort.key != key => "none",
                    false => "ascending",
                    true => "descending",
                };
                let descending = order == "ascending";
                let link = query.link(Some(SortOrder { key, descending }), 0);
                Column { title, link, order }
            }),
            text: filter.text.as_deref().unwrap_or_default(),
            statuses: Status::ALL
                .map(|status| (status.as_str(), filter.statuses.contains(&status))),
            instances: choices(ids, &filter.instances),
            groups: choices(groups.take(MAX_CHOICES), &filter.groups),
            hidden: hidden.collect(),
            range: match (page.total, page.clients.len()) {
                (0, _) => "No devices".to_owned(),
                (total, 0) => format!("None of {}", number(total)),
                (total, _) => {
                    let [first, last, total] = [query.offset + 1, end, total].map(number);
                    format!("{first}–{last} of {total}")
                }
            },
            previous: (query.offset > 0)
                .then(|| query.link(None, query.offset.saturating_sub(query.limit()))),
            next: (end < page.total).then(|| query.link(None, end)),
            is_filtered: *filter != ClientFilter::default(),
            rows: page.clients,
        }
    }
}

fn choices<'a>(values: impl Iterator<Item = &'a str>, chosen: &[String]) -> Vec<Choice<'a>> {
    values
        .map(|value| (value, chosen.iter().any(|one| one == value)))
        .collect()
}
