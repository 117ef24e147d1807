//! Problems of a file: the position, the problem and its remedy.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Maximum number of listed problems; further ones are only counted.
const LISTED: usize = 50;

/// A position in a text. Both numbers start at 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The position of the byte `offset` of `text`.
    pub(crate) fn of_offset(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let newline = before.iter().rposition(|&byte| byte == b'\n');
        let line_start = newline.map_or(0, |newline| newline + 1);
        let line = String::from_utf8_lossy(&before[line_start..]);
        Self {
            line: before.split(|&byte| byte == b'\n').count(),
            column: line.chars().count() + 1,
        }
    }
}

/// A problem of a configuration or a client file, or a warning about it.
///
/// Shown as `FILE:LINE:COLUMN: PATH: problem; remedy`, as far as each is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    pub(super) file: Option<Arc<Path>>,
    pub(super) position: Option<Position>,
    /// Identifies the node until its position is known.
    pub(super) mark: usize,
    path: String,
    pub(super) message: String,
}

impl Problem {
    /// A problem of a whole file.
    pub(crate) fn of_file(file: &Arc<Path>, message: impl Into<String>) -> Self {
        Self::of_key("", message).in_file(file)
    }

    /// The same problem, in `file`.
    pub(crate) fn in_file(mut self, file: &Arc<Path>) -> Self {
        self.file = Some(Arc::clone(file));
        self
    }

    /// A problem of a text that has no tree, at this position if known.
    pub(crate) fn of_text(position: Option<Position>, message: impl Into<String>) -> Self {
        Self::of_key("", message).at(position, "")
    }

    /// A problem of the node with the number `mark`.
    pub(super) fn of_node(
        mark: usize,
        path: impl fmt::Display,
        message: impl Into<String>,
    ) -> Self {
        Self {
            mark,
            ..Self::of_key(path.to_string(), message)
        }
    }

    /// A problem of the value at `path` of the configuration, found after the text was checked.
    pub(crate) fn of_key(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            ..Self::default()
        }
    }

    /// The same problem, at this position and path of the file.
    pub(crate) fn at(mut self, position: Option<Position>, path: impl Into<String>) -> Self {
        self.position = position;
        self.path = path.into();
        self
    }

    /// The position in the file, if known.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// The path of the value, such as `instances[0].clients[3].id`; empty for a whole file.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The problem and its remedy.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some(Position { line, column }) = self.position {
                write!(f, ":{line}:{column}")?;
            }
            f.write_str(": ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// All problems of a text, one line each; at most 50 are listed, the others are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    pub(super) list: Vec<Problem>,
    unlisted: usize,
}

impl Problems {
    /// Whether there is no problem.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The listed problems.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// Adds a problem.
    pub(crate) fn push(&mut self, problem: Problem) {
        if self.list.len() < LISTED {
            self.list.push(problem);
        } else {
            self.unlisted += 1;
        }
    }

    /// Adds the problems of `other`.
    pub(crate) fn append(&mut self, other: Self) {
        for problem in other.list {
            self.push(problem);
        }
        self.unlisted += other.unlisted;
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self {
            list: vec![problem],
            unlisted: 0,
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.list.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        if self.unlisted > 0 {
            write!(f, "\nand {} more", self.unlisted)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_counts_characters_not_bytes() {
        let text = "a: é\nb: 日本 x".as_bytes();
        let x = text.len() - 1;
        assert_eq!(
            Position::of_offset(text, x),
            Position { line: 2, column: 7 }
        );
        assert_eq!(
            Position::of_offset(text, 0),
            Position { line: 1, column: 1 }
        );
    }
}
