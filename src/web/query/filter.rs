//! Which clients are queried.

use super::client::ClientRef;
use super::parameter::{BadParameter, valid};
use crate::presence::{InstanceSnapshot, Snapshot, Status};

/// Conditions on clients. Of a parameter that is given several times, one value has to match;
/// of labels, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct ClientFilter {
    pub(in crate::web) statuses: Vec<Status>,
    pub(in crate::web) instances: Vec<String>,
    pub(in crate::web) groups: Vec<String>,
    /// Names and values.
    labels: Vec<(String, String)>,
    /// A part of the client ID or of the value of a label, in lower case.
    pub(in crate::web) text: Option<String>,
}

impl ClientFilter {
    /// Adds a parameter; `false` if it is not one of the filter's.
    pub(in crate::web) fn set(&mut self, name: &str, value: &str) -> Result<bool, BadParameter> {
        match name {
            "status" => {
                let mut statuses = Status::ALL.into_iter();
                let status = statuses.find(|status| status.as_str() == value);
                let expected = "`online`, `offline` or `unknown`";
                self.statuses
                    .push(valid(status, "status", value, expected)?);
            }
            "instance_id" => self.instances.push(value.to_owned()),
            "group_id" => self.groups.push(value.to_owned()),
            "label" => {
                let pair = value.split_once('=').filter(|(name, _)| !name.is_empty());
                let (name, value) = valid(pair, "label", value, "NAME=VALUE of a label")?;
                self.labels.push((name.to_owned(), value.to_owned()));
            }
            "text" => self.text = Some(value.to_lowercase()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn has_status(&self, status: Status) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }

    pub(in crate::web) fn has_instance(&self, instance: &InstanceSnapshot) -> bool {
        has(&self.instances, instance.id().as_str())
    }

    /// The clients that match all conditions but those on the status, instance by instance.
    pub(super) fn clients_of_any_status<'a>(
        &self,
        snapshot: &'a Snapshot,
    ) -> impl Iterator<Item = ClientRef<'a>> {
        let (offset, instances) = (snapshot.offset, snapshot.instances.iter());
        let matchers = instances.filter_map(|instance| Some((instance, self.matcher(instance)?)));
        matchers.flat_map(move |(instance, matches)| {
            let clients = (0..instance.fleet().len()).filter(move |&index| matches(index));
            clients.map(move |index| ClientRef {
                offset,
                instance,
                index,
            })
        })
    }

    /// Whether a client of `instance` matches all conditions but those on the status; `None` if
    /// no client does.
    pub(in crate::web) fn matcher(
        &self,
        instance: &InstanceSnapshot,
    ) -> Option<impl Fn(usize) -> bool> {
        let fleet = instance.fleet();
        let groups = fleet.groups().iter();
        let groups: Vec<_> = groups.map(|group| has(&self.groups, &group.name)).collect();
        self.has_instance(instance).then_some(move |client| {
            let has_label = |(name, value): &(String, String)| {
                fleet.labels(client).any(|(n, v)| n == name && v == *value)
            };
            let has_text = |text: &String| {
                let mut values = fleet.labels(client).map(|(_, value)| value);
                contains(&fleet.client(client), text) || values.any(|value| contains(&value, text))
            };
            groups[fleet.group_of(client)]
                && self.labels.iter().all(has_label)
                && self.text.as_ref().is_none_or(has_text)
        })
    }
}

/// Whether `name` is one of the names `given`, if there are any.
fn has(given: &[String], name: &str) -> bool {
    given.is_empty() || given.iter().any(|given| given == name)
}

/// Whether `text`, which is in lower case, is in `all`, in upper or lower case.
fn contains(all: &str, text: &str) -> bool {
    if all.is_ascii() {
        let mut windows = all.as_bytes().windows(text.len());
        return windows.any(|window| window.eq_ignore_ascii_case(text.as_bytes()));
    }
    all.to_lowercase().contains(text)
}
