//! The clients of one instance: built once, never changed, swapped whole.
//!
//! All label text is escaped and rendered here, once, into one arena. A client is ten bytes
//! beside its text, and its ID is found in that text, so that a fleet of a million clients is
//! hardly larger than what Prometheus reads about it.

use std::borrow::Cow;
use std::fmt;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::label::{escape, escape_into, pairs, unescape};
use super::{ClientId, InstanceId, LabelName};

/// How many groups of one instance are told apart; clients of further ones count to the empty group.
pub const MAX_GROUPS: usize = 1000;

/// Why clients do not make a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// A client was added twice; it stays as it was.
    #[error("the client is already in the fleet")]
    Duplicate {
        /// Whether it had the same labels both times, in the same order.
        same_labels: bool,
    },
    /// The text of all labels is longer than 4 GiB, or that of one client longer than 64 KiB.
    #[error("the labels of the fleet are too long")]
    TooLong,
}

/// A group of clients of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientGroup {
    /// The value of `group_id`.
    pub name: Box<str>,
    /// `group_id="…",instance_id="…"`, escaped.
    pub label_text: Box<str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Where the client's text begins; it ends where the next one's begins.
    start: u32,
    /// How much of the text is the escaped client ID.
    id: u16,
    /// How much of the text is the three IDs, configured labels not counted.
    ids: u16,
    group: u16,
}

/// The clients of one instance.
pub struct Fleet {
    instance: InstanceId,
    text: Box<str>,
    entries: Box<[Entry]>,
    groups: Box<[ClientGroup]>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    folded_groups: usize,
}

impl Fleet {
    /// The instance whose clients these are.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        &self.instance
    }

    /// How many clients there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The groups; a client's [`Fleet::group_of`] is an index into them.
    #[must_use]
    pub fn groups(&self) -> &[ClientGroup] {
        &self.groups
    }

    /// How many groups were folded into the empty one, being more than [`MAX_GROUPS`].
    #[must_use]
    pub fn folded_groups(&self) -> usize {
        self.folded_groups
    }

    /// The ID of client `index`; borrowed unless the ID needs escaping as a label.
    #[must_use]
    pub fn client(&self, index: usize) -> Cow<'_, str> {
        unescape(self.escaped_id(index))
    }

    /// The group of client `index`.
    #[must_use]
    pub fn group_of(&self, index: usize) -> usize {
        usize::from(self.entries[index].group)
    }

    /// The labels of client `index` without its configured ones, ready for the exposition after
    /// `{client_id="`: `ID",group_id="…",instance_id="…"`.
    #[must_use]
    pub fn ids_text(&self, index: usize) -> &str {
        let Entry { start, ids, .. } = self.entries[index];
        &self.text[start as usize..start as usize + usize::from(ids)]
    }

    /// All labels of client `index`, ready for the exposition after `{client_id="`.
    #[must_use]
    pub fn label_text(&self, index: usize) -> &str {
        let start = self.entries[index].start as usize;
        let end = self
            .entries
            .get(index + 1)
            .map_or(self.text.len(), |next| next.start as usize);
        &self.text[start..end]
    }

    /// The names and values of the configured labels of client `index`.
    pub fn labels(&self, index: usize) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        pairs(&self.label_text(index)[usize::from(self.entries[index].ids)..])
    }

    /// Where `client` stands in the fleet, if it does.
    #[must_use]
    pub fn position(&self, client: &str) -> Option<usize> {
        let escaped = escape(client);
        let hash = self.hasher.hash_one(&*escaped);
        self.index
            .find(hash, |&at| self.escaped_id(at as usize) == escaped)
            .map(|&at| at as usize)
    }

    fn escaped_id(&self, index: usize) -> &str {
        let Entry { start, id, .. } = self.entries[index];
        &self.text[start as usize..start as usize + usize::from(id)]
    }
}

