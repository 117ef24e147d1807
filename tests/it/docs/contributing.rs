//! The recipes of `CONTRIBUTING.md` name files that exist, and links to the repository its address.

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

/// Calls `visit` with every file below `folder` that is text.
fn texts(folder: &Path, visit: &mut dyn FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            texts(&path, visit);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            visit(&path, &text);
        }
    }
}

#[test]
fn links_to_the_repository_have_the_address_of_the_manifest() {
    const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = 0;
    for folder in [".github", "deploy", "docs", "grafana", "prometheus"] {
        texts(&root.join(folder), &mut |path, text| {
            for (at, _) in text.match_indices("https://github.com/") {
                let link = text[at..].split(['"', '\'', ' ', ')', '\n']).next();
                let link = link.unwrap_or_default();
                if link.contains("mqtt-presence-exporter") {
                    assert!(link.starts_with(REPOSITORY), "{}: {link}", path.display());
                    found += 1;
                }
            }
        });
    }
    assert!(found > 10, "only {found} links");
}
