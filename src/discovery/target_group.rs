//! Target groups as client files and client URLs list them, in JSON or YAML.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::{self, Display};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::config::{self, Document, Node, Position, Problem, Report, truncate, unknown_key};

/// The content of a client file, or of the response of a client URL.
pub(super) enum TargetDocument<'t> {
    Json { text: &'t str, root: &'t RawValue },
    Yaml(Document<'t>),
}

/// Clients with the same labels: the target group of `file_sd_configs` and `http_sd_configs`.
pub(super) struct TargetGroup<'t> {
    pub(super) mark: usize,
    pub(super) path: String,
    pub(super) targets: Vec<Value<'t>>,
    pub(super) labels: Vec<Entry<'t>>,
}

impl<'t> TargetDocument<'t> {
    /// Parses `text`, which is `yaml` or JSON.
    pub(super) fn read(text: &'t str, yaml: bool) -> Result<Self, Problem> {
        if yaml {
            return Document::read(text).map(Self::Yaml);
        }
        let root = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let message = error.to_string();
            let message = message.trim_end_matches(&format!(" at line {line} column {column}"));
            let position = Position { line, column };
            Problem::of_text(Some(position), format!("not valid JSON: {message}"))
        })?;
        Ok(Self::Json { text, root })
    }

    /// The position of a mark in the text.
    pub(super) fn position(&self, mark: usize) -> Option<Position> {
        match self {
            Self::Json { text, .. } => {
                let offset = mark - text.as_ptr().addr();
                Some(Position::of_offset(text.as_bytes(), offset))
            }
            Self::Yaml(document) => document.position(mark),
        }
    }

    /// The valid groups; the others are reported.
    pub(super) fn groups(&self, report: &mut Report) -> Vec<TargetGroup<'_>> {
        let root = match self {
            Self::Json { root, .. } => Value::Json(root),
            Self::Yaml(document) => Value::Yaml(&document.root),
        };
        let groups = root.list(report, "").into_iter().enumerate();
        groups
            .filter_map(|(n, group)| TargetGroup::read(group, format!("[{n}]"), report))
            .collect()
    }
}

impl<'t> TargetGroup<'t> {
    fn read(group: Value<'t>, path: String, report: &mut Report) -> Option<Self> {
        let (mut targets, mut labels) = (None, Vec::new());
        for entry in group.map(report, &path)? {
            match &*entry.key {
                "targets" | "labels" if entry.value.is_null() => {}
                "targets" => targets = Some(entry.value.list(report, &entry.path)),
                "labels" => labels = entry.value.map(report, &entry.path).unwrap_or_default(),
                key => report.problem(
                    entry.mark,
                    entry.path,
                    unknown_key(key, &["targets", "labels"]),
                ),
            }
        }
        let mark = group.mark();
        if targets.is_none() {
            report.problem(mark, &path, "`targets` is missing; list client IDs in it");
        }
        Some(Self {
            mark,
            path,
            targets: targets?,
            labels,
        })
    }
}

/// A value as it is in the text, in which it has a position: its address (JSON) or the number of
/// its node (YAML) is its mark. JSON is read level by level, so that a million values cost little.
#[derive(Clone, Copy)]
pub(super) enum Value<'t> {
    Json(&'t RawValue),
    Yaml(&'t Node),
}

/// A key of a map and its value.
pub(super) struct Entry<'t> {
    /// The mark of the key.
    pub(super) mark: usize,
    pub(super) path: String,
    pub(super) key: Cow<'t, str>,
    pub(super) value: Value<'t>,
}

impl<'t> Value<'t> {
    pub(super) fn mark(self) -> usize {
        match self {
            Self::Json(raw) => raw.get().as_ptr().addr(),
            Self::Yaml(node) => node.mark,
        }
    }

    /// The name of its type in messages.
    fn kind(self) -> &'static str {
        match self {
            Self::Json(raw) => match raw.get().as_bytes()[0] {
                b'n' => "null",
                b't' | b'f' => "true or false",
                b'"' => "a text",
                b'[' => "a list",
                b'{' => "a map",
                _ => "a number",
            },
            Self::Yaml(node) => node.value.name(),
        }
    }

    fn is_null(self) -> bool {
        matches!(self.kind(), "null" | "nothing")
    }

    fn expected(self, what: &str, report: &mut Report, path: impl Display) {
        let message = format!("expected {what}, found {}", self.kind());
        report.problem(self.mark(), path, message);
    }

    /// The items of a list.
    fn list(self, report: &mut Report, path: &str) -> Vec<Self> {
        match self {
            Self::Json(raw) if self.kind() == "a list" => {
                let items: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
                items.into_iter().map(Self::Json).collect()
            }
            Self::Yaml(Node {
                value: config::Value::List(items),
                ..
            }) => items.iter().map(Self::Yaml).collect(),
            _ => {
                self.expected("a list", report, path);
                Vec::new()
            }
        }
    }

    /// The entries of a map; of those with the same key, the first.
    fn map(self, report: &mut Report, path: &str) -> Option<Vec<Entry<'t>>> {
        let entries: Vec<(Self, Self)> = match self {
            Self::Json(raw) if self.kind() == "a map" => {
                let RawEntries(entries) = serde_json::from_str(raw.get()).unwrap_or_default();
                let value = |(key, value)| (Self::Json(key), Self::Json(value));
                entries.into_iter().map(value).collect()
            }
            Self::Yaml(Node {
                value: config::Value::Map(entries),
                ..
            }) => entries
                .iter()
                .map(|(key, value)| (Self::Yaml(key), Self::Yaml(value)))
                .collect(),
            _ => {
                self.expected("a map", report, path);
                return None;
            }
        };
        let mut seen = HashSet::new();
        let entry = |(name, value): (Self, Self)| {
            let key = name.text(report, path)?;
            let (mark, path) = (name.mark(), format!("{path}.{}", truncate(&key)));
            if seen.insert(key.clone()) {
                return Some(Entry {
                    mark,
                    path,
                    key,
                    value,
                });
            }
            report.problem(mark, path, "the key is given twice; remove one of the two");
            None
        };
        Some(entries.into_iter().filter_map(entry).collect())
    }

    /// A text, which may be empty. In YAML this is every scalar as it is written.
    pub(super) fn text(self, report: &mut Report, path: impl Display) -> Option<Cow<'t, str>> {
        let expected = match self {
            Self::Json(raw) if self.kind() == "a text" => {
                let text = raw.get();
                if !text.contains('\\') {
                    return Some(Cow::Borrowed(&text[1..text.len() - 1]));
                }
                let unescaped = serde_json::from_str(text).ok();
                if unescaped.is_none() {
                    let message = "has an escape (`\\u…`) that stands for no character";
                    report.problem(self.mark(), path, message);
                }
                return unescaped.map(Cow::Owned);
            }
            Self::Yaml(Node {
                value: config::Value::Scalar(_, text),
                ..
            }) => return Some(Cow::Borrowed(text)),
            Self::Json(_) => "a text in double quotes",
            Self::Yaml(_) => "a text",
        };
        self.expected(expected, report, path);
        None
    }
}

/// All entries of a map in their order, also those with the same key.
#[derive(Default)]
struct RawEntries<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'de> Deserialize<'de> for RawEntries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = RawEntries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = RawEntries::default();
                while let Some(entry) = map.next_entry()? {
                    entries.0.push(entry);
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
