//! Noticing that files have changed, by looking at them now and then.
//!
//! Secrets of Kubernetes are links that are turned to another directory, and other secrets are
//! files that are replaced: looking at what a path leads to sees both, on every file system.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

/// How often files are looked at.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// What tells a file from what it was before: which one it is, its size, and when it was written.
type Stamp = (u64, u64, u64, i64, i64);

/// Files, as they were when they were last looked at.
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

    /// Looks at the files; whether one has changed, come or gone since the last look.
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
    async fn a_file_that_comes_changes_is_replaced_or_goes_is_noticed() {
        let folder = tempfile::tempdir().expect("a directory");
        let [file, other] = ["secret", "other"].map(|name| folder.path().join(name));
        std::fs::write(&other, "other").expect("a file");
        let mut watch = Watch::new(vec![other.clone(), file.clone()]);
        watch.look().await;
        assert!(!watch.look().await);
        std::fs::write(&file, "one").expect("a file");
        assert!(watch.look().await, "it came");
        assert!(!watch.look().await);
        std::fs::write(&file, "longer").expect("a file");
        assert!(watch.look().await, "it changed");
        std::fs::write(&other, "longer").expect("a file");
        assert!(watch.look().await, "the other one changed");
        std::fs::rename(&other, &file).expect("a file");
        assert!(watch.look().await, "it was replaced");
        std::fs::remove_file(&file).expect("a file");
        assert!(watch.look().await, "it went");
        assert!(!watch.look().await);
    }
}
