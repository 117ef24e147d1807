//! Client files in JSON, which may list a million clients: every value is kept as the slice of the
//! text that it is, which costs nothing and says where it stands.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::target_reader::{GroupLabels, TargetReader};
use crate::config::{DocumentError, Position, unknown_key};

/// Reads the groups of clients of `text`; marks are offsets in it.
pub(super) fn read(text: &str, reader: &mut TargetReader<'_, '_>) -> Result<(), DocumentError> {
    let root: &RawValue = serde_json::from_str(text).map_err(|error| {
        let place = Position {
            line: error.line(),
            column: error.column(),
        };
        let words = error.to_string();
        let words = words
            .strip_suffix(&format!(" at line {} column {}", place.line, place.column))
            .unwrap_or(&words);
        DocumentError {
            position: Some(place),
            message: format!("not valid JSON: {words}"),
        }
    })?;
    let mut reader = Reader { text, reader };
    for (n, group) in reader.items(root, "").into_iter().enumerate() {
        reader.group(group, &format!("[{n}]"));
    }
    Ok(())
}

struct Reader<'t, 'l, 'f, 'c> {
    text: &'t str,
    reader: &'l mut TargetReader<'f, 'c>,
}

impl<'t> Reader<'t, '_, '_, '_> {
    fn group(&mut self, group: &'t RawValue, path: &str) {
        let (mut targets, mut labels) = (None, GroupLabels::default());
        for (key, value) in self.entries(group, path) {
            match &*key {
                "targets" => targets = Some(value),
                "labels" => labels = self.labels(value, &format!("{path}.labels")),
                _ => self.problem(
                    value,
                    format_args!("{path}.{key}"),
                    unknown_key(&key, &["targets", "labels"]),
                ),
            }
        }
        self.reader.group(&labels, self.mark(group), path);
        let Some(targets) = targets else {
            if kind(group) == Kind::Map {
                self.problem(group, path, "`targets` is missing; list client IDs in it");
            }
            return;
        };
        let path = format!("{path}.targets");
        for (n, target) in self.items(targets, &path).into_iter().enumerate() {
            let path = format_args!("{path}[{n}]");
            if let Some(id) = self.string(target, path) {
                self.reader.client(&id, self.mark(target), path);
            }
        }
    }

    fn labels(&mut self, value: &'t RawValue, path: &str) -> GroupLabels {
        let mut labels = GroupLabels::default();
        for (name, value) in self.entries(value, path) {
            let path = format_args!("{path}.{name}");
            if let Some(text) = self.string(value, path) {
                self.reader
                    .label(&mut labels, &name, &text, self.mark(value), path);
            }
        }
        labels
    }

    fn mark(&self, value: &'t RawValue) -> usize {
        value.get().as_ptr().addr() - self.text.as_ptr().addr()
    }

    fn problem(
        &mut self,
        value: &'t RawValue,
        path: impl fmt::Display,
        message: impl Into<String>,
    ) {
        self.reader.report.problem(self.mark(value), path, message);
    }

    fn expected(&mut self, value: &'t RawValue, path: impl fmt::Display, what: &str) {
        self.problem(
            value,
            path,
            format!("expected {what}, found {}", kind(value).name()),
        );
    }

    fn items(&mut self, value: &'t RawValue, path: impl fmt::Display) -> Vec<&'t RawValue> {
        if kind(value) != Kind::List {
            self.expected(value, path, "a list");
            return Vec::new();
        }
        serde_json::from_str(value.get()).expect("it begins as a list and was found to be valid")
    }

    fn entries(&mut self, value: &'t RawValue, path: &str) -> Vec<(String, &'t RawValue)> {
        if kind(value) != Kind::Map {
            self.expected(value, path, "a map");
            return Vec::new();
        }
        let Ok(Entries(mut entries)) = serde_json::from_str(value.get()) else {
            self.problem(
                value,
                path,
                "has a key with an escape (`\\u…`) that stands for no character",
            );
            return Vec::new();
        };
        let mut seen = HashSet::new();
        entries.retain(|(key, value)| {
            let new = seen.insert(key.clone());
            if !new {
                self.problem(
                    value,
                    format_args!("{path}.{key}"),
                    "the key is given twice; remove one of the two",
                );
            }
            new
        });
        entries
    }

    fn string(&mut self, value: &'t RawValue, path: impl fmt::Display) -> Option<Cow<'t, str>> {
        let text = value.get();
        if kind(value) != Kind::Text {
            self.expected(value, path, "a text in double quotes");
            return None;
        }
        if !text.contains('\\') {
            return Some(Cow::Borrowed(&text[1..text.len() - 1]));
        }
        let unescaped = serde_json::from_str(text).ok();
        if unescaped.is_none() {
            self.problem(
                value,
                path,
                "has an escape (`\\u…`) that stands for no character",
            );
        }
        unescaped.map(Cow::Owned)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Bool,
    Number,
    Text,
    List,
    Map,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Map => "a map",
        }
    }
}

fn kind(value: &RawValue) -> Kind {
    match value.get().as_bytes()[0] {
        b'n' => Kind::Null,
        b't' | b'f' => Kind::Bool,
        b'"' => Kind::Text,
        b'[' => Kind::List,
        b'{' => Kind::Map,
        _ => Kind::Number,
    }
}

/// All keys of a map in order, duplicates included.
struct Entries<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Gather;
        impl<'de> Visitor<'de> for Gather {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Gather)
    }
}
