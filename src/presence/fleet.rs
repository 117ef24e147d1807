//! The clients of one instance: built once, immutable, swapped as a whole.
//!
//! All label text is escaped and rendered once, into one arena. A client takes ten bytes besides
//! its text, which contains its ID, so that a fleet of a million clients is hardly larger than the
//! text that Prometheus reads.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::label::{escape, escape_into, pairs, unescape};
use super::{ClientId, InstanceId, LabelName};

/// The maximum number of groups of one instance; clients of further groups count as of the empty group.
pub const MAX_GROUPS: usize = 1000;

/// Why a client cannot be added to a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// The client was added before; the first addition is kept.
    #[error("the client is already in the fleet")]
    Duplicate {
        /// Whether both additions have the same labels, in the same order.
        same_labels: bool,
    },
    /// The label text of the fleet is longer than 4 GiB, or that of the client longer than 64 KiB.
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

/// Where the text of one client is in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// The first byte; the text ends where that of the next client starts.
    start: u32,
    /// The length of the escaped client ID.
    id: u16,
    /// The length of the three IDs, without configured labels.
    ids: u16,
    group: u16,
}

impl Entry {
    /// `None` if a length does not fit.
    fn new(start: usize, end: usize, id: usize, ids: usize, group: u16) -> Option<Self> {
        u32::try_from(end).ok()?;
        Some(Self {
            start: u32::try_from(start).ok()?,
            id: u16::try_from(id).ok()?,
            ids: u16::try_from(ids).ok()?,
            group,
        })
    }

    fn escaped_id(self, text: &str) -> &str {
        &text[self.start as usize..self.start as usize + usize::from(self.id)]
    }
}

/// The clients of one instance.
#[derive(Debug)]
pub struct Fleet {
    instance: InstanceId,
    text: String,
    entries: Vec<Entry>,
    groups: Vec<ClientGroup>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    folded_groups: usize,
}

impl Fleet {
    /// The instance of the clients.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        &self.instance
    }

    /// The number of clients.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no clients.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The groups; [`Fleet::group_of`] returns an index into them.
    #[must_use]
    pub fn groups(&self) -> &[ClientGroup] {
        &self.groups
    }

    /// The number of groups past [`MAX_GROUPS`], which are folded into the empty group.
    #[must_use]
    pub fn folded_groups(&self) -> usize {
        self.folded_groups
    }

    /// The ID of client `index`; borrowed unless the ID needs escaping as a label value.
    #[must_use]
    pub fn client(&self, index: usize) -> Cow<'_, str> {
        unescape(self.escaped_id(index))
    }

    /// The group of client `index`.
    #[must_use]
    pub fn group_of(&self, index: usize) -> usize {
        usize::from(self.entries[index].group)
    }

    /// The labels of client `index` without its configured labels, ready for the exposition after
    /// `{client_id="`: `ID",group_id="…",instance_id="…"`.
    #[must_use]
    pub fn ids_text(&self, index: usize) -> &str {
        &self.label_text(index)[..usize::from(self.entries[index].ids)]
    }

    /// All labels of client `index`, ready for the exposition after `{client_id="`.
    #[must_use]
    pub fn label_text(&self, index: usize) -> &str {
        let end = self.entries.get(index + 1).map(|next| next.start as usize);
        &self.text[self.entries[index].start as usize..end.unwrap_or(self.text.len())]
    }

    /// The names and values of the configured labels of client `index`.
    pub fn labels(&self, index: usize) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        pairs(&self.label_text(index)[usize::from(self.entries[index].ids)..])
    }

    /// The index of `client`, if the fleet contains it.
    #[must_use]
    pub fn position(&self, client: &str) -> Option<usize> {
        let escaped = escape(client);
        let found = self.index.find(self.hasher.hash_one(&*escaped), |&at| {
            self.escaped_id(at as usize) == escaped
        });
        found.map(|&at| at as usize)
    }

    fn escaped_id(&self, index: usize) -> &str {
        self.entries[index].escaped_id(&self.text)
    }
}

