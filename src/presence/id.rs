//! The IDs of instances and clients.

use std::fmt;
use std::sync::Arc;

/// The ID is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an ID must not be empty")]
pub struct EmptyId;

/// The ID of an MQTT instance; label `instance_id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// Any text except the empty one: the vendor's format is not checked.
    pub fn new(text: &str) -> Result<Self, EmptyId> {
        if text.is_empty() {
            Err(EmptyId)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// The ID as the API expects it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The ID of one MQTT client, which is one device; label `client_id`.
///
/// The usual form is `GROUP@@@DEVICE`. Other forms are in use, so only the empty ID is refused;
/// [`ClientId::irregularity`] describes an unusual one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Box<str>);

/// Separates the group from the device in a client ID.
const SEPARATOR: &str = "@@@";

impl ClientId {
    /// Any text except the empty one.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, EmptyId> {
        let text = text.into();
        if text.is_empty() {
            Err(EmptyId)
        } else {
            Ok(Self(text))
        }
    }

    /// The ID as the API expects it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The group of the client ID `text`: the part before `@@@`, empty when there is none.
    #[must_use]
    pub fn group_of(text: &str) -> &str {
        text.split_once(SEPARATOR).map_or("", |(group, _)| group)
    }

    /// How this ID differs from the vendor's rules for new IDs (page "Limits"). Such an ID deserves a
    /// warning but is never refused: the vendor's own examples break the rules.
    #[must_use]
    pub fn irregularity(&self) -> Option<&'static str> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let Some((group, device)) = self.0.split_once(SEPARATOR) else {
            return Some("has no `@@@` between group and device");
        };
        if self.0.chars().count() > 64 {
            Some("is longer than 64 characters")
        } else if !(group.starts_with("GID_") || group.starts_with("GID-")) {
            Some("has a group that does not begin with `GID_` or `GID-`")
        } else if !(7..=64).contains(&group.len()) {
            Some("has a group that is not 7 to 64 characters long")
        } else if device.is_empty() {
            Some("has an empty device part after `@@@`")
        } else if !(group.chars().all(allowed) && device.chars().all(allowed)) {
            Some("has characters other than letters, digits, `-` and `_`")
        } else {
            None
        }
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_the_part_before_the_first_separator() {
        assert_eq!(ClientId::group_of("GID_a@@@b@@@c"), "GID_a");
        assert_eq!(ClientId::group_of("GID_test@0001"), "");
        assert_eq!(ClientId::group_of("@@@pump"), "");
    }

    #[test]
    fn irregular_ids_are_described_and_regular_ids_are_not() {
        let why = |id: &str| ClientId::new(id).expect("not empty").irregularity();
        assert_eq!(why("GID_test@@@pump-1"), None);
        assert_eq!(why("GID-test@@@pump_1"), None);
        for id in [
            "GID_test@0001",
            "other@@@x",
            "GID_a@@@x",
            "GID_test@@@",
            "GID_test@@@pump 1",
        ] {
            assert!(why(id).is_some(), "{id}");
        }
        assert!(why(&format!("GID_test@@@{}", "x".repeat(60))).is_some());
    }
}
