//! YAML: text to tree, the position of a node in the text, and configuration to text.
//!
//! The only module that uses `serde_yaml`, which reports positions only in errors, keeps the last of
//! duplicate keys, and turns `1e3` into a number. Therefore a text is read twice: the first pass finds
//! the numbers and booleans, and the second reads them as they were written. The position of a node is
//! found by a further pass that fails at the node.

mod pass;

use serde::de::DeserializeSeed;
use serde_yaml::Value;

use self::pass::Pass;
use super::problem::{Position, Problem};
use super::tree::Node;
use super::values::{Config, Mode};

/// A parsed text.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    text: &'t str,
    /// The root node.
    pub(crate) root: Node<'t>,
}

impl<'t> Document<'t> {
    /// Parses `text`, which must be a single YAML document.
    pub(crate) fn read(text: &'t str) -> Result<Self, Problem> {
        let mut pass = Pass::new(text, None);
        let mut documents = serde_yaml::Deserializer::from_str(text);
        let first = documents.next().expect("an empty text has a document");
        let mut root = read_node(text, first, &mut pass)?;
        if let Some(second) = documents.next() {
            let message = "a second YAML document begins here; keep one, without `---` between";
            return Err(Problem::of_text(position_of(text, second, 0), message));
        }
        if !pass.unquoted.is_empty() {
            let mut again = Pass::new(text, None);
            again.unquoted = pass.unquoted;
            root = read_node(text, serde_yaml::Deserializer::from_str(text), &mut again)?;
        }
        Ok(Self { text, root })
    }

    /// The position of the node with this mark.
    pub(crate) fn position(&self, mark: usize) -> Option<Position> {
        let document = serde_yaml::Deserializer::from_str(self.text);
        position_of(self.text, document, mark)
    }
}

/// The text of a file: UTF-8, without a byte order mark.
pub(crate) fn decode(bytes: &[u8]) -> Result<&str, Problem> {
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(Problem::of_text(
            None,
            "the text is UTF-16; save it as UTF-8",
        ));
    }
    match str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{FEFF}').unwrap_or(text)),
        Err(error) => {
            let position = Position::of_offset(bytes, error.valid_up_to());
            let message = "the text is not valid UTF-8 from here; save it as UTF-8";
            Err(Problem::of_text(Some(position), message))
        }
    }
}

/// Formats `config` as YAML with all defaults filled in. Secrets read `<secret>`; without secrets, the
/// result is the same configuration.
#[expect(
    clippy::missing_panics_doc,
    reason = "every key is a string and every value has a YAML form"
)]
#[must_use]
pub fn render(config: &Config) -> String {
    let mut tree = serde_yaml::to_value(config).expect("a value has a YAML form");
    if config.collect.mode == Mode::Scrape {
        // Without effect in this mode, and a warning when read.
        tree["collect"]["interval"] = Value::Null;
    }
    remove_unset(&mut tree);
    serde_yaml::to_string(&tree).expect("a tree has a YAML form")
}

/// Removes the keys without a value or with an empty list or map: these are the optional keys that the
/// configuration does not contain.
fn remove_unset(tree: &mut Value) {
    match tree {
        Value::Sequence(list) => list.iter_mut().for_each(remove_unset),
        Value::Mapping(map) => map.retain(|_, value| {
            remove_unset(value);
            let is_empty = value.as_sequence().is_some_and(Vec::is_empty)
                || value
                    .as_mapping()
                    .is_some_and(serde_yaml::Mapping::is_empty);
            !is_empty && !value.is_null()
        }),
        _ => {}
    }
}

fn read_node<'t>(
    text: &str,
    document: serde_yaml::Deserializer<'t>,
    pass: &mut Pass,
) -> Result<Node<'t>, Problem> {
    pass.root().deserialize(document).map_err(|error| {
        let position = error_position(&error);
        let refusal = pass.refusal.map(str::to_owned);
        Problem::of_text(
            position,
            refusal.unwrap_or_else(|| explain(text, &error, position)),
        )
    })
}

fn position_of(
    text: &str,
    document: serde_yaml::Deserializer<'_>,
    mark: usize,
) -> Option<Position> {
    let read = Pass::new(text, Some(mark)).root().deserialize(document);
    error_position(&read.err()?)
}

fn error_position(error: &serde_yaml::Error) -> Option<Position> {
    error.location().map(|location| Position {
        line: location.line(),
        column: location.column(),
    })
}

/// The message of the parser without the position, and the most likely remedy.
fn explain(text: &str, error: &serde_yaml::Error, position: Option<Position>) -> String {
    let mut message = error.to_string();
    let mut line = "";
    if let Some(Position { line: row, column }) = position {
        message = message.replacen(&format!(" at line {row} column {column}"), "", 1);
        line = text.lines().nth(row - 1).unwrap_or_default();
    }
    let indentation = &line[..line.len() - line.trim_start().len()];
    let hint = if indentation.contains('\t') {
        "indent with spaces instead of tabs"
    } else if message.contains("cannot start any token") {
        "put quotes around a text that begins with a special character"
    } else if message.contains("anchor") {
        "`*name` requires a `&name` before it; put quotes around a text that begins with `*`"
    } else {
        "check indentation and quotes on this line and the one before"
    };
    format!("invalid YAML: {message}; {hint}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tree::{ScalarKind, Value};
    use super::*;

    proptest! {
        #[test]
        fn every_text_is_unchanged_when_written_and_read(text in any::<String>()) {
            let yaml = serde_yaml::to_string(&[&text]).expect("YAML");
            let document = Document::read(&yaml).expect("valid YAML");
            let Value::List(list) = &document.root.value else { panic!("a list") };
            let Value::Scalar(ScalarKind::Text, read) = &list[0].value else { panic!("a text") };
            prop_assert_eq!(&**read, &text);
        }
    }
}
