//! YAML text to a tree, and back from a node of the tree to its place in the text.
//!
//! The only module that knows `serde_yaml`, which tells nothing of places but in an error, keeps
//! the last of duplicate keys, and turns `1e3` into a number. So a text is read twice: the first
//! reading numbers the nodes and finds the kind of each; the second knows the kinds and asks for
//! every scalar as a text, which gives it as it was written. The place of a node is where a
//! further reading fails that was told to fail there.

mod build;
mod scan;

use serde::de::DeserializeSeed;

use self::build::Build;
use self::scan::Scan;
use super::problem::Position;
use super::tree::Node;

/// A text that could be read.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    text: &'t str,
    /// The outermost node.
    pub(crate) root: Node,
}

/// Why a text could not be read.
#[derive(Debug)]
pub(crate) struct DocumentError {
    /// Where, if that is known.
    pub(crate) position: Option<Position>,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

impl<'t> Document<'t> {
    /// Reads `text`, which has to be one YAML document.
    pub(crate) fn read(text: &'t str) -> Result<Self, DocumentError> {
        let mut scan = Scan::new(text, None);
        let mut documents = serde_yaml::Deserializer::from_str(text);
        if let Some(first) = documents.next() {
            let read = scan.root().deserialize(first);
            read.map_err(|error| unreadable(text, scan.complaint, &error))?;
        }
        if let Some(second) = documents.next() {
            return Err(DocumentError {
                position: place_where_told_to_fail(text, second, 0),
                message: "a second YAML document begins here; keep one, without `---` between"
                    .into(),
            });
        }
        let mut left = scan.shapes.into_iter().enumerate();
        let root = Build(&mut left)
            .deserialize(serde_yaml::Deserializer::from_str(text))
            .map_err(|error| unreadable(text, None, &error))?;
        Ok(Self { text, root })
    }

    /// Where the node numbered `mark` begins.
    pub(crate) fn position(&self, mark: usize) -> Option<Position> {
        place_where_told_to_fail(
            self.text,
            serde_yaml::Deserializer::from_str(self.text),
            mark,
        )
    }
}

/// The text of a file: UTF-8, a byte order mark left out.
pub(crate) fn decode(bytes: &[u8]) -> Result<&str, DocumentError> {
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(DocumentError {
            position: None,
            message: "the text is UTF-16; save it as UTF-8".into(),
        });
    }
    match str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{FEFF}').unwrap_or(text)),
        Err(error) => Err(DocumentError {
            position: Some(Position::of_offset(bytes, error.valid_up_to())),
            message: "the text is not UTF-8 from here on; save it as UTF-8".into(),
        }),
    }
}

fn place_where_told_to_fail(
    text: &str,
    document: serde_yaml::Deserializer<'_>,
    mark: usize,
) -> Option<Position> {
    Scan::new(text, Some(mark))
        .root()
        .deserialize(document)
        .err()
        .and_then(|error| position(&error))
}

fn position(error: &serde_yaml::Error) -> Option<Position> {
    error.location().map(|location| Position {
        line: location.line(),
        column: location.column(),
    })
}

fn unreadable(text: &str, complaint: Option<&str>, error: &serde_yaml::Error) -> DocumentError {
    let position = position(error);
    let message = complaint.map_or_else(|| explain(text, error, position), str::to_owned);
    DocumentError { position, message }
}

/// The parser's own words without the position, which is shown before them, and what helps most often.
fn explain(text: &str, error: &serde_yaml::Error, position: Option<Position>) -> String {
    let mut words = error.to_string();
    let mut line = "";
    if let Some(Position { line: row, column }) = position {
        words = words.replacen(&format!(" at line {row} column {column}"), "", 1);
        line = text.lines().nth(row - 1).unwrap_or_default();
    }
    let indentation = &line[..line.len() - line.trim_start().len()];
    let hint = if indentation.contains('\t') {
        "indent with spaces, not with tabs"
    } else if words.contains("cannot start any token") {
        "quote a text that begins with a special character"
    } else if words.contains("anchor") {
        "`*name` needs a `&name` before it; quote a text that begins with `*`"
    } else {
        "check indentation and quotes, here and on the line before"
    };
    format!("not valid YAML: {words}; {hint}")
}
