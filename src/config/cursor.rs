//! A node of the tree together with its path: reads a value of the expected type, or reports the
//! value that is there instead.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::duration::{self, DurationError};
use super::problem::Problem;
use super::report::{Report, quote, suggest, truncate};
use super::tree::{Node, ScalarKind, Value};

/// A node, its path, and the report about it.
#[derive(Clone, Copy)]
pub(crate) struct NodeCursor<'a> {
    node: &'a Node<'a>,
    path: NodePath<'a>,
    pub(super) report: &'a Report,
}

#[derive(Clone, Copy)]
enum NodePath<'a> {
    Root,
    Key(&'a NodePath<'a>, &'a str),
    Item(&'a NodePath<'a>, usize),
}

/// A key of a map and its value.
pub(crate) struct MapEntry<'a> {
    pub(crate) name: &'a str,
    pub(crate) key: NodeCursor<'a>,
    pub(crate) value: NodeCursor<'a>,
}

impl<'a> NodeCursor<'a> {
    /// The root of a tree.
    pub(crate) fn root(node: &'a Node<'a>, report: &'a Report) -> Self {
        let path = NodePath::Root;
        Self { node, path, report }
    }

    /// The mark of the node.
    pub(crate) fn mark(&self) -> usize {
        self.node.mark
    }

    /// The value of the node.
    pub(crate) fn value(&self) -> &'a Value<'a> {
        &self.node.value
    }

    /// Whether the value is missing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    /// Reports a problem at this node, which makes the text invalid.
    pub(crate) fn problem(&self, message: impl Into<String>) {
        self.report.problem(self.mark(), self, message);
    }

    /// Reports a warning at this node; the text stays valid.
    pub(crate) fn warning(&self, message: impl Into<String>) {
        self.report.warn(self.finding(message));
    }

    /// A problem or warning at this node, not reported yet.
    pub(super) fn finding(&self, message: impl Into<String>) -> Problem {
        Problem::of_node(self.mark(), self, message)
    }

    /// The value of `result`; reports an error as a problem at this node.
    pub(crate) fn accept<T>(&self, result: Result<T, impl Into<String>>) -> Option<T> {
        result.map_err(|message| self.problem(message)).ok()
    }

    /// `None`, and a report that the node has another type than `expected`.
    fn wrong_type<T>(&self, expected: impl fmt::Display) -> Option<T> {
        let found = self.node.value.name();
        self.accept(Err(format!("expected {expected}, found {found}")))
    }

