//! The files that a configuration was made of, and whether they are still the same.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::config;

/// Files by the hashes of what was in them: contents are not kept, since keys are among them.
///
/// Contents are compared, not times: files that are swapped by a link (as Kubernetes does) or
/// written twice in a moment are seen, too, and there are few of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files(Vec<(PathBuf, [u8; 32])>);

impl Files {
    /// Reads a file, or says why not; either is remembered.
    pub(super) fn read(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        let content = config::read(path);
        let hash = match &content {
            Ok(bytes) => Sha256::digest(bytes),
            Err(message) => Sha256::digest(message),
        };
        self.0.push((path.to_owned(), hash.into()));
        content
    }

    /// The same files as they are now.
    pub(super) fn again(&self) -> Self {
        let mut now = Self::default();
        for (path, _) in &self.0 {
            // An error is remembered like a content.
            let _ = now.read(path);
        }
        now
    }
}
