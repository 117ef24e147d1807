//! What the YAML of the toolkit's parser (1.1) has beyond ours (1.2).

use crate::config::{Node, NodeCursor, Report, ScalarKind, Value};

/// Puts the entries of `<<` in its place, where the map does not have them itself.
pub(super) fn merge(node: &mut Node) {
    match &mut node.value {
        Value::Null | Value::Scalar(..) => {}
        Value::List(list) => list.iter_mut().for_each(merge),
        Value::Map(map) => {
            let mut merged = Vec::new();
            for (mut key, mut value) in std::mem::take(map) {
                merge(&mut key);
                merge(&mut value);
                match value.value {
                    Value::Map(entries) if is_merge(&key) => merged.push(entries),
                    Value::List(list) if is_merge(&key) && list.iter().all(is_map) => {
                        merged.extend(list.into_iter().filter_map(entries));
                    }
                    other => map.push((
                        key,
                        Node {
                            value: other,
                            ..value
                        },
                    )),
                }
            }
            for (key, value) in merged.into_iter().flatten() {
                if !map.iter().any(|(own, _)| name(own) == name(&key)) {
                    map.push((key, value));
                }
            }
        }
    }
}

fn name(key: &Node) -> Option<&str> {
    match &key.value {
        Value::Scalar(_, name) => Some(name),
        _ => None,
    }
}

fn is_merge(key: &Node) -> bool {
    name(key) == Some("<<")
}

fn is_map(node: &Node) -> bool {
    matches!(node.value, Value::Map(_))
}

fn entries(node: Node) -> Option<Vec<(Node, Node)>> {
    match node.value {
        Value::Map(entries) => Some(entries),
        _ => None,
    }
}

/// Yes or no, in the words of YAML 1.1.
pub(super) fn switch(at: &NodeCursor<'_>, report: &mut Report) -> Option<bool> {
    if let Value::Scalar(ScalarKind::Text, text) = at.value() {
        match &**text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some(true),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some(false),
            _ => {}
        }
    }
    at.boolean(report)
}