    fn child<'b>(&self, node: &'b Node<'b>, path: NodePath<'b>) -> NodeCursor<'b>
    where
        'a: 'b,
    {
        NodeCursor {
            node,
            path,
            ..*self
        }
    }

    /// All entries of a map; of duplicate keys only the first. `None`, and a report, if the node is
    /// not a map.
    pub(crate) fn entries(&self) -> Option<Vec<MapEntry<'_>>> {
        let Value::Map(map) = &self.node.value else {
            return self.wrong_type("a map (`key: value`)");
        };
        let mut seen = HashSet::new();
        let mut entries = Vec::with_capacity(map.len());
        for (key, value) in map {
            let Value::Scalar(_, name) = &key.value else {
                let found = key.value.name();
                self.child(key, self.path).problem(format!(
                    "a key must be a word, not {found}; check the indentation"
                ));
                continue;
            };
            let path = NodePath::Key(&self.path, name);
            let [key, value] = [key, value].map(|node| self.child(node, path));
            if seen.insert(name) {
                entries.push(MapEntry { name, key, value });
            } else {
                key.problem("duplicate key; remove one of the two");
            }
        }
        Some(entries)
    }

    /// The value of `key`, if the node is a map with this key and a value. Reports nothing.
    pub(crate) fn get<'b>(&'b self, key: &'b str) -> Option<NodeCursor<'b>> {
        let Value::Map(map) = &self.node.value else {
            return None;
        };
        map.iter()
            .find(|(name, _)| matches!(&name.value, Value::Scalar(_, name) if &**name == key))
            .map(|(_, node)| self.child(node, NodePath::Key(&self.path, key)))
            .filter(|value| !value.is_null())
    }

    /// The items of a list; `None`, and a report, if the node is not a list.
    pub(crate) fn items<'b>(
        &'b self,
    ) -> Option<impl ExactSizeIterator<Item = NodeCursor<'b>> + use<'a, 'b>> {
        let Value::List(list) = &self.node.value else {
            return self.wrong_type("a list (`- item` or `[item]`)");
        };
        let items = list.iter().enumerate();
        Some(items.map(|(n, node)| self.child(node, NodePath::Item(&self.path, n))))
    }

    /// A text as written, possibly empty.
    pub(crate) fn scalar(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar(_, text) => Some(text),
            _ => self.wrong_type("a text"),
        }
    }

    /// A text as written, not empty.
    pub(crate) fn text(&self) -> Option<&'a str> {
        let text = Some(self.scalar()?).filter(|text| !text.is_empty());
        self.accept(text.ok_or("is empty; write a value or remove the key"))
    }

    /// A text as written, not empty.
    pub(crate) fn string(&self) -> Option<String> {
        self.text().map(str::to_owned)
    }

    /// A text for which `problem` returns no message.
    pub(crate) fn checked(&self, problem: impl FnOnce(&str) -> Option<String>) -> Option<String> {
        let text = self.text()?;
        self.accept(problem(text).map_or_else(|| Ok(text.to_owned()), Err))
    }

    /// A text that is `valid`; a message about another quotes it before `error`.
    pub(crate) fn valid(
        &self,
        valid: impl FnOnce(&str) -> bool,
        error: impl fmt::Display,
    ) -> Option<String> {
        self.checked(|text| (!valid(text)).then(|| format!("{} {error}", quote(text))))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match &self.node.value {
            Value::Scalar(ScalarKind::Bool, text) => Some(text.eq_ignore_ascii_case("true")),
            _ => self.wrong_type("`true` or `false` without quotes"),
        }
    }

    /// A number from `least` to `most`.
    pub(crate) fn number<T>(&self, least: T, most: T) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display + Copy,
    {
        let is_whole = "0.5".parse::<T>().is_err();
        let kind = if is_whole { "whole number" } else { "number" };
        let expected = format!("a {kind} from {least} to {most}");
        let Value::Scalar(ScalarKind::Number, text) = &self.node.value else {
            return self.wrong_type(format_args!("{expected}, without quotes"));
        };
        let number = text.parse().ok();
        let number = number.filter(|number| (&least..=&most).contains(&number));
        self.accept(number.ok_or_else(|| format!("{text} is not {expected}")))
    }

    /// A duration from `least` to `most`, longer than zero.
    pub(crate) fn duration(&self, least: Duration, most: Duration) -> Option<Duration> {
        let Value::Scalar(_, text) = &self.node.value else {
            return self.wrong_type("a duration such as `30s`");
        };
        let found = quote(text);
        self.accept(match duration::parse(text) {
            Ok(Duration::ZERO) => Err("must be longer than 0s".to_owned()),
            Ok(duration) if duration > most => {
                let most = duration::display(most);
                Err(format!("{found} is too long; at most {most}"))
            }
            Ok(duration) if duration < least => {
                let least = duration::display(least);
                Err(format!("{found} is too short; at least {least}"))
            }
            Ok(duration) => Ok(duration),
            Err(DurationError::NoUnit) => {
                Err(format!("{found} has no unit; write `{text}s` for seconds"))
            }
            Err(error) => Err(format!("{found} is not a duration; {error}")),
        })
    }

    /// The value of one of the words of `choices`.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.scalar()?;
        let choice = choices.iter().find(|(word, _)| *word == text);
        self.accept(choice.map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            format!("{} is not valid; {}", quote(text), suggest(text, &words))
        }))
    }
}

impl fmt::Display for NodeCursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

impl fmt::Display for NodePath<'_> {
    /// Such as `instances[0].clients[3].id`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Item(parent, n) => write!(f, "{parent}[{n}]"),
            Self::Key(Self::Root, name) => f.write_str(&truncate(name)),
            Self::Key(parent, name) => write!(f, "{parent}.{}", truncate(name)),
        }
    }
}
