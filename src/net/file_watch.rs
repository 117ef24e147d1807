//! Detects changed files by checking them at intervals: the one way that works on every file
//! system, through symbolic links (the volumes of Kubernetes replace a link), and for files that
//! do not exist yet.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::clock::{Clock, Timestamp};

/// The usual time between two checks.
const INTERVAL: Duration = Duration::from_secs(2);

/// How long files must stay unchanged before a change is reported: a certificate and its key, or
/// all files of a directory, are written one after another.
const SETTLE: Duration = Duration::from_millis(500);

/// How long a change is held back at most while files keep changing.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Checks take at most one part in this many of the time, also with ten thousand files on a
/// network file system.
const PARTS: u32 = 50;

/// A file that was modified this recently may change again without a new time, because file
/// systems keep times in steps of up to two seconds. Its content is compared.
const FRESH: Duration = Duration::from_secs(4);

/// Files and their states at the last check.
#[derive(Clone, Debug, Default)]
pub struct WatchedFiles {
    paths: Vec<PathBuf>,
    patterns: Vec<String>,
    states: BTreeMap<PathBuf, FileState>,
}

impl WatchedFiles {
    /// The files that match glob `patterns`, those that will appear included.
    #[must_use]
    pub fn matching(patterns: impl IntoIterator<Item = String>) -> Self {
        let mut files = Self {
            patterns: patterns.into_iter().collect(),
            ..Self::default()
        };
        files.check();
        files
    }

    /// Adds a file, which does not have to exist, with its current state: call this before the
    /// file is read.
    pub fn add(&mut self, path: &Path) {
        if let Some(state) = FileState::read(path, None) {
            self.states.insert(path.to_owned(), state);
        }
        self.paths.push(path.to_owned());
    }

    fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.patterns.is_empty()
    }

    /// Returns whether a file has changed, appeared or disappeared since the last check.
    fn check(&mut self) -> bool {
        let matched = self.patterns.iter().filter_map(|one| glob::glob(one).ok());
        let paths = self
            .paths
            .iter()
            .cloned()
            .chain(matched.flatten().flatten());
        let mut before = std::mem::take(&mut self.states);
        let (mut changed, now) = (false, Clock::system().now());
        for path in paths {
            if self.states.contains_key(&path) {
                continue;
            }
            let old = before.remove(&path);
            let new = FileState::read(&path, old.as_ref());
            changed |= new != old;
            if let Some(mut state) = new {
                state.content = state.content.filter(|_| state.is_fresh(now));
                self.states.insert(path, state);
            }
        }
        changed || !before.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileState {
    /// Device, inode and size.
    identity: [u64; 3],
    /// When the content and when the attributes were changed: seconds and nanoseconds.
    times: [(i64, i64); 2],
    /// The hash of the content, if the times are too recent to detect the next change.
    content: Option<[u8; 32]>,
}

impl FileState {
    /// The current state of the file, if it exists; `before` is its state at the last check.
    fn read(path: &Path, before: Option<&Self>) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let mut state = Self {
            identity: [found.dev(), found.ino(), found.size()],
            times: [
                (found.mtime(), found.mtime_nsec()),
                (found.ctime(), found.ctime_nsec()),
            ],
            content: None,
        };
        let same = before.filter(|old| old.identity == state.identity && old.times == state.times);
        let compare = match same {
            Some(old) => old.content.is_some(),
            None => state.is_fresh(Clock::system().now()),
        };
        if compare {
            // What cannot be read has no content.
            let content = fs::read(path).unwrap_or_default();
            state.content = Some(Sha256::digest(content).into());
        }
        Some(state)
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        let seconds = self.times.iter().map(|(seconds, _)| *seconds).max();
        let newest = Duration::from_secs(seconds.unwrap_or(0).try_into().unwrap_or(0));
        Duration::from_millis(now.as_millis()) < newest + FRESH
    }
}

/// Checks [`WatchedFiles`] for changes until it is dropped.
#[derive(Debug)]
pub struct FileWatch {
    changed: Arc<Notify>,
    _checks: AbortOnDropHandle<()>,
}

impl FileWatch {
    /// Watches `files` for changes of the states that they contain. The checks run on a thread for
    /// blocking work of the current runtime.
    #[must_use]
    pub fn new(files: WatchedFiles) -> Self {
        let changed = Arc::new(Notify::new());
        let checks = tokio::spawn(watch(files, Arc::clone(&changed)));
        Self {
            changed,
            _checks: AbortOnDropHandle::new(checks),
        }
    }

