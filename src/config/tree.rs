//! A YAML document as it was written: every key, in order, duplicates included, and the text of
//! every scalar.

/// One node of the tree.
#[derive(Debug)]
pub(crate) struct Node {
    /// The node's number, counted as a reader meets keys and values; the mark of what is wrong with it.
    pub(crate) mark: usize,
    /// What it is.
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Value {
    /// Nothing: `null`, `~`, or no value at all.
    Null,
    /// A scalar, as written, without quotes.
    Scalar(ScalarKind, Box<str>),
    /// A list.
    List(Vec<Node>),
    /// Keys and values.
    Map(Vec<(Node, Node)>),
}

/// What YAML takes a scalar for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarKind {
    /// `true` or `false`, without quotes.
    Bool,
    /// A number without quotes.
    Number,
    /// Everything else.
    Text,
}

impl Value {
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
