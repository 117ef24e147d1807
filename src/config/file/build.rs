//! The second reading: a tree, guided by what the first one found.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::super::tree::{Node, Value};
use super::scan::Shape;

/// One node, which takes its number and shape from what the first reading left.
pub(super) struct Build<'s, I>(pub(super) &'s mut I);

impl<'de, I: Iterator<Item = (usize, Shape)>> DeserializeSeed<'de> for Build<'_, I> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        let (mark, shape) = self.0.next().expect("both readings meet the same nodes");
        let value = match shape {
            Shape::Null => deserializer
                .deserialize_ignored_any(de::IgnoredAny)
                .map(|_| Value::Null),
            Shape::Scalar(kind) => deserializer
                .deserialize_str(BuildText)
                .map(|text| Value::Scalar(kind, text)),
            Shape::List => deserializer.deserialize_seq(self),
            Shape::Map => deserializer.deserialize_map(self),
        };
        value.map(|value| Node { mark, value })
    }
}

impl<'de, I: Iterator<Item = (usize, Shape)>> Visitor<'de> for Build<'_, I> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the node that was there before")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Build(self.0))? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value<'de>, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key_seed(Build(self.0))? {
            map.push((key, entries.next_value_seed(Build(self.0))?));
        }
        Ok(Value::Map(map))
    }
}

struct BuildText;

impl<'de> Visitor<'de> for BuildText {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the scalar that was there before")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(text.into())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.to_owned().into())
    }
}
