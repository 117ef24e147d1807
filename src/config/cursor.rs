//! A node of the tree together with its path: reads a value of the expected type, or reports the
//! value that is there instead.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::duration::{self, DurationError};
use super::report::{Report, quote, suggest, truncate, unknown_key};
use super::tree::{Node, ScalarKind, Value};

/// A node and its path.
#[derive(Clone, Copy)]
pub(crate) struct NodeCursor<'a> {
    node: &'a Node<'a>,
    parent: Option<&'a NodeCursor<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Item(usize),
}

/// A key of a map and its value.
pub(crate) struct MapEntry<'a> {
    pub(crate) name: &'a str,
    pub(crate) key: NodeCursor<'a>,
    pub(crate) value: NodeCursor<'a>,
}

/// Declares a structure with a field for each key of a map, and `read`, which fills it from a node.
/// Keys after `+` are valid but read elsewhere; `field = "key"` names a key that is not a valid
/// name of a field.
macro_rules! keys {
    ($(#[$attribute:meta])* $name:ident [$($field:ident $(= $key:literal)?),+] $(+ [$($other:literal),+])?) => {
        $(#[$attribute])*
        struct $name<'a> {
            $($field: Option<$crate::config::NodeCursor<'a>>),+
        }

        impl<'a> $name<'a> {
            fn read(
                at: &'a $crate::config::NodeCursor<'_>,
                report: &mut $crate::config::Report,
            ) -> Option<Self> {
                let [$($field,)+ ..] = at.fields(
                    [$($crate::config::cursor::keys!(@name $field $($key)?),)+ $($($other),+)?],
                    report,
                )?;
                Some(Self { $($field),+ })
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $key:literal) => { $key };
}
pub(crate) use keys;

impl<'a> NodeCursor<'a> {
    /// The root of a tree.
    pub(crate) fn root(node: &'a Node<'a>) -> Self {
        Self {
            node,
            parent: None,
            step: Step::Root,
        }
    }

    /// The mark of the node.
    pub(crate) fn mark(&self) -> usize {
        self.node.mark
    }

    /// The value of the node.
    pub(crate) fn value(&self) -> &'a Value<'a> {
        &self.node.value
    }

    /// Reports a problem at this node, which makes the text invalid.
    pub(crate) fn problem(&self, report: &mut Report, message: impl Into<String>) {
        report.problem(self.mark(), self, message);
    }

    /// Reports a warning at this node; the text stays valid.
    pub(crate) fn warning(&self, report: &mut Report, message: impl Into<String>) {
        report.warning(self.mark(), self, message);
    }

    /// Reports that the node has another type than `expected`.
    fn wrong_type(&self, report: &mut Report, expected: impl fmt::Display) {
        let found = self.node.value.name();
        self.problem(report, format!("expected {expected}, found {found}"));
    }

    /// The values of the `known` keys of a map; a key without a value counts as missing.
    ///
    /// Reports unknown keys and duplicate keys. `None`, and a report, if the node is not a map.
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

    /// All entries of a map; of duplicate keys only the first. `None`, and a report, if the node is
    /// not a map.
    pub(crate) fn entries<'b>(&'b self, report: &mut Report) -> Option<Vec<MapEntry<'b>>> {
        let Value::Map(map) = &self.node.value else {
            self.wrong_type(report, "a map (`key: value`)");
            return None;
        };
        let mut seen = HashSet::new();
        let mut entries = Vec::with_capacity(map.len());
        for (key, value) in map {
            let Value::Scalar(_, name) = &key.value else {
                let found = key.value.name();
                let key = NodeCursor { node: key, ..*self };
                key.problem(
                    report,
                    format!("a key must be a word, not {found}; check the indentation"),
                );
                continue;
            };
            let step = Step::Key(name);
            let [key, value] = [key, value].map(|node| self.child(node, step));
            if seen.insert(name) {
                entries.push(MapEntry { name, key, value });
            } else {
                key.problem(report, "duplicate key; remove one of the two");
            }
        }
        Some(entries)
    }

    fn child<'b>(&'b self, node: &'b Node<'b>, step: Step<'b>) -> NodeCursor<'b> {
        NodeCursor {
            node,
            parent: Some(self),
            step,
        }
    }

    /// Returns `field` of this map, and reports the message `missing` if it is `None`.
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

    /// The value of `key`, if the node is a map with this key and a value. Reports nothing.
    pub(crate) fn get<'b>(&'b self, key: &'b str) -> Option<NodeCursor<'b>> {
        let Value::Map(map) = &self.node.value else {
            return None;
        };
        map.iter()
            .find(|(name, _)| matches!(&name.value, Value::Scalar(_, name) if &**name == key))
            .filter(|(_, value)| !matches!(value.value, Value::Null))
            .map(|(_, node)| self.child(node, Step::Key(key)))
    }

    /// The items of a list; none, and a report, if the node is not a list.
    pub(crate) fn items<'b>(
        &'b self,
        report: &mut Report,
    ) -> impl ExactSizeIterator<Item = NodeCursor<'b>> + use<'a, 'b> {
        let list = if let Value::List(list) = &self.node.value {
            list.as_slice()
        } else {
            self.wrong_type(report, "a list (`- item` or `[item]`)");
            &[]
        };
        list.iter()
            .enumerate()
            .map(|(n, node)| self.child(node, Step::Item(n)))
    }

    /// A text as written, possibly empty.
    pub(crate) fn scalar(&self, report: &mut Report) -> Option<&'a str> {
        let Value::Scalar(_, text) = &self.node.value else {
            self.wrong_type(report, "a text");
            return None;
        };
        Some(text)
    }

    /// A text as written, not empty.
    pub(crate) fn text(&self, report: &mut Report) -> Option<&'a str> {
        let text = self.scalar(report)?;
        if text.is_empty() {
            self.problem(report, "is empty; write a value or remove the key");
            return None;
        }
        Some(text)
    }

    /// A text as written, not empty.
    pub(crate) fn string(&self, report: &mut Report) -> Option<String> {
        self.text(report).map(str::to_owned)
    }

    /// A text for which `problem` returns no message.
    pub(crate) fn checked(
        &self,
        report: &mut Report,
        problem: impl FnOnce(&str) -> Option<String>,
    ) -> Option<String> {
        let text = self.text(report)?;
        if let Some(message) = problem(text) {
            self.problem(report, message);
            return None;
        }
        Some(text.to_owned())
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, report: &mut Report) -> Option<bool> {
        if let Value::Scalar(ScalarKind::Bool, text) = &self.node.value {
            return Some(text.eq_ignore_ascii_case("true"));
        }
        self.wrong_type(report, "`true` or `false` without quotes");
        None
    }

    /// An integer from `least` to `most`.
    pub(crate) fn integer<T>(&self, report: &mut Report, least: T, most: T) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display + Copy,
    {
        self.number_of_kind("whole number", report, least, most)
    }

    /// A number from `least` to `most`.
    pub(crate) fn number(&self, report: &mut Report, least: f64, most: f64) -> Option<f64> {
        self.number_of_kind("number", report, least, most)
    }

    fn number_of_kind<T>(&self, kind: &str, report: &mut Report, least: T, most: T) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display + Copy,
    {
        let expected = format!("a {kind} from {least} to {most}");
        let Value::Scalar(ScalarKind::Number, text) = &self.node.value else {
            self.wrong_type(report, format_args!("{expected}, without quotes"));
            return None;
        };
        let number = text.parse().ok();
        let number = number.filter(|number| (&least..=&most).contains(&number));
        if number.is_none() {
            self.problem(report, format!("{text} is not {expected}"));
        }
        number
    }

    /// A duration from `least` to `most`, longer than zero.
    pub(crate) fn duration(
        &self,
        report: &mut Report,
        least: Duration,
        most: Duration,
    ) -> Option<Duration> {
        let Value::Scalar(_, text) = &self.node.value else {
            self.wrong_type(report, "a duration such as `30s`");
            return None;
        };
        let found = quote(text);
        let message = match duration::parse(text) {
            Ok(Duration::ZERO) => "must be longer than 0s".to_owned(),
            Ok(duration) if duration > most => {
                format!("{found} is too long; at most {}", duration::display(most))
            }
            Ok(duration) if duration < least => {
                format!(
                    "{found} is too short; at least {}",
                    duration::display(least)
                )
            }
            Ok(duration) => return Some(duration),
            Err(DurationError::NoUnit) => {
                format!("{found} has no unit; write `{text}s` for seconds")
            }
            Err(error) => format!("{found} is not a duration; {error}"),
        };
        self.problem(report, message);
        None
    }

    /// The value of one of the words of `choices`.
    pub(crate) fn choice<T: Copy>(&self, report: &mut Report, choices: &[(&str, T)]) -> Option<T> {
        let text = self.scalar(report)?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*choice);
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        self.problem(
            report,
            format!("{} is not valid; {}", quote(text), suggest(text, &words)),
        );
        None
    }
}

impl fmt::Display for NodeCursor<'_> {
    /// The path, such as `instances[0].clients[3].id`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match (self.step, self.parent.map(|parent| parent.step)) {
            (Step::Root, _) => Ok(()),
            (Step::Item(n), _) => write!(f, "[{n}]"),
            (Step::Key(name), None | Some(Step::Root)) => f.write_str(&truncate(name)),
            (Step::Key(name), _) => write!(f, ".{}", truncate(name)),
        }
    }
}
