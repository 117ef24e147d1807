//! The IDs of instances and clients.

use std::fmt;
use std::sync::Arc;

/// The ID of an instance is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an ID must not be empty")]
pub struct EmptyId;

/// The maximum length of a client ID in bytes.
///
/// Alibaba Cloud allows 64 characters for new IDs (page "Limits"). Longer ones may exist, but no
/// more than this: an ID that makes a URL longer than a gateway accepts is an error in a list.
const MAX_BYTES: usize = 256;

/// Why a text is not a client ID. The message follows the name of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdError {
    /// The text is empty.
    #[error("is empty; write a client ID or remove it")]
    Empty,
    /// The text has so many bytes.
    #[error("has {0} bytes, more than the {MAX_BYTES} that are allowed; correct or remove it")]
    TooLong(usize),
}

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
/// The usual form is `GROUP@@@DEVICE`. Other forms are in use, so only the length is limited.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Box<str>);

/// Separates the group from the device in a client ID.
const SEPARATOR: &str = "@@@";

impl ClientId {
    /// Any text of 1 to 256 bytes.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, ClientIdError> {
        let text = text.into();
        Self::validate(&text)?;
        Ok(Self(text))
    }

    /// Whether `text` can be a client ID.
    pub fn validate(text: &str) -> Result<(), ClientIdError> {
        match text.len() {
            0 => Err(ClientIdError::Empty),
            1..=MAX_BYTES => Ok(()),
            bytes => Err(ClientIdError::TooLong(bytes)),
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
}
