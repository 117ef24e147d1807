//! The recipes of `CONTRIBUTING.md` name files that exist.

use std::path::Path;

const ROOTS: [&str; 7] = [
    "src/", "tests/", "docs/", "fuzz/", "benches/", "deploy/", ".ci/",
];

/// The paths of the repository that stand in backticks or in links.
fn paths(text: &str) -> Vec<&str> {
    text.split(['`', '(', ')', ' ', '\n'])
        .map(|word| word.trim_end_matches(['.', ',', ';', ':']))
        .filter(|word| ROOTS.iter().any(|root| word.starts_with(root)))
        .collect()
}

#[test]
fn every_path_that_a_contributor_is_sent_to_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("CONTRIBUTING.md")).expect("the page");
    let paths = paths(&text);
    assert!(paths.len() > 15, "{paths:?}");
    let missing: Vec<_> = (paths.iter())
        .filter(|path| !root.join(path).exists())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
