//! Which files a pattern leads to, and which directories tell of new ones.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use glob::Pattern;

use crate::config::{Problem, Problems};

/// What a pattern leads to.
pub(super) struct Matched {
    pub(super) files: Vec<PathBuf>,
    /// What could not be looked into, so that there may be more files.
    pub(super) problems: Problems,
}

/// The files that `pattern` matches, in the order of their names.
pub(super) fn matched(pattern: &str) -> Matched {
    let mut matched = Matched {
        files: Vec::new(),
        problems: Problems::default(),
    };
    // The configuration has checked that it is a pattern.
    for path in glob::glob(pattern).into_iter().flatten() {
        match path {
            Ok(path) if path.is_dir() => {}
            Ok(path) => matched.files.push(path),
            Err(error) => {
                let file: Arc<Path> = error.path().into();
                matched.problems.push(Problem::of_file(
                    &file,
                    format!("cannot be looked into: {}", error.error()),
                ));
            }
        }
    }
    matched
}

/// Whether `pattern` can match only the one file that it names.
pub(super) fn is_literal(pattern: &str) -> bool {
    // Brackets around a special character stand for just that character.
    let rest = ["[[]", "[]]", "[*]", "[?]"]
        .iter()
        .fold(pattern.to_owned(), |rest, one| rest.replace(one, ""));
    !rest.contains(['*', '?', '[', ']'])
}

/// Whether `pattern` leads to `path`, whether the file is there or not.
pub(super) fn leads_to(pattern: &str, path: &Path) -> bool {
    Pattern::new(pattern).is_ok_and(|pattern| pattern.matches_path(path))
}

/// The directories in which something new may be matched by `pattern`: those of the `files` that
/// are, and the last one that the pattern names outright.
pub(super) fn directories(pattern: &str, files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut named = PathBuf::new();
    for component in Path::new(pattern).components() {
        let text = component.as_os_str().to_string_lossy();
        if !is_literal(&text) {
            break;
        }
        match component {
            Component::Normal(_) => named.push(unescaped(&text)),
            other => named.push(other),
        }
    }
    if is_literal(pattern) {
        named.pop();
    }
    let of_files = files
        .iter()
        .filter_map(|file| file.parent())
        .map(Path::to_owned);
    let here = |path: PathBuf| {
        if path.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            path
        }
    };
    of_files.chain([named]).map(here).collect()
}

fn unescaped(literal: &str) -> String {
    [("[*]", "*"), ("[?]", "?"), ("[]]", "]"), ("[[]", "[")]
        .iter()
        .fold(literal.to_owned(), |text, (escaped, plain)| {
            text.replace(escaped, plain)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_literal_when_it_names_one_file() {
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

    #[test]
    fn directories_are_those_of_the_files_and_the_last_one_that_is_named() {
        let told = |pattern: &str, files: &[&str]| {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            directories(pattern, &files).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(told("/etc/x/a.yaml", &[]), [Path::new("/etc/x")]);
        assert_eq!(told("a.yaml", &[]), [Path::new(".")]);
        assert_eq!(
            told("/etc/*/a.yaml", &["/etc/b/a.yaml"]),
            [Path::new("/etc"), Path::new("/etc/b")]
        );
        assert_eq!(
            told(&format!("{}/*.json", Pattern::escape("/srv/[a]*")), &[]),
            [Path::new("/srv/[a]*")]
        );
    }
}