    /// Returns once files have changed since the last return, and the changes have settled.
    /// Cancellation loses no change.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

async fn watch(mut files: WatchedFiles, settled: Arc<Notify>) {
    // When the first change was found that is not reported yet.
    let (mut changed_since, mut next) = (None, INTERVAL);
    while !files.is_empty() {
        sleep(next).await;
        let check = spawn_blocking(move || {
            let started = Instant::now();
            (files.check(), started.elapsed(), files)
        });
        let Ok((changed, took, checked)) = check.await else {
            return;
        };
        files = checked;
        if changed {
            changed_since.get_or_insert_with(Instant::now);
        }
        let report = changed_since
            .take_if(|since| !changed || since.elapsed() >= MAX_DELAY)
            .is_some();
        if report {
            settled.notify_one();
        }
        next = pause(changed_since.is_some(), took);
    }
}

/// The time between a check that `took` this long and the next one.
fn pause(unsettled: bool, took: Duration) -> Duration {
    let usual = if unsettled { SETTLE } else { INTERVAL };
    usual.max(took * (PARTS - 1))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(path: &Path, text: &str) {
        fs::write(path, text).expect("a file");
    }

    #[test]
    fn a_file_that_appears_changes_is_replaced_or_disappears_is_a_change() {
        let folder = tempfile::tempdir().expect("a directory");
        let [file, other] = ["secret", "other"].map(|name| folder.path().join(name));
        write(&other, "other");
        let mut files = WatchedFiles::default();
        files.add(&other);
        files.add(&file);
        assert!(!files.check());
        write(&file, "one");
        assert!(files.check(), "it appeared");
        assert!(!files.check());
        write(&file, "longer");
        assert!(files.check(), "it changed");
        write(&file, "LONGER");
        assert!(files.check(), "it changed and kept its size");
        write(&other, "longer");
        assert!(files.check(), "the other one changed");
        fs::rename(&other, &file).expect("a file");
        assert!(files.check(), "it was replaced");
        fs::remove_file(&file).expect("a file");
        assert!(files.check(), "it disappeared");
        assert!(!files.check());
    }

    #[test]
    fn files_that_match_a_pattern_come_and_go_through_links_as_well() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = |name: &str| folder.path().join(name);
        let mut files = WatchedFiles::matching([path("map/*.yaml").display().to_string()]);
        for version in ["1", "2"] {
            fs::create_dir(path(version)).expect("a directory");
            write(&path(version).join("a.yaml"), "[]");
        }
        fs::create_dir(path("map")).expect("a directory");
        assert!(!files.check());
        symlink("../1", path("map/data")).expect("a link");
        symlink("data/a.yaml", path("map/a.yaml")).expect("a link");
        assert!(files.check(), "it appeared");
        write(&path("map/other.txt"), "");
        assert!(!files.check(), "a file that does not match");
        symlink("../2", path("next")).expect("a link");
        fs::rename(path("next"), path("map/data")).expect("a link");
        assert!(files.check(), "the link has another target");
        fs::remove_dir_all(path("map")).expect("a directory");
        assert!(files.check(), "it disappeared");
        fs::create_dir(path("map")).expect("a directory");
        write(&path("map/a.yaml"), "[]");
        assert!(files.check(), "its directory was created again");
    }

    #[test]
    fn the_content_decides_where_the_time_is_too_recent() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("a");
        write(&file, "one");
        let before = FileState::read(&file, None).expect("a file");
        write(&file, "two");
        let mut now = FileState::read(&file, Some(&before)).expect("a file");
        // As on a file system whose times did not move on.
        now.content = before.content;
        assert_ne!(FileState::read(&file, Some(&now)), Some(now.clone()));
        now.content = None;
        assert_eq!(FileState::read(&file, Some(&now)), Some(now.clone()));
        let written = Timestamp::from(fs::metadata(&file).unwrap().modified().unwrap());
        assert!(now.is_fresh(written) && !now.is_fresh(written + FRESH));
    }

    #[test]
    fn checks_take_two_percent_of_the_time_at_most() {
        assert_eq!(pause(false, Duration::from_millis(1)), INTERVAL);
        assert_eq!(pause(true, Duration::from_millis(1)), SETTLE);
        for unsettled in [false, true] {
            assert_eq!(pause(unsettled, Duration::from_secs(1)).as_secs(), 49);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_reported_once_it_has_settled_and_not_held_back_for_long() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("a");
        let mut files = WatchedFiles::default();
        files.add(&file);
        let watch = FileWatch::new(files);
        write(&file, "one");
        watch.changed().await;
        let wait = Duration::from_secs(3600);
        let unchanged = tokio::time::timeout(wait, watch.changed()).await;
        assert!(unchanged.is_err(), "one change is reported once");
        let start = Instant::now();
        let lively = async {
            for n in 0.. {
                write(&file, &n.to_string());
                sleep(SETTLE / 2).await;
            }
        };
        tokio::select! {
            () = watch.changed() => {}
            () = lively => {}
        }
        assert!(start.elapsed() <= INTERVAL + MAX_DELAY + SETTLE);
    }
}
