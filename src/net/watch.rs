//! Notices of changes in directories, where the operating system gives them.
//!
//! They only make things quicker. A file that a link leads to may change in another directory, and
//! a network file system tells nothing: who watches also has to look now and then.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

/// How long nothing may have changed before a change is told of: who replaces a directory full of
/// files, or writes a file by deleting it first, is done by then.
const SETTLE: Duration = Duration::from_millis(100);

/// How long a change is held back at most, however lively the directory is.
const PATIENCE: Duration = Duration::from_secs(1);

/// A watch on directories, but not on those inside of them.
#[derive(Debug)]
pub struct Watch {
    changes: Arc<Notify>,
    #[cfg(target_os = "linux")]
    watcher: Option<linux::Watcher>,
}

impl Watch {
    /// Watches nothing yet. Without the system's help, for whatever reason, it never will.
    #[must_use]
    pub fn new() -> Self {
        let changes = Arc::new(Notify::new());
        #[cfg(target_os = "linux")]
        let watcher = linux::Watcher::new(Arc::clone(&changes))
            .inspect_err(
                |error| tracing::warn!(%error, "files cannot be watched; changes are found by looking now and then"),
            )
            .ok();
        Self {
            changes,
            #[cfg(target_os = "linux")]
            watcher,
        }
    }

    /// Watches these directories and no others. To be called again when they may have been made
    /// anew: a watch is on the directory itself, not on its path.
    pub fn set(&mut self, directories: &BTreeSet<PathBuf>) {
        #[cfg(target_os = "linux")]
        if let Some(watcher) = &mut self.watcher {
            watcher.set(directories);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = directories;
    }

    /// Returns when something has changed since the last time. Nothing is lost when it is dropped.
    pub async fn changed(&self) {
        self.changes.notified().await;
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::{BTreeMap, BTreeSet};
    use std::io;
    use std::path::PathBuf;
    use std::sync::Arc;

    use futures_util::StreamExt as _;
    use inotify::{EventMask, EventStream, Inotify, WatchDescriptor, WatchMask, Watches};
    use tokio::sync::Notify;
    use tokio::time::{Instant, timeout, timeout_at};
    use tokio_util::task::AbortOnDropHandle;

    use super::{PATIENCE, SETTLE};

    /// What changes what is read, writes only once they are complete.
    const CHANGES: WatchMask = WatchMask::CREATE
        .union(WatchMask::DELETE)
        .union(WatchMask::MOVE)
        .union(WatchMask::CLOSE_WRITE)
        .union(WatchMask::ATTRIB)
        .union(WatchMask::DELETE_SELF)
        .union(WatchMask::MOVE_SELF)
        .union(WatchMask::ONLYDIR);

    #[derive(Debug)]
    pub(super) struct Watcher {
        watches: Watches,
        watched: BTreeMap<PathBuf, WatchDescriptor>,
        _reader: AbortOnDropHandle<()>,
    }

    impl Watcher {
        pub(super) fn new(changes: Arc<Notify>) -> io::Result<Self> {
            let inotify = Inotify::init()?;
            let watches = inotify.watches();
            // Room for at least one event with the longest name.
            let events = inotify.into_event_stream([0; 4096])?;
            let reader = AbortOnDropHandle::new(tokio::spawn(tell(events, changes)));
            Ok(Self {
                watches,
                watched: BTreeMap::new(),
                _reader: reader,
            })
        }

        pub(super) fn set(&mut self, directories: &BTreeSet<PathBuf>) {
            self.watched.retain(|directory, watch| {
                let wanted = directories.contains(directory);
                if !wanted {
                    // It fails where the directory is gone, and the watch with it.
                    let _ = self.watches.remove(watch.clone());
                }
                wanted
            });
            for directory in directories {
                // For a directory that is watched already this changes nothing.
                match self.watches.add(directory, CHANGES) {
                    Ok(watch) => {
                        self.watched.insert(directory.clone(), watch);
                    }
                    Err(error) => {
                        self.watched.remove(directory);
                        tracing::debug!(directory = %directory.display(), %error, "a directory cannot be watched");
                    }
                }
            }
        }
    }

    /// Waits for events, and for them to settle.
    async fn tell(mut events: EventStream<[u8; 4096]>, changes: Arc<Notify>) {
        while let Some(event) = events.next().await {
            match event {
                // A watch has ended, because nobody wants it any more or after an event that says why.
                Ok(event) if event.mask.contains(EventMask::IGNORED) => continue,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "files are not watched any more; changes are found by looking now and then");
                    return;
                }
            }
            let latest = Instant::now() + PATIENCE;
            let settled = async { while let Ok(Some(_)) = timeout(SETTLE, events.next()).await {} };
            let _ = timeout_at(latest, settled).await;
            changes.notify_one();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    async fn soon(watch: &Watch) {
        tokio::time::timeout(Duration::from_secs(60), watch.changed())
            .await
            .expect("a change is told of");
    }

    #[tokio::test]
    async fn changes_of_all_kinds_are_told_of_and_reading_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("a.yaml"), folder.path().join("b.yaml"));
        let mut watch = Watch::new();
        watch.set(&BTreeSet::from([folder.path().to_owned()]));
        fs::write(&path, "[]").expect("a file");
        soon(&watch).await;
        fs::rename(&path, &other).expect("another name");
        soon(&watch).await;
        symlink("b.yaml", &path).expect("a link");
        soon(&watch).await;
        fs::read(&path).expect("a file");
        let quiet = tokio::time::timeout(3 * SETTLE, watch.changed()).await;
        assert!(quiet.is_err(), "reading changes nothing");
        fs::remove_file(&other).expect("a file");
        soon(&watch).await;
    }

    #[tokio::test]
    async fn a_directory_made_anew_is_watched_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).expect("a folder");
        let (mut watch, both) = (
            Watch::new(),
            BTreeSet::from([folder.path().to_owned(), inner.clone()]),
        );
        watch.set(&both);
        fs::remove_dir(&inner).expect("an empty folder");
        fs::create_dir(&inner).expect("a folder");
        soon(&watch).await;
        watch.set(&both);
        fs::write(inner.join("a.yaml"), "[]").expect("a file");
        soon(&watch).await;
        watch.set(&BTreeSet::new());
        fs::write(inner.join("b.yaml"), "[]").expect("a file");
        assert!(
            tokio::time::timeout(3 * SETTLE, watch.changed())
                .await
                .is_err(),
            "nobody watches"
        );
    }
}
