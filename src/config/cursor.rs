//! A node of the tree together with the way that led there: reads a value of the wanted type, or
//! reports what is there instead.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use super::duration::{self, DurationError};
use super::report::{Report, quote, suggest, truncate, unknown_key};
use super::tree::{Node, ScalarKind, Value};

/// A node and its path.
#[derive(Clone, Copy)]
pub(crate) struct NodeCursor<'a> {
    node: &'a Node,
    parent: Option<&'a NodeCursor<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Item(usize),
}

/// One key of a map and what it holds.
pub(crate) struct MapEntry<'a> {
    pub(crate) name: &'a str,
    pub(crate) key: NodeCursor<'a>,
    pub(crate) value: NodeCursor<'a>,
}

impl<'a> NodeCursor<'a> {
    /// The outermost node of a tree.
    pub(crate) fn root(node: &'a Node) -> Self {
        Self {
            node,
            parent: None,
            step: Step::Root,
        }
    }

    /// What is there.
    pub(crate) fn value(&self) -> &'a Value {
        &self.node.value
    }

    /// What is here makes the configuration unusable.
    pub(crate) fn problem(&self, report: &mut Report, message: impl Into<String>) {
        report.problem(self.node.mark, self, message);
    }

    /// What is here is odd, but possible.
    pub(crate) fn warning(&self, report: &mut Report, message: impl Into<String>) {
        report.warning(self.node.mark, self, message);
    }

    /// Reports that something else was expected.
    fn expected(&self, report: &mut Report, what: &str) {
        self.problem(
            report,
            format!("expected {what}, found {}", self.node.value.name()),
        );
    }

    /// The keys of a map that are there; one without a value is as if it were not.
    ///
    /// Reports what is not a map and, of a map, keys that are not `known` and keys given twice.
    /// `None` when it is not a map.
    pub(crate) fn fields<'b, const N: usize>(
        &'b self,
        known: [&'static str; N],
        report: &mut Report,
    ) -> Option<[Option<NodeCursor<'b>>; N]> {
        let mut fields = [const { None }; N];
        for MapEntry { name, key, value } in self.entries(report)? {
            match known.iter().position(|&known| known == name) {
                None => key.problem(report, unknown_key(name, &known)),
                Some(_) if matches!(value.value(), Value::Null) => {}
                Some(n) => fields[n] = Some(value),
            }
        }
        Some(fields)
    }

    /// All keys of a map; of those that were given twice, the first. `None` when it is not a map.
    pub(crate) fn entries<'b>(&'b self, report: &mut Report) -> Option<Vec<MapEntry<'b>>> {
        let Value::Map(map) = &self.node.value else {
            self.expected(report, "a map (`key: value`)");
            return None;
        };
        let mut seen = HashSet::new();
        let mut entries = Vec::with_capacity(map.len());
        for (key, value) in map {
            let Value::Scalar(_, name) = &key.value else {
                let key = NodeCursor { node: key, ..*self };
                key.problem(
                    report,
                    format!(
                        "a key is a word, not {}; check the indentation",
                        key.node.value.name()
                    ),
                );
                continue;
            };
            let step = Step::Key(name);
            let [key, value] = [key, value].map(|node| NodeCursor {
                node,
                parent: Some(self),
                step,
            });
            if seen.insert(&**name) {
                entries.push(MapEntry { name, key, value });
            } else {
                key.problem(report, "the key is given twice; remove one of the two");
            }
        }
        Some(entries)
    }

    /// The field of this map that must be there, or a report that it is not.
    pub(crate) fn required<'b>(
        &self,
        field: Option<NodeCursor<'b>>,
        report: &mut Report,
        missing: &'static str,
    ) -> Option<NodeCursor<'b>> {
        if field.is_none() {
            self.problem(report, missing);
        }
        field
    }

    /// What `key` of a map holds, if this is a map with such a key and a value there. Reports nothing.
    pub(crate) fn get<'b>(&'b self, key: &'b str) -> Option<NodeCursor<'b>> {
        let Value::Map(map) = &self.node.value else {
            return None;
        };
        map.iter()
            .find(|(name, _)| matches!(&name.value, Value::Scalar(_, name) if &**name == key))
            .filter(|(_, value)| !matches!(value.value, Value::Null))
            .map(|(_, node)| NodeCursor {
                node,
                parent: Some(self),
                step: Step::Key(key),
            })
    }

    /// The items of a list; none, and a report, when it is not a list.
    pub(crate) fn items<'b>(
        &'b self,
        report: &mut Report,
    ) -> impl ExactSizeIterator<Item = NodeCursor<'b>> + use<'a, 'b> {
        let list = if let Value::List(list) = &self.node.value {
            list.as_slice()
        } else {
            self.expected(report, "a list (`- item`)");
            &[]
        };
        list.iter().enumerate().map(|(n, node)| NodeCursor {
            node,
            parent: Some(self),
            step: Step::Item(n),
        })
    }

    /// A text, which may be empty, as it was written.
    pub(crate) fn scalar(&self, report: &mut Report) -> Option<&'a str> {
        let Value::Scalar(_, text) = &self.node.value else {
            self.expected(report, "a text");
            return None;
        };
        Some(text)
    }

    /// A text that is not empty, as it was written.
    pub(crate) fn text(&self, report: &mut Report) -> Option<&'a str> {
        let text = self.scalar(report)?;
        if text.is_empty() {
            self.problem(report, "is empty; give it a value or remove it");
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, report: &mut Report) -> Option<bool> {
        if let Value::Scalar(ScalarKind::Bool, text) = &self.node.value {
            return Some(text.eq_ignore_ascii_case("true"));
        }
        self.expected(report, "`true` or `false` without quotes");
        None
    }

    /// A whole number from `least` to `most`.
    pub(crate) fn integer<T>(&self, report: &mut Report, least: T, most: T) -> Option<T>
    where
        T: std::str::FromStr + PartialOrd + fmt::Display + Copy,
    {
        let Value::Scalar(ScalarKind::Number, text) = &self.node.value else {
            self.expected(
                report,
                &format!("a whole number from {least} to {most}, without quotes"),
            );
            return None;
        };
        let number = text
            .parse()
            .ok()
            .filter(|number| (&least..=&most).contains(&number));
        if number.is_none() {
            self.problem(
                report,
                format!("{text} is not a whole number from {least} to {most}"),
            );
        }
        number
    }

    /// A number from 0.001 to 1.
    pub(crate) fn share(&self, report: &mut Report) -> Option<f64> {
        let Value::Scalar(ScalarKind::Number, text) = &self.node.value else {
            self.expected(report, "a number from 0.001 to 1, without quotes");
            return None;
        };
        let share = text
            .parse()
            .ok()
            .filter(|share| (0.001..=1.0).contains(share));
        if share.is_none() {
            self.problem(
                report,
                format!("{text} is not from 0.001 to 1; 0.5 is half"),
            );
        }
        share
    }

    /// A duration longer than nothing, at most `most`.
    pub(crate) fn duration(&self, report: &mut Report, most: Duration) -> Option<Duration> {
        let Value::Scalar(_, text) = &self.node.value else {
            self.expected(report, "a duration such as `30s`");
            return None;
        };
        let message = match duration::parse(text) {
            Ok(Duration::ZERO) => "must be longer than 0s".to_owned(),
            Ok(duration) if duration <= most => return Some(duration),
            Ok(_) => format!(
                "{} is too long; at most {}",
                quote(text),
                duration::display(most)
            ),
            Err(DurationError::NoUnit) => {
                format!("{} has no unit; write `{text}s` for seconds", quote(text))
            }
            Err(error) => format!("{} is not a duration; {error}", quote(text)),
        };
        self.problem(report, message);
        None
    }

    /// One of the words of `choices`.
    pub(crate) fn choice<T: Copy>(&self, report: &mut Report, choices: &[(&str, T)]) -> Option<T> {
        let text = self.scalar(report)?;
        let choice = choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|&(_, choice)| choice);
        if choice.is_none() {
            let words = choices.iter().map(|(word, _)| *word).collect::<Vec<_>>();
            self.problem(
                report,
                format!("{} is unknown; {}", quote(text), suggest(text, &words)),
            );
        }
        choice
    }
}

impl fmt::Display for NodeCursor<'_> {
    /// The path, such as `instances[0].clients[3].id`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Item(n) => write!(f, "[{n}]"),
            Step::Key(name) => {
                let dot = if self
                    .parent
                    .is_some_and(|parent| !matches!(parent.step, Step::Root))
                {
                    "."
                } else {
                    ""
                };
                write!(f, "{dot}{}", truncate(name))
            }
        }
    }
}
