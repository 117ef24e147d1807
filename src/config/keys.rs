//! The keys of a map, read by name.

use std::cell::RefCell;

use super::cursor::{MapEntry, NodeCursor};
use super::report::suggest;

/// The keys of a map. A key is known if it is read, with or without a value; when this is dropped,
/// the other keys of the map are reported. So all keys have to be read before any early return.
pub(crate) struct Keys<'a> {
    at: &'a NodeCursor<'a>,
    entries: Vec<MapEntry<'a>>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Keys<'a> {
    /// The keys of the map `at`. `None`, and a report, if the node is not a map.
    pub(crate) fn of(at: &'a NodeCursor<'a>) -> Option<Self> {
        Some(Self {
            at,
            entries: at.entries()?,
            known: RefCell::default(),
        })
    }

    /// The value of `key`; a key without a value counts as missing.
    pub(crate) fn get(&self, key: &'static str) -> Option<NodeCursor<'a>> {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
        let entry = self.entries.iter().find(|entry| entry.name == key)?;
        Some(entry.value).filter(|value| !value.is_null())
    }

    /// The value of `key`, as read by `read`.
    pub(crate) fn read<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&NodeCursor<'a>) -> Option<T>,
    ) -> Option<T> {
        self.get(key).and_then(|at| read(&at))
    }

    /// The value of `key`, as read by `read`; reports a missing key with the `remedy`.
    pub(crate) fn required<T>(
        &self,
        key: &'static str,
        remedy: &str,
        read: impl FnOnce(&NodeCursor<'a>) -> Option<T>,
    ) -> Option<T> {
        let Some(at) = self.get(key) else {
            let missing = format!("`{key}` is missing; {remedy}");
            return self.at.accept(Err(missing));
        };
        read(&at)
    }

    /// Does not report the other keys, since the known ones cannot be determined.
    pub(crate) fn ignore_others(mut self) {
        self.entries.clear();
    }
}

impl Drop for Keys<'_> {
    fn drop(&mut self) {
        let known = self.known.get_mut();
        for MapEntry { name, key, .. } in &self.entries {
            if !known.contains(name) {
                key.problem(unknown_key(name, known));
            }
        }
    }
}

/// The message about the key `name` where only the keys `known` are valid.
pub(crate) fn unknown_key(name: &str, known: &[&str]) -> String {
    if name == "<<" {
        return "merge keys (`<<`) are not supported; write the keys out".into();
    }
    format!("unknown key; {}", suggest(name, known))
}
