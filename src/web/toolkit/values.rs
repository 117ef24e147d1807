//! Values as the toolkit reads them: YAML 1.1 where our parser reads YAML 1.2, and empty values.

use crate::config::{Node, NodeCursor, ScalarKind, Value};

/// Replaces each `<<` by the entries of its maps, except those that the map has itself.
pub(super) fn merge(node: &mut Node<'_>) {
    match &mut node.value {
        Value::Null | Value::Scalar(..) => {}
        Value::List(list) => list.iter_mut().for_each(merge),
        Value::Map(map) => {
            for (_, value) in map.iter_mut() {
                merge(value);
            }
            let merges = map.extract_if(.., |(key, value)| {
                name(key) == Some("<<") && is_mergeable(value)
            });
            for (_, maps) in merges.collect::<Vec<_>>() {
                for (key, value) in entries(maps) {
                    if !map.iter().any(|(own, _)| name(own) == name(&key)) {
                        map.push((key, value));
                    }
                }
            }
        }
    }
}

fn name<'n>(key: &'n Node<'_>) -> Option<&'n str> {
    match &key.value {
        Value::Scalar(_, name) => Some(name),
        _ => None,
    }
}

/// Whether `node` is a map or a list of maps.
fn is_mergeable(node: &Node<'_>) -> bool {
    let is_map = |node: &Node<'_>| matches!(node.value, Value::Map(_));
    is_map(node) || matches!(&node.value, Value::List(list) if list.iter().all(is_map))
}

/// The entries of a map, or of all maps of a list.
fn entries(node: Node<'_>) -> Vec<(Node<'_>, Node<'_>)> {
    match node.value {
        Value::Map(entries) => entries,
        Value::List(list) => list.into_iter().flat_map(entries).collect(),
        Value::Null | Value::Scalar(..) => Vec::new(),
    }
}

/// A boolean, in the words of YAML 1.1.
pub(super) fn boolean(at: &NodeCursor<'_>) -> Option<bool> {
    if let Value::Scalar(ScalarKind::Text, text) = at.value() {
        match &**text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some(true),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some(false),
            _ => {}
        }
    }
    at.boolean()
}

/// A text; a missing value is an empty text.
pub(super) fn text<'a>(at: &NodeCursor<'a>) -> Option<&'a str> {
    match at.value() {
        Value::Null => Some(""),
        _ => at.scalar(),
    }
}

/// All texts of a list.
pub(super) fn texts(at: &NodeCursor<'_>) -> Option<Vec<String>> {
    let texts = at.items()?.filter_map(|at| at.scalar().map(str::to_owned));
    Some(texts.collect())
}

/// Whether the value is missing or an empty text.
pub(super) fn is_blank(at: &NodeCursor<'_>) -> bool {
    match at.value() {
        Value::Null => true,
        Value::Scalar(_, text) => text.is_empty(),
        _ => false,
    }
}
