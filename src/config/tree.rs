//! A document as it was written: every key, in order, duplicates included, and the text of every
//! scalar.

use std::borrow::Cow;

/// One node of the tree.
#[derive(Debug)]
pub(crate) struct Node<'t> {
    /// Identifies the node in a report; its reader finds the position of a mark.
    pub(crate) mark: usize,
    /// Its value.
    pub(crate) value: Value<'t>,
}

/// The value of a node.
#[derive(Debug)]
pub(crate) enum Value<'t> {
    /// `null`, `~`, or no value at all.
    Null,
    /// A scalar, as written, without quotes.
    Scalar(ScalarKind, Cow<'t, str>),
    /// A list.
    List(Vec<Node<'t>>),
    /// Keys and values.
    Map(Vec<(Node<'t>, Node<'t>)>),
}

/// The type that YAML or JSON gives to a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarKind {
    /// `true` or `false`, without quotes.
    Bool,
    /// A number without quotes.
    Number,
    /// Everything else.
    Text,
}

impl Value<'_> {
    /// The name of the type in messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(ScalarKind::Bool, _) => "true or false",
            Self::Scalar(ScalarKind::Number, _) => "a number",
            Self::Scalar(ScalarKind::Text, _) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}