impl PartialEq for Fleet {
    /// Whether they are the same clients with the same labels, in the same order.
    fn eq(&self, other: &Self) -> bool {
        self.instance == other.instance && self.text == other.text && self.entries == other.entries
    }
}

impl Eq for Fleet {}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("instance", &self.instance)
            .field("clients", &self.len())
            .field("groups", &self.groups.len())
            .finish_non_exhaustive()
    }
}

/// Builds a [`Fleet`] client by client.
pub struct FleetBuilder {
    instance: InstanceId,
    instance_text: String,
    text: String,
    entries: Vec<Entry>,
    groups: Vec<ClientGroup>,
    group_index: std::collections::HashMap<Box<str>, u16>,
    folded: std::collections::HashSet<Box<str>>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl FleetBuilder {
    /// An empty fleet of `instance`.
    #[must_use]
    pub fn new(instance: InstanceId) -> Self {
        let mut instance_text = String::from("\",instance_id=\"");
        escape_into(&mut instance_text, instance.as_str());
        instance_text.push('"');
        Self {
            instance,
            instance_text,
            text: String::new(),
            entries: Vec::new(),
            groups: Vec::new(),
            group_index: std::collections::HashMap::new(),
            folded: std::collections::HashSet::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Adds `client` with its configured `labels`. Their names are told apart by the caller; an
    /// empty value is left out, since Prometheus takes it for an absent label.
    pub fn push<'a>(
        &mut self,
        client: &str,
        labels: impl IntoIterator<Item = (&'a LabelName, &'a str)>,
    ) -> Result<(), FleetError> {
        let escaped = escape(client);
        let hash = self.hasher.hash_one(&*escaped);
        let (entries, text) = (&self.entries, &self.text);
        let id_at = |at: u32| {
            let Entry { start, id, .. } = entries[at as usize];
            &text[start as usize..start as usize + usize::from(id)]
        };
        let present = self.index.find(hash, |&at| id_at(at) == escaped).copied();
        let group = self.group(ClientId::group_of(client));
        let start = self.text.len();
        self.text.push_str(&escaped);
        self.text.push_str("\",");
        self.text
            .push_str(&self.groups[usize::from(group)].label_text);
        let ids = self.text.len() - start;
        for (name, value) in labels {
            if !value.is_empty() {
                self.text.push(',');
                self.text.push_str(name.as_str());
                self.text.push_str("=\"");
                escape_into(&mut self.text, value);
                self.text.push('"');
            }
        }
        if let Some(at) = present {
            let at = at as usize;
            let end = self
                .entries
                .get(at + 1)
                .map_or(start, |next| next.start as usize);
            let same_labels = self.text[self.entries[at].start as usize..end] == self.text[start..];
            self.text.truncate(start);
            return Err(FleetError::Duplicate { same_labels });
        }
        let entry = u32::try_from(self.text.len()).ok().and_then(|_| {
            Some((
                u32::try_from(start).ok()?,
                u16::try_from(escaped.len()).ok()?,
                u16::try_from(ids).ok()?,
            ))
        });
        let Some((start, id, ids)) = entry else {
            self.text.truncate(start);
            return Err(FleetError::TooLong);
        };
        let at = u32::try_from(self.entries.len()).map_err(|_| FleetError::TooLong)?;
        self.entries.push(Entry {
            start,
            id,
            ids,
            group,
        });
        let (entries, text, hasher) = (&self.entries, &self.text, &self.hasher);
        self.index.insert_unique(hash, at, |&at| {
            let Entry { start, id, .. } = entries[at as usize];
            hasher.hash_one(&text[start as usize..start as usize + usize::from(id)])
        });
        Ok(())
    }

    /// The fleet of all clients that were added.
    #[must_use]
    pub fn build(self) -> Fleet {
        Fleet {
            instance: self.instance,
            text: self.text.into_boxed_str(),
            entries: self.entries.into_boxed_slice(),
            groups: self.groups.into_boxed_slice(),
            index: self.index,
            hasher: self.hasher,
            folded_groups: self.folded.len(),
        }
    }

    fn group(&mut self, name: &str) -> u16 {
        if let Some(&at) = self.group_index.get(name) {
            return at;
        }
        // One place stays for the empty group, into which the rest folds.
        let room = if self.group_index.contains_key("") {
            MAX_GROUPS
        } else {
            MAX_GROUPS - 1
        };
        if !name.is_empty() && self.groups.len() >= room {
            self.folded.insert(name.into());
            return self.group("");
        }
        let mut label_text = String::from("group_id=\"");
        escape_into(&mut label_text, name);
        label_text.push_str(&self.instance_text);
        let at = u16::try_from(self.groups.len()).expect("at most MAX_GROUPS");
        self.groups.push(ClientGroup {
            name: name.into(),
            label_text: label_text.into(),
        });
        self.group_index.insert(name.into(), at);
        at
    }
}

impl fmt::Debug for FleetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetBuilder")
            .field("instance", &self.instance)
            .field("clients", &self.entries.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> FleetBuilder {
        FleetBuilder::new(InstanceId::new("post-cn-1").expect("not empty"))
    }

    #[test]
    fn label_text_is_escaped_once_and_the_id_comes_back_from_it() {
        let mut fleet = builder();
        let site = LabelName::new("site").expect("a name");
        fleet
            .push("GID_a@@@p\"1\\", [(&site, "a\nb")])
            .expect("new");
        fleet.push("plain", [(&site, "")]).expect("new");
        let fleet = fleet.build();
        assert_eq!(
            fleet.label_text(0),
            r#"GID_a@@@p\"1\\",group_id="GID_a",instance_id="post-cn-1",site="a\nb""#
        );
        assert_eq!(
            fleet.ids_text(1),
            r#"plain",group_id="",instance_id="post-cn-1""#
        );
        assert_eq!(fleet.label_text(1), fleet.ids_text(1));
        assert_eq!(fleet.client(0), "GID_a@@@p\"1\\");
        assert_eq!(
            fleet.labels(0).collect::<Vec<_>>(),
            [("site", "a\nb".into())]
        );
        assert_eq!(fleet.labels(1).next(), None);
        assert_eq!(fleet.position("GID_a@@@p\"1\\"), Some(0));
        assert_eq!(fleet.position("plain"), Some(1));
        assert_eq!(fleet.position("other"), None);
    }

    #[test]
    fn a_client_is_in_a_fleet_once() {
        let (mut fleet, site) = (builder(), LabelName::new("site").expect("a name"));
        fleet.push("a", [(&site, "x")]).expect("new");
        fleet.push("b", []).expect("new");
        assert_eq!(
            fleet.push("a", [(&site, "x")]),
            Err(FleetError::Duplicate { same_labels: true })
        );
        assert_eq!(
            fleet.push("a", []),
            Err(FleetError::Duplicate { same_labels: false })
        );
        assert_eq!(
            fleet.push("b", []),
            Err(FleetError::Duplicate { same_labels: true })
        );
        let fleet = fleet.build();
        assert_eq!(fleet.len(), 2);
        assert!(fleet.label_text(0).ends_with(r#",site="x""#));
    }

    #[test]
    fn groups_past_the_limit_fold_into_the_empty_one() {
        let mut fleet = builder();
        for n in 0..MAX_GROUPS + 5 {
            fleet.push(&format!("GID_{n}@@@d"), []).expect("new");
        }
        let fleet = fleet.build();
        assert_eq!(fleet.groups().len(), MAX_GROUPS);
        assert_eq!(fleet.folded_groups(), 6);
        let last = fleet.group_of(fleet.len() - 1);
        assert_eq!(&*fleet.groups()[last].name, "");
        assert!(fleet.ids_text(fleet.len() - 1).contains(r#"group_id="""#));
    }
}
