//! Detects changes of files by polling.
//!
//! A secret of Kubernetes is a link whose target changes; other secrets are files that are
//! replaced. The metadata of the resolved path shows both, on every file system.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

/// The interval of the polls.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// The version of a file: device, inode, size and time of modification.
type Stamp = (u64, u64, u64, i64, i64);

/// Files with their versions at the last poll.
#[derive(Debug)]
pub(super) struct Watch {
    files: Vec<PathBuf>,
    stamps: Vec<Option<Stamp>>,
}

impl Watch {
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        let stamps = vec![None; files.len()];
        Self { files, stamps }
    }

    /// Polls the files; returns whether one was changed, created or removed since the last poll.
    pub(super) async fn look(&mut self) -> bool {
        let mut changed = false;
        for (file, stamp) in self.files.iter().zip(&mut self.stamps) {
            let now = tokio::fs::metadata(file).await.ok().map(|found| {
                (
                    found.dev(),
                    found.ino(),
                    found.size(),
                    found.mtime(),
                    found.mtime_nsec(),
                )
            });
            changed |= *stamp != now;
            *stamp = now;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn creation_change_replacement_and_removal_are_detected() {
        let folder = tempfile::tempdir().expect("a directory");
        let [file, other] = ["secret", "other"].map(|name| folder.path().join(name));
        std::fs::write(&other, "other").expect("a file");
        let mut watch = Watch::new(vec![other.clone(), file.clone()]);
        watch.look().await;
        assert!(!watch.look().await);
        std::fs::write(&file, "one").expect("a file");
        assert!(watch.look().await, "created");
        assert!(!watch.look().await);
        std::fs::write(&file, "longer").expect("a file");
        assert!(watch.look().await, "changed");
        std::fs::write(&other, "longer").expect("a file");
        assert!(watch.look().await, "the other one changed");
        std::fs::rename(&other, &file).expect("a file");
        assert!(watch.look().await, "replaced");
        std::fs::remove_file(&file).expect("a file");
        assert!(watch.look().await, "removed");
        assert!(!watch.look().await);
    }
}
