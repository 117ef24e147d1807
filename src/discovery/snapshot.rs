//! The content of all sources at one time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glob::Pattern;

use super::source::{CONFIG, Source, SourceFailure, SourceLocation};
use super::source_cache::SourceCache;
use crate::config::{self, Config, Problem, Problems};

/// The content of all files and URLs.
#[derive(Debug, Default)]
pub(super) struct SourceTexts {
    /// All sources; the labels of the first ones count.
    pub(super) sources: Vec<Source>,
    /// The content of the files and URLs that have any.
    pub(super) texts: SourceCache,
    pub(super) failures: Vec<SourceFailure>,
    pub(super) warnings: Vec<Problem>,
}

impl SourceTexts {
    /// Reads the client files. Files that cannot be read, and URLs, have the content that they had
    /// `before`.
    pub(super) fn read(config: &Config, before: &SourceCache) -> Self {
        let mut snapshot = Self::default();
        let inline = config.instances.iter().filter(|it| !it.clients.is_empty());
        let inline = inline.map(|it| Source::new(it, &CONFIG.into(), SourceLocation::Config));
        snapshot.sources.extend(inline);
        for (n, instance) in config.instances.iter().enumerate() {
            let mut seen = BTreeSet::new();
            for (at, pattern) in instance.client_files.iter().enumerate() {
                let name: Arc<str> = pattern.as_str().into();
                let key = format!("instances[{n}].client_files[{at}]");
                for path in snapshot.matching(&name, &key, before) {
                    if seen.insert(path.clone()) {
                        let source = Source::new(instance, &name, SourceLocation::File(path));
                        snapshot.read_file(&source, before);
                        snapshot.sources.push(source);
                    }
                }
            }
            for url in &instance.client_urls {
                let location = SourceLocation::Url(url.url.clone());
                snapshot.fall_back(&location, before);
                let name = location.to_string().into();
                snapshot
                    .sources
                    .push(Source::new(instance, &name, location));
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
            // Reading a file that does not exist reports it.
            let matches = |path: &Path| Pattern::new(pattern).is_ok_and(|it| it.matches_path(path));
            for location in before.0.keys() {
                if let SourceLocation::File(path) = location
                    && matches(path)
                    && !files.contains(path)
                {
                    files.push(path.clone());
                }
            }
        }
        if !problems.is_empty() {
            self.fail(pattern, problems);
        } else if files.is_empty() {
            let message = format!("no file matches `{pattern}`; check the path");
            self.warnings.push(Problem::of_key(key, message));
        }
        files
    }

    /// Reads a file, unless it was read for another instance.
    fn read_file(&mut self, source: &Source, before: &SourceCache) {
        let Source { location, name, .. } = source;
        if self.texts.0.contains_key(location) {
            return;
        }
        let file = location.as_file();
        match config::read(&file) {
            Ok(bytes) => {
                self.texts
                    .0
                    .insert(location.clone(), before.text(location, &bytes));
            }
            Err(message) => {
                self.fall_back(location, before);
                self.fail(name, Problem::of_file(&file, message));
            }
        }
    }

    /// Records that the source `name` cannot be used.
    pub(super) fn fail(&mut self, name: &Arc<str>, problems: impl Into<Problems>) {
        self.failures.push(SourceFailure {
            name: Arc::clone(name),
            problems: problems.into(),
        });
    }

    /// Restores the content that `location` had `before`, or removes it if that is invalid as well.
    pub(super) fn fall_back(&mut self, location: &SourceLocation, before: &SourceCache) {
        let current = self.texts.0.remove(location);
        let earlier = before.0.get(location).cloned();
        if let Some(text) = earlier.filter(|text| current.as_ref() != Some(text)) {
            self.texts.0.insert(location.clone(), text);
        }
    }

    /// The names of the sources whose content is not that of `before`.
    pub(super) fn changed(&self, before: &SourceCache) -> BTreeSet<Arc<str>> {
        let text = |texts: &SourceCache, source: &Source| texts.0.get(&source.location).cloned();
        let changed = |source: &&Source| text(&self.texts, source) != text(before, source);
        self.sources
            .iter()
            .filter(changed)
            .map(|source| Arc::clone(&source.name))
            .collect()
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
