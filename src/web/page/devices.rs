//! The table of devices, with what chooses, sorts and pages it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::format::{When, number};
use crate::presence::{Snapshot, Status};
use crate::web::query::{ClientFilter, ClientQuery, ClientRef, SortKey, SortOrder};

/// How many groups there are to choose from.
const CHOICES: usize = 1000;

/// The table.
pub(super) struct DeviceTable<'a> {
    pub(super) rows: Vec<DeviceRow<'a>>,
    pub(super) columns: Vec<Column>,
    /// What is typed into the form.
    pub(super) text: &'a str,
    pub(super) statuses: Vec<Choice<'a>>,
    pub(super) instances: Vec<Choice<'a>>,
    pub(super) groups: Vec<Choice<'a>>,
    /// What the form does not show, and sends along.
    pub(super) hidden: Vec<(&'static str, String)>,
    /// Which of how many are shown, in words.
    pub(super) range: String,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
    /// Whether anything is chosen, so that it can be dropped.
    pub(super) is_filtered: bool,
}

/// A device.
pub(super) struct DeviceRow<'a> {
    pub(super) client: Cow<'a, str>,
    pub(super) instance: &'a str,
    pub(super) group: &'a str,
    pub(super) labels: Vec<(&'a str, Cow<'a, str>)>,
    pub(super) status: &'static str,
    pub(super) since: Option<When>,
    pub(super) seen: Option<When>,
}

/// A column that the table can be sorted by.
pub(super) struct Column {
    pub(super) title: &'static str,
    /// The query of the page that is sorted by it, or by it the other way round.
    pub(super) link: String,
    /// As the attribute `aria-sort` wants it.
    pub(super) order: &'static str,
}

/// A value that can be chosen.
pub(super) struct Choice<'a> {
    pub(super) value: &'a str,
    pub(super) is_chosen: bool,
}

impl<'a> DeviceTable<'a> {
    pub(super) fn new(frozen: &'a Snapshot, selection: &'a ClientQuery) -> Self {
        let page = selection.page(frozen);
        let filter = &selection.filter;
        let chosen = |wanted: &'a [String]| {
            move |value: &'a str| Choice {
                value,
                is_chosen: wanted.iter().any(|one| one == value),
            }
        };
        let within = frozen.instances.iter().filter(|instance| {
            filter.instances.is_empty()
                || filter
                    .instances
                    .iter()
                    .any(|id| id == instance.id().as_str())
        });
        let groups: BTreeSet<&str> = within
            .flat_map(|i| i.fleet().groups())
            .map(|group| &*group.name)
            .collect();
        let at = |offset: usize| {
            ClientQuery {
                offset,
                ..selection.clone()
            }
            .query()
        };
        let end = selection.offset + page.places.len();
        Self {
            rows: page
                .places
                .iter()
                .map(|place| DeviceRow::new(place, frozen))
                .collect(),
            columns: COLUMNS
                .map(|(by, title)| Column::new(by, title, selection))
                .into(),
            text: filter.text.as_deref().unwrap_or_default(),
            statuses: Status::ALL
                .into_iter()
                .map(|status| Choice {
                    value: status.as_str(),
                    is_chosen: filter.statuses.contains(&status),
                })
                .collect(),
            instances: frozen
                .instances
                .iter()
                .map(|i| i.id().as_str())
                .map(chosen(&filter.instances))
                .collect(),
            groups: groups
                .into_iter()
                .filter(|name| !name.is_empty())
                .take(CHOICES)
                .map(chosen(&filter.groups))
                .collect(),
            hidden: filter.label_pairs().chain(selection.pairs()).collect(),
            range: match (page.total, page.places.len()) {
                (0, _) => "No devices".to_owned(),
                (total, 0) => format!("None of {}", number(total)),
                (total, _) => {
                    let [first, last, total] = [selection.offset + 1, end, total].map(number);
                    format!("{first}–{last} of {total}")
                }
            },
            previous: (selection.offset > 0)
                .then(|| at(selection.offset.saturating_sub(selection.limit))),
            next: (end < page.total).then(|| at(end)),
            is_filtered: *filter != ClientFilter::default(),
        }
    }
}

const COLUMNS: [(SortKey, &str); 6] = [
    (SortKey::Status, "Status"),
    (SortKey::Client, "Device"),
    (SortKey::Group, "Group"),
    (SortKey::Instance, "Instance"),
    (SortKey::Since, "Since"),
    (SortKey::Observation, "Last answer"),
];

impl Column {
    fn new(by: SortKey, title: &'static str, selection: &ClientQuery) -> Self {
        let is_sorted = selection.sort.by == by;
        let descending = is_sorted && !selection.sort.descending;
        let link = ClientQuery {
            sort: SortOrder { by, descending },
            offset: 0,
            ..selection.clone()
        }
        .query();
        let order = match (is_sorted, selection.sort.descending) {
            (false, _) => "none",
            (true, false) => "ascending",
            (true, true) => "descending",
        };
        Self { title, link, order }
    }
}

impl<'a> DeviceRow<'a> {
    fn new(place: &ClientRef<'a>, frozen: &Snapshot) -> Self {
        let (instance, client) = (place.instance, place.client);
        let known = instance.client(client);
        Self {
            client: instance.fleet().client(client),
            instance: instance.id().as_str(),
            group: place.group(),
            labels: instance.fleet().labels(client).collect(),
            status: place.status().as_str(),
            since: known.map(|(_, run)| When::new(run.since, frozen.at)),
            seen: known.map(|(seen, _)| When::new(seen.at, frozen.at)),
        }
    }
}
