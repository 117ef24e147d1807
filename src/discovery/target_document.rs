//! The text of a client file or client URL, in YAML or JSON, to a tree.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::config::{Document, Node, NodeCursor, Position, Problem, ScalarKind, Value};

/// The depth of the values in `[{labels: {name: value}}]`. No key needs lists or maps below it.
const DEPTH: usize = 3;

/// The parsed content of a client file, or of the response of a client URL.
pub(super) enum TargetDocument<'t> {
    /// The mark of a node is the offset of its text.
    Json {
        text: &'t str,
        root: Node<'t>,
    },
    Yaml(Document<'t>),
}

impl<'t> TargetDocument<'t> {
    /// Parses `text`, which is `yaml` or JSON.
    pub(super) fn read(text: &'t str, yaml: bool) -> Result<Self, Problem> {
        if yaml {
            return Document::read(text).map(Self::Yaml);
        }
        let root: &RawValue = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let message = error.to_string();
            let message = message.trim_end_matches(&format!(" at line {line} column {column}"));
            let position = Position { line, column };
            Problem::of_text(Some(position), format!("not valid JSON: {message}"))
        })?;
        let root = json_node(text, root, 0)?;
        Ok(Self::Json { text, root })
    }

    pub(super) fn root(&self) -> &Node<'t> {
        match self {
            Self::Json { root, .. } => root,
            Self::Yaml(document) => &document.root,
        }
    }

    /// A problem of the node `at`, where the text is that of `file`.
    pub(super) fn problem(
        &self,
        file: &Arc<Path>,
        at: &NodeCursor<'_>,
        message: String,
    ) -> Problem {
        Problem::of_file(file, message).at(self.position(at.mark()), at.to_string())
    }

    /// The position of a mark in the text.
    pub(super) fn position(&self, mark: usize) -> Option<Position> {
        match self {
            Self::Json { text, .. } => Some(Position::of_offset(text.as_bytes(), mark)),
            Self::Yaml(document) => document.position(mark),
        }
    }
}

/// The node of a JSON value at this depth of `text`.
fn json_node<'t>(text: &str, raw: &'t RawValue, depth: usize) -> Result<Node<'t>, Problem> {
    let json = raw.get();
    let mark = json.as_ptr().addr() - text.as_ptr().addr();
    let child = |raw| json_node(text, raw, depth + 1);
    let value = match json.as_bytes()[0] {
        b'n' => Value::Null,
        b't' | b'f' => Value::Scalar(ScalarKind::Bool, json.into()),
        b'"' => {
            let JsonText(text) = serde_json::from_str(json).map_err(|_| {
                let position = Position::of_offset(text.as_bytes(), mark);
                let message = "not valid JSON: the text has an escape (`\\u…`) of no character";
                Problem::of_text(Some(position), message)
            })?;
            Value::Scalar(ScalarKind::Text, text)
        }
        b'[' => {
            let items: Vec<&RawValue> = inner(json, depth);
            Value::List(items.into_iter().map(child).collect::<Result<_, _>>()?)
        }
        b'{' => {
            let RawEntries(entries) = inner(json, depth);
            let entries = entries.into_iter();
            let entries = entries.map(|(key, value)| Ok((child(key)?, child(value)?)));
            Value::Map(entries.collect::<Result<_, _>>()?)
        }
        _ => Value::Scalar(ScalarKind::Number, json.into()),
    };
    Ok(Node { mark, value })
}

/// The content of a list or map; none below [`DEPTH`].
fn inner<'t, T: Deserialize<'t> + Default>(json: &'t str, depth: usize) -> T {
    let inner = (depth < DEPTH).then(|| serde_json::from_str(json).expect("it was parsed before"));
    inner.unwrap_or_default()
}

/// A text, which is borrowed if it has no escapes.
#[derive(Deserialize)]
struct JsonText<'t>(#[serde(borrow)] Cow<'t, str>);

/// All entries of a map in their order, also those with the same key.
#[derive(Default)]
struct RawEntries<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'de> Deserialize<'de> for RawEntries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self::default())
    }
}

impl<'de> Visitor<'de> for RawEntries<'de> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(entry) = map.next_entry()? {
            self.0.push(entry);
        }
        Ok(self)
    }
}
