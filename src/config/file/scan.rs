//! The first reading: how many nodes there are and what each is; also every later one that is to
//! fail at a node.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::super::tree::ScalarKind;

/// How deep maps and lists may be nested; the schema needs six.
const DEPTH: usize = 32;

/// What a node is.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Null,
    Scalar(ScalarKind),
    List,
    Map,
}

/// What a reading has found so far.
pub(super) struct Scan {
    /// What each node is, in the order in which a reader meets keys and values.
    pub(super) shapes: Vec<Shape>,
    /// What was refused of a text that is valid YAML.
    pub(super) complaint: Option<&'static str>,
    stop: Option<usize>,
    /// How much more the tree may hold. A tree is hardly larger than its text, unless aliases
    /// multiply it.
    room: usize,
}

impl Scan {
    /// A reading of `text` that fails at the node numbered `stop`, if at any.
    pub(super) fn new(text: &str, stop: Option<usize>) -> Self {
        Self {
            shapes: Vec::new(),
            complaint: None,
            stop,
            room: 2 * text.len() + (64 << 10),
        }
    }

    /// What reads the outermost node.
    pub(super) fn root(&mut self) -> ScanNode<'_> {
        ScanNode {
            scan: self,
            depth: 0,
        }
    }

    fn refuse<E: de::Error>(&mut self, complaint: &'static str) -> E {
        self.complaint = Some(complaint);
        E::custom(complaint)
    }

    fn add<E: de::Error>(&mut self, shape: Shape, text: &str) -> Result<(), E> {
        if Some(self.shapes.len()) == self.stop {
            return Err(E::custom("here"));
        }
        let Some(room) = self.room.checked_sub(1 + text.len()) else {
            return Err(
                self.refuse("aliases (`*name`) make far more of this file than it is; write out what they stand for")
            );
        };
        self.room = room;
        self.shapes.push(shape);
        Ok(())
    }
}

/// One node and what is in it.
pub(super) struct ScanNode<'s> {
    scan: &'s mut Scan,
    depth: usize,
}

impl ScanNode<'_> {
    fn inner<E: de::Error>(&mut self) -> Result<ScanNode<'_>, E> {
        if self.depth == DEPTH {
            return Err(self
                .scan
                .refuse("lists and maps are nested too deeply here; nothing in the schema is"));
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

impl<'de> Visitor<'de> for ScanNode<'_> {
    type Value = ();

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

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.scan.add(Shape::Scalar(ScalarKind::Number), "")
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.scan.add(Shape::Scalar(ScalarKind::Number), "")
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<(), E> {
        self.scan.add(Shape::Scalar(ScalarKind::Number), "")
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<(), E> {
        self.scan.add(Shape::Scalar(ScalarKind::Number), "")
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.scan.add(Shape::Scalar(ScalarKind::Number), "")
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
        Err(self
            .scan
            .refuse("YAML tags (`!name`) mean nothing here; remove it, or quote the text"))
    }
}
