//! The content of all sources at one time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glob::Pattern;

use super::source::{SourceFailure, SourceLocation};
use super::source_cache::SourceCache;
use crate::config::{self, Config, Problem, Problems};

/// A file or URL that lists clients of an instance.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The index of the instance in the configuration.
    pub(super) instance: usize,
    pub(super) name: Arc<str>,
    pub(super) location: SourceLocation,
}

/// The content of all files and URLs.
#[derive(Debug, Default)]
pub(super) struct SourceTexts {
    /// All files and URLs; the labels of the first ones count.
    pub(super) items: Vec<Item>,
    /// Their content, if they have any.
    pub(super) texts: SourceCache,
    pub(super) failures: Vec<SourceFailure>,
    pub(super) warnings: Vec<Problem>,
}

impl SourceTexts {
    /// Reads the client files. Files that cannot be read, and URLs, have the content that they had
    /// `before`.
    pub(super) fn read(config: &Config, before: &SourceCache) -> Self {
        let mut snapshot = Self::default();
        for (instance, it) in config.instances.iter().enumerate() {
            let mut seen = BTreeSet::new();
            for (at, pattern) in it.client_files.iter().enumerate() {
                let name: Arc<str> = pattern.as_str().into();
                let key = format!("instances[{instance}].client_files[{at}]");
                for path in snapshot.matching(&name, &key, before) {
                    if seen.insert(path.clone()) {
                        snapshot.read_file(&name, &path, before);
                        let (name, location) = (Arc::clone(&name), SourceLocation::File(path));
                        snapshot.items.push(Item {
                            instance,
                            name,
                            location,
                        });
                    }
                }
            }
            for url in &it.client_urls {
                let location = SourceLocation::Url(url.url.clone());
                if let Some(text) = before.get(&location) {
                    snapshot.texts.put(location.clone(), Arc::clone(text));
                }
                snapshot.items.push(Item {
                    instance,
                    name: url.url.to_string().into(),
                    location,
                });
            }
        }
        snapshot
    }

    /// The files that match a pattern, by name. If some cannot be found, those of `before`.
    fn matching(&mut self, pattern: &Arc<str>, key: &str, before: &SourceCache) -> Vec<PathBuf> {
        let (mut files, mut problems) = (Vec::new(), Problems::default());
        // The configuration has checked that it is a pattern.
        for found in glob::glob(pattern).into_iter().flatten() {
            match found {
                Ok(path) if path.is_dir() => {}
                Ok(path) => files.push(path),
                Err(error) => {
                    let message = format!("cannot be searched: {}", error.error());
                    problems.push(Problem::of_file(&error.path().into(), message));
                }
            }
        }
        if !problems.is_empty() || files.is_empty() && is_literal(pattern) {
            let matches = |path: &Path| Pattern::new(pattern).is_ok_and(|it| it.matches_path(path));
            // Reading a file that does not exist reports it.
            let known = before.locations().filter_map(|location| match location {
                SourceLocation::File(path) if matches(path) && !files.contains(path) => {
                    Some(path.clone())
                }
                _ => None,
            });
            let known: Vec<_> = known.collect();
            files.extend(known);
        }
        if !problems.is_empty() {
            let name = Arc::clone(pattern);
            self.failures.push(SourceFailure { name, problems });
        } else if files.is_empty() {
            let message = format!("no file matches `{pattern}`; check the path");
            self.warnings.push(Problem::of_key(key, message));
        }
        files
    }

    /// Reads a file, unless it was read for another instance.
    fn read_file(&mut self, name: &Arc<str>, path: &Path, before: &SourceCache) {
        let location = SourceLocation::File(path.to_owned());
        if self.texts.get(&location).is_some() {
            return;
        }
        match config::read(path) {
            Ok(bytes) => {
                let text = before.text(&location, &bytes);
                self.texts.put(location, text);
            }
            Err(message) => {
                self.fall_back(&location, before);
                let problems = Problem::of_file(&path.into(), message).into();
                let name = Arc::clone(name);
                self.failures.push(SourceFailure { name, problems });
            }
        }
    }

    /// Restores the content that `location` had `before`, or removes it if that is invalid as well.
    pub(super) fn fall_back(&mut self, location: &SourceLocation, before: &SourceCache) {
        let current = self.texts.get(location);
        match before.get(location).filter(|text| current != Some(*text)) {
            Some(text) => self.texts.put(location.clone(), Arc::clone(text)),
            None => self.texts.remove(location),
        }
    }

    /// The names of the sources whose content is not that of `before`.
    pub(super) fn changed(&self, before: &SourceCache) -> BTreeSet<Arc<str>> {
        let items = self.items.iter();
        let changed =
            items.filter(|item| self.texts.get(&item.location) != before.get(&item.location));
        changed.map(|item| Arc::clone(&item.name)).collect()
    }
}

/// Whether `pattern` matches only the file that it names.
fn is_literal(pattern: &str) -> bool {
    // A special character in brackets is that character.
    let escaped = ["[[]", "[]]", "[*]", "[?]"].iter();
    let rest = escaped.fold(pattern.to_owned(), |rest, one| rest.replace(one, ""));
    !rest.contains(['*', '?', '[', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_names_one_file_is_literal() {
        for literal in [
            "a.yaml",
            "/etc/x/a.yaml",
            &format!("{}/a.json", Pattern::escape("/srv/[a]*?")),
        ] {
            assert!(is_literal(literal), "{literal}");
        }
        for pattern in ["*.yaml", "a?.yaml", "[ab].yaml", "**/a.yaml", "[!c]*.yaml"] {
            assert!(!is_literal(pattern), "{pattern}");
        }
    }
}
