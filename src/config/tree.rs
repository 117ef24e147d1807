//! A document as it was written: every key, in order, duplicates included, and the text of every
//! scalar.

use std::borrow::Cow;

/// One node of the tree.
#[derive(Debug)]
pub(crate) struct Node<'t> {
    /// Identifies the node; its reader finds the position of a mark.
    pub(crate) mark: usize,
    /// What it is.
    pub(crate) value: Value<'t>,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Value<'t> {
    /// Nothing: `null`, `~`, or no value at all.
    Null,
    /// A scalar, as written, without quotes.
    Scalar(ScalarKind, Cow<'t, str>),
    /// A list.
    List(Vec<Node<'t>>),
    /// Keys and values.
    Map(Vec<(Node<'t>, Node<'t>)>),
}

/// What YAML or JSON takes a scalar for.
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
    /// What a message calls it.
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
