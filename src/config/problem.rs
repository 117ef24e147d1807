//! What is wrong with a file, where, and what to do about it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// How many problems of one kind are listed; the rest is counted.
pub(super) const LISTED: usize = 50;

/// A place in a text, both numbers from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The place of the byte `offset` of `text`.
    pub(crate) fn of_offset(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let line_start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |newline| newline + 1);
        Self {
            line: before.split(|&byte| byte == b'\n').count(),
            column: String::from_utf8_lossy(&before[line_start..])
                .chars()
                .count()
                + 1,
        }
    }
}

/// One thing that is wrong with a configuration or a client file, or only worth a warning.
///
/// Shown as `FILE:LINE:COLUMN: PATH: what is wrong; what to do`, as far as each is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) file: Option<Arc<Path>>,
    pub(super) position: Option<Position>,
    pub(super) path: String,
    pub(super) message: String,
}

impl Problem {
    /// A problem of a whole file.
    pub(crate) fn of_file(file: &Arc<Path>, message: impl Into<String>) -> Self {
        Self {
            file: Some(Arc::clone(file)),
            position: None,
            path: String::new(),
            message: message.into(),
        }
    }

    /// A problem of what stands at `path` of the configuration, found when its text was gone.
    pub(crate) fn of_key(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: None,
            position: None,
            path: path.into(),
            message: message.into(),
        }
    }

    /// The same problem, of what stands at `place` and `path` of the file.
    pub(crate) fn at(mut self, position: Option<Position>, path: impl Into<String>) -> Self {
        self.position = position;
        self.path = path.into();
        self
    }

    /// The same position, with another message.
    pub(crate) fn with_message(mut self, message: String) -> Self {
        self.message = message;
        self
    }

    /// Where in the file it is, if that is known.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// The path of the value it is about, such as `instances[0].clients[3].id`; empty for a whole file.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong and what to do.
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

/// Everything that is wrong, one line each: at most fifty, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    pub(super) list: Vec<Problem>,
    pub(super) unlisted: usize,
}

impl Problems {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems that are listed.
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

    /// Adds those of `other`.
    pub(crate) fn append(&mut self, other: Self) {
        other
            .list
            .into_iter()
            .for_each(|problem| self.push(problem));
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
    fn a_place_counts_characters_not_bytes() {
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
