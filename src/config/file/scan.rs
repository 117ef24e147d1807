//! The first pass, which counts the nodes and determines the kind of each, and every later pass that
//! fails at a node.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::super::tree::ScalarKind;

/// Maximum depth of maps and lists; the schema needs six.
const DEPTH: usize = 32;

/// The kind of a node.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Null,
    Scalar(ScalarKind),
    List,
    Map,
}

/// The state of a pass.
pub(super) struct Scan {
    /// The kind of each node, keys and values in the order of the text.
    pub(super) shapes: Vec<Shape>,
    /// The reason why a valid YAML text was refused.
    pub(super) refusal: Option<&'static str>,
    stop: Option<usize>,
    /// How much more the tree may hold. A tree is hardly larger than its text, unless aliases
    /// multiply it.
    room: usize,
}

impl Scan {
    /// A pass over `text` that fails at the node numbered `stop`, if any.
    pub(super) fn new(text: &str, stop: Option<usize>) -> Self {
        Self {
            shapes: Vec::new(),
            refusal: None,
            stop,
            room: 2 * text.len() + (64 << 10),
        }
    }

    /// Reads the root node.
    pub(super) fn root(&mut self) -> ScanNode<'_> {
        ScanNode {
            scan: self,
            depth: 0,
        }
    }

    fn refuse<E: de::Error>(&mut self, refusal: &'static str) -> E {
        self.refusal = Some(refusal);
        E::custom(refusal)
    }

    fn add<E: de::Error>(&mut self, shape: Shape, text: &str) -> Result<(), E> {
        if Some(self.shapes.len()) == self.stop {
            return Err(E::custom("here"));
        }
        let Some(room) = self.room.checked_sub(1 + text.len()) else {
            return Err(self.refuse(
                "aliases (`*name`) expand this file to many times its size; write out their content",
            ));
        };
        self.room = room;
        self.shapes.push(shape);
        Ok(())
    }
}

/// A node and its content.
pub(super) struct ScanNode<'s> {
    scan: &'s mut Scan,
    depth: usize,
}

impl ScanNode<'_> {
    fn inner<E: de::Error>(&mut self) -> Result<ScanNode<'_>, E> {
        if self.depth == DEPTH {
            return Err(self
                .scan
                .refuse("lists and maps are nested more deeply than any key allows"));
        }
        Ok(ScanNode {
            scan: self.scan,
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for ScanNode<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Visits of numbers, which differ only in their type.
macro_rules! visit_numbers {
    ($($visit:ident: $number:ty),+) => {
        $(fn $visit<E: de::Error>(self, _: $number) -> Result<(), E> {
            self.scan.add(Shape::Scalar(ScalarKind::Number), "")
        })+
    };
}

impl<'de> Visitor<'de> for ScanNode<'_> {
    type Value = ();

    visit_numbers!(visit_u64: u64, visit_i64: i64, visit_u128: u128, visit_i128: i128, visit_f64: f64);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.scan.add(Shape::Null, "")
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.scan.add(Shape::Scalar(ScalarKind::Bool), "")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.scan.add(Shape::Scalar(ScalarKind::Text), text)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.scan.add(Shape::List, "")?;
        while items.next_element_seed(self.inner()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        self.scan.add(Shape::Map, "")?;
        while entries.next_key_seed(self.inner()?)?.is_some() {
            entries.next_value_seed(self.inner()?)?;
        }
        Ok(())
    }

    fn visit_enum<A: de::EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.scan.refuse(
            "YAML tags (`!name`) are not supported; remove it, or put quotes around the text",
        ))
    }
}
