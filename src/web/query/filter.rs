//! Which clients are wanted.

use std::borrow::Cow;

use super::{BadParameter, ClientRef};
use crate::presence::{Fleet, InstanceSnapshot, Snapshot, Status};

/// What all wanted clients have in common. Where a parameter is given several times, one of its
/// values will do, but for labels, of which a client needs all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct ClientFilter {
    pub(in crate::web) statuses: Vec<Status>,
    pub(in crate::web) instances: Vec<String>,
    pub(in crate::web) groups: Vec<String>,
    /// Names and values.
    pub(in crate::web) labels: Vec<(String, String)>,
    /// What stands somewhere in the client ID or the value of a label; in lower case.
    pub(in crate::web) text: Option<String>,
}

impl ClientFilter {
    /// Takes a parameter of a query string, if it is one of the filter's.
    pub(in crate::web) fn take(&mut self, name: &str, value: &str) -> Result<bool, BadParameter> {
        match name {
            "status" => self.statuses.push(status(value)?),
            _ => return self.set_static(name, value),
        }
        Ok(true)
    }

    /// Takes a parameter, if it is about what a client is, not how it fares.
    pub(in crate::web) fn set_static(
        &mut self,
        name: &str,
        value: &str,
    ) -> Result<bool, BadParameter> {
        match name {
            "instance_id" => self.instances.push(value.to_owned()),
            "group_id" => self.groups.push(value.to_owned()),
            "label" => self.labels.push(label(value)?),
            "text" => self.text = Some(value.to_lowercase()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The parameters that make it.
    pub(in crate::web) fn pairs(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        let statuses = self
            .statuses
            .iter()
            .map(|status| ("status", status.as_str().into()));
        let instances = self.instances.iter().map(|id| ("instance_id", id.into()));
        let groups = self.groups.iter().map(|id| ("group_id", id.into()));
        let text = self.text.iter().map(|text| ("text", text.into()));
        statuses
            .chain(instances)
            .chain(groups)
            .chain(self.label_pairs().map(|(n, v)| (n, v.into())))
            .chain(text)
    }

    /// The parameters about labels.
    pub(in crate::web) fn label_pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.labels
            .iter()
            .map(|(name, value)| ("label", format!("{name}={value}")))
    }

    pub(in crate::web) fn has_status(&self, status: Status) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }

    /// The wanted clients, instance by instance, whatever their status.
    pub(in crate::web) fn clients<'a>(
        &self,
        frozen: &'a Snapshot,
    ) -> impl Iterator<Item = ClientRef<'a>> {
        frozen
            .instances
            .iter()
            .filter_map(|instance| Some((instance, self.matcher(instance)?)))
            .flat_map(|(instance, wanted)| {
                let clients = (0..instance.fleet().len()).filter(move |&client| wanted(client));
                clients.map(move |client| ClientRef { instance, client })
            })
    }

    /// Whether a client of `instance` is wanted, whatever its status; `None` if none of them is.
    pub(in crate::web) fn matcher(
        &self,
        instance: &InstanceSnapshot,
    ) -> Option<impl Fn(usize) -> bool> {
        let (fleet, id) = (instance.fleet(), instance.id().as_str());
        let named = |wanted: &[String], name: &str| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)
        };
        let groups: Vec<_> = fleet
            .groups()
            .iter()
            .map(|group| named(&self.groups, &group.name))
            .collect();
        named(&self.instances, id).then_some(move |client| {
            groups[fleet.group_of(client)]
                && self.labels_match(fleet, client)
                && self.text_matches(fleet, client)
        })
    }

    fn labels_match(&self, fleet: &Fleet, client: usize) -> bool {
        self.labels
            .iter()
            .all(|(name, value)| fleet.labels(client).any(|(n, v)| n == name && v == *value))
    }

    fn text_matches(&self, fleet: &Fleet, client: usize) -> bool {
        self.text.as_ref().is_none_or(|text| {
            contains(&fleet.client(client), text)
                || fleet
                    .labels(client)
                    .any(|(_, value)| contains(&value, text))
        })
    }
}

/// Whether `text` is in `all`, upper case or lower; `text` itself is in lower case.
fn contains(all: &str, text: &str) -> bool {
    if all.is_ascii() {
        let mut windows = all.as_bytes().windows(text.len());
        return windows.any(|window| window.eq_ignore_ascii_case(text.as_bytes()));
    }
    all.to_lowercase().contains(text)
}

fn status(value: &str) -> Result<Status, BadParameter> {
    let status = Status::ALL
        .into_iter()
        .find(|status| status.as_str() == value);
    status.ok_or_else(|| BadParameter::Value {
        name: "status",
        value: value.to_owned(),
        wanted: "`online`, `offline` or `unknown`".to_owned(),
    })
}

fn label(value: &str) -> Result<(String, String), BadParameter> {
    let pair = value.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| BadParameter::Value {
            name: "label",
            value: value.to_owned(),
            wanted: "the name of a label, `=` and its value".to_owned(),
        })
}
