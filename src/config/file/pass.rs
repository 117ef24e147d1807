//! One pass over a YAML document, which builds its tree or fails at a node.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::super::tree::{Node, ScalarKind, Value};

/// Maximum depth of maps and lists; the schema needs six.
const DEPTH: usize = 32;

/// The state of a pass.
pub(super) struct Pass {
    /// The numbers and booleans that this pass or the one before it met, by mark. Their text is only
    /// available to a pass that knows them before it reads them.
    pub(super) unquoted: HashMap<usize, ScalarKind>,
    /// The reason why a valid YAML text was refused.
    pub(super) refusal: Option<&'static str>,
    /// The number of nodes so far: the next mark.
    nodes: usize,
    stop: Option<usize>,
    /// How much more the tree may hold. A tree is hardly larger than its text, unless aliases
    /// multiply it.
    room: usize,
}

impl Pass {
    /// A pass over `text` that fails at the node with the mark `stop`, if any.
    pub(super) fn new(text: &str, stop: Option<usize>) -> Self {
        Self {
            unquoted: HashMap::new(),
            refusal: None,
            nodes: 0,
            stop,
            room: 2 * text.len() + (64 << 10),
        }
    }

    /// Reads the root node.
    pub(super) fn root(&mut self) -> NodeSeed<'_> {
        NodeSeed {
            pass: self,
            depth: 0,
        }
    }

    fn refuse<E: de::Error>(&mut self, refusal: &'static str) -> E {
        self.refusal = Some(refusal);
        E::custom(refusal)
    }

    /// Counts a node with this text, and returns its mark.
    fn mark<E: de::Error>(&mut self, text: &str) -> Result<usize, E> {
        let mark = self.nodes;
        if Some(mark) == self.stop {
            return Err(E::custom("here"));
        }
        let Some(room) = self.room.checked_sub(1 + text.len()) else {
            return Err(self.refuse(
                "aliases (`*name`) expand this file to many times its size; write out their content",
            ));
        };
        self.room = room;
        self.nodes += 1;
        Ok(mark)
    }

    /// A number or boolean whose text is not available.
    fn unquoted<'t, E: de::Error>(&mut self, kind: ScalarKind) -> Result<Node<'t>, E> {
        let mark = self.mark("")?;
        self.unquoted.insert(mark, kind);
        let value = Value::Scalar(kind, Cow::default());
        Ok(Node { mark, value })
    }

    /// A scalar with its text.
    fn text<'t, E: de::Error>(&mut self, text: Cow<'t, str>) -> Result<Node<'t>, E> {
        let mark = self.mark(&text)?;
        let kind = self.unquoted.get(&mark);
        let value = Value::Scalar(*kind.unwrap_or(&ScalarKind::Text), text);
        Ok(Node { mark, value })
    }
}

/// Reads a node and its content.
pub(super) struct NodeSeed<'p> {
    pass: &'p mut Pass,
    depth: usize,
}

impl NodeSeed<'_> {
    fn inner<E: de::Error>(&mut self) -> Result<NodeSeed<'_>, E> {
        if self.depth == DEPTH {
            return Err(self
                .pass
                .refuse("lists and maps are nested more deeply than any key allows"));
        }
        Ok(NodeSeed {
            pass: self.pass,
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        if self.pass.unquoted.contains_key(&self.pass.nodes) {
            deserializer.deserialize_str(self)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

/// Visits of numbers, which differ only in their type.
macro_rules! visit_numbers {
    ($($visit:ident: $number:ty),+) => {
        $(fn $visit<E: de::Error>(self, _: $number) -> Result<Node<'de>, E> {
            self.pass.unquoted(ScalarKind::Number)
        })+
    };
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node<'de>;

    visit_numbers!(visit_u64: u64, visit_i64: i64, visit_u128: u128, visit_i128: i128, visit_f64: f64);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node<'de>, E> {
        let (mark, value) = (self.pass.mark("")?, Value::Null);
        Ok(Node { mark, value })
    }

    fn visit_none<E: de::Error>(self) -> Result<Node<'de>, E> {
        self.visit_unit()
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Node<'de>, E> {
        self.pass.unquoted(ScalarKind::Bool)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node<'de>, E> {
        self.pass.text(text.to_owned().into())
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Node<'de>, E> {
        self.pass.text(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Node<'de>, A::Error> {
        let (mark, mut list) = (self.pass.mark("")?, Vec::new());
        while let Some(item) = items.next_element_seed(self.inner()?)? {
            list.push(item);
        }
        let value = Value::List(list);
        Ok(Node { mark, value })
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Node<'de>, A::Error> {
        let (mark, mut map) = (self.pass.mark("")?, Vec::new());
        while let Some(key) = entries.next_key_seed(self.inner()?)? {
            map.push((key, entries.next_value_seed(self.inner()?)?));
        }
        let value = Value::Map(map);
        Ok(Node { mark, value })
    }

    fn visit_enum<A: de::EnumAccess<'de>>(self, _: A) -> Result<Node<'de>, A::Error> {
        Err(self.pass.refuse(
            "YAML tags (`!name`) are not supported; remove it, or put quotes around the text",
        ))
    }
}
