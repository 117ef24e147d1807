//! Secrets as a type: zeroed when dropped, never printed, exposed only by an explicit call.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use subtle::ConstantTimeEq;

/// Replaces every secret in log lines, errors and on the `/config` page.
pub const REDACTED: &str = "<secret>";

/// A warning if users who should not can read the secret in `file`: others, or the group of a file that
/// does not belong to root. Root gives a group read access on purpose, as Kubernetes and systemd do.
#[must_use]
pub fn exposure(file: &Path) -> Option<&'static str> {
    let metadata = std::fs::metadata(file).ok()?;
    let refused = if metadata.uid() == 0 { 0o004 } else { 0o044 };
    (metadata.mode() & refused != 0).then_some(
        "this file contains a secret that its group or other users can read; restrict it, for example with `chmod 600`",
    )
}

/// A text that must not be printed: an access key secret, a token, a password.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The secret `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself, to sign or compare.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Secret {
    /// Compares in a time that does not depend on where the texts differ.
    fn eq(&self, other: &Self) -> bool {
        self.expose()
            .as_bytes()
            .ct_eq(other.expose().as_bytes())
            .into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}
