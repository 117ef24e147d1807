//! Which clients are wanted.

use super::{BadParameter, Place};
use crate::presence::{Frozen, Status};

/// What all wanted clients have in common. Where a parameter is given several times, one of its
/// values will do, but for labels, of which a client needs all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct Filter {
    pub(in crate::web) statuses: Vec<Status>,
    pub(in crate::web) instances: Vec<String>,
    pub(in crate::web) groups: Vec<String>,
    /// Names and values.
    pub(in crate::web) labels: Vec<(String, String)>,
    /// What stands somewhere in the client ID or the value of a label; in lower case.
    pub(in crate::web) text: Option<String>,
}

impl Filter {
    /// Takes a parameter of a query string, if it is one of the filter's.
    pub(in crate::web) fn take(&mut self, name: &str, value: &str) -> Result<bool, BadParameter> {
        match name {
            "status" => self.statuses.push(status(value)?),
            _ => return self.take_lasting(name, value),
        }
        Ok(true)
    }

    /// Takes a parameter, if it is about what a client is, not how it fares.
    pub(in crate::web) fn take_lasting(&mut self, name: &str, value: &str) -> Result<bool, BadParameter> {
        match name {
            "instance_id" => self.instances.push(value.to_owned()),
            "group_id" => self.groups.push(value.to_owned()),
            "label" => self.labels.push(label(value)?),
            "text" => self.text = Some(value.to_lowercase()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(in crate::web) fn has_status(&self, status: Status) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }

    /// The wanted clients, instance by instance, whatever their status.
    pub(in crate::web) fn whatever_status<'a>(&self, frozen: &'a Frozen) -> impl Iterator<Item = Place<'a>> {
        let wanted = |id: &str| self.instances.is_empty() || self.instances.iter().any(|instance| instance == id);
        frozen.instances.iter().filter(move |instance| wanted(instance.id().as_str())).flat_map(|instance| {
            let fleet = instance.fleet();
            let named = |name: &str| self.groups.is_empty() || self.groups.iter().any(|group| group == name);
            let groups: Vec<_> = fleet.groups().iter().map(|group| named(&group.name)).collect();
            (0..fleet.len())
                .filter(move |&client| groups[fleet.group_of(client)])
                .map(move |client| Place { instance, client })
                .filter(|place| self.labels_match(place) && self.text_matches(place))
        })
    }

    fn labels_match(&self, place: &Place<'_>) -> bool {
        let mut labels = self.labels.iter();
        labels.all(|(name, value)| place.instance.fleet().labels(place.client).any(|(n, v)| n == name && v == *value))
    }

    fn text_matches(&self, place: &Place<'_>) -> bool {
        let Some(text) = &self.text else { return true };
        let fleet = place.instance.fleet();
        contains(&fleet.client(place.client), text)
            || fleet.labels(place.client).any(|(_, value)| contains(&value, text))
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
    let status = Status::ALL.into_iter().find(|status| status.as_str() == value);
    status.ok_or_else(|| BadParameter::Value {
        name: "status",
        value: value.to_owned(),
        wanted: "`online`, `offline` or `unknown`".to_owned(),
    })
}

fn label(value: &str) -> Result<(String, String), BadParameter> {
    let pair = value.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| BadParameter::Value {
        name: "label",
        value: value.to_owned(),
        wanted: "the name of a label, `=` and its value".to_owned(),
    })
}