impl PartialEq for Fleet {
    /// Whether both contain the same clients with the same labels, in the same order.
    fn eq(&self, other: &Self) -> bool {
        self.instance == other.instance && self.text == other.text && self.entries == other.entries
    }
}

impl Eq for Fleet {}

/// Builds a [`Fleet`] client by client.
#[derive(Debug)]
pub struct FleetBuilder {
    fleet: Fleet,
    instance_text: String,
    group_index: HashMap<Box<str>, u16>,
    folded: HashSet<Box<str>>,
}

impl FleetBuilder {
    /// An empty fleet of `instance`.
    #[must_use]
    pub fn new(instance: InstanceId) -> Self {
        let instance_text = format!("\",instance_id=\"{}\"", escape(instance.as_str()));
        Self {
            fleet: Fleet {
                instance,
                text: String::new(),
                entries: Vec::new(),
                groups: Vec::new(),
                index: HashTable::new(),
                hasher: DefaultHashBuilder::default(),
                folded_groups: 0,
            },
            instance_text,
            group_index: HashMap::new(),
            folded: HashSet::new(),
        }
    }

    /// Adds `client` with its configured `labels`, whose names must be distinct. An empty value is
    /// left out: to Prometheus it is an absent label.
    pub fn push<'a>(
        &mut self,
        client: &str,
        labels: impl IntoIterator<Item = (&'a LabelName, &'a str)>,
    ) -> Result<(), FleetError> {
        let (group, escaped) = (self.group(ClientId::group_of(client)), escape(client));
        let group_text = &self.fleet.groups[usize::from(group)].label_text;
        let mut rendered = format!("{escaped}\",{group_text}");
        let ids = rendered.len();
        for (name, value) in labels {
            if !value.is_empty() {
                rendered.extend([",", name.as_str(), "=\""]);
                escape_into(&mut rendered, value);
                rendered.push('"');
            }
        }
        if let Some(at) = self.fleet.position(client) {
            let same_labels = self.fleet.label_text(at) == rendered;
            return Err(FleetError::Duplicate { same_labels });
        }
        let Fleet {
            text,
            entries,
            index,
            hasher,
            ..
        } = &mut self.fleet;
        let (start, end) = (text.len(), text.len() + rendered.len());
        let entry = Entry::new(start, end, escaped.len(), ids, group);
        let entry = entry.ok_or(FleetError::TooLong)?;
        let at = u32::try_from(entries.len()).map_err(|_| FleetError::TooLong)?;
        text.push_str(&rendered);
        entries.push(entry);
        index.insert_unique(hasher.hash_one(&*escaped), at, |&at| {
            hasher.hash_one(entries[at as usize].escaped_id(text))
        });
        Ok(())
    }

    /// The fleet of all clients that were added.
    #[must_use]
    pub fn build(self) -> Fleet {
        let mut fleet = self.fleet;
        fleet.text.shrink_to_fit();
        fleet.entries.shrink_to_fit();
        fleet.folded_groups = self.folded.len();
        fleet
    }

    fn group(&mut self, name: &str) -> u16 {
        if let Some(&at) = self.group_index.get(name) {
            return at;
        }
        // One index is kept free for the empty group, into which further groups are folded.
        let limit = MAX_GROUPS - usize::from(!self.group_index.contains_key(""));
        if !name.is_empty() && self.fleet.groups.len() >= limit {
            self.folded.insert(name.into());
            return self.group("");
        }
        let at = u16::try_from(self.fleet.groups.len()).expect("at most MAX_GROUPS");
        self.fleet.groups.push(ClientGroup {
            name: name.into(),
            label_text: format!("group_id=\"{}{}", escape(name), self.instance_text).into(),
        });
        self.group_index.insert(name.into(), at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> FleetBuilder {
        FleetBuilder::new(InstanceId::new("post-cn-1").expect("not empty"))
    }

    #[test]
    fn label_text_is_escaped_once_and_contains_the_id() {
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
    fn a_duplicate_client_is_refused() {
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
