//! The files that a pattern matches.

use std::path::{Path, PathBuf};
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
}
