//! How the values of a configuration are serialised.

use std::fmt::Display;
use std::path::PathBuf;

use serde::Serializer;

pub(super) use super::duration::serialize as duration;
use crate::presence::LabelName;

/// The text that [`Display`] shows.
pub(super) fn display<S: Serializer>(
    value: impl Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&value)
}

/// A path; serde itself refuses one that is not UTF-8.
pub(super) fn path<'a, S: Serializer>(
    path: impl Into<Option<&'a PathBuf>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match path.into() {
        Some(path) => serializer.collect_str(&path.display()),
        None => serializer.serialize_none(),
    }
}

/// Labels as a map.
pub(super) fn labels<S: Serializer>(
    labels: &[(LabelName, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter().map(|(name, value)| (name.as_str(), value)))
}
