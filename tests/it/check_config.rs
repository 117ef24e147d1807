//! What `check-config` says.

use std::path::Path;

use mqtt_presence_exporter::app::check_config;

/// The verdict, and what was written.
fn check(path: &str) -> (bool, String) {
    let mut out = Vec::new();
    let valid = check_config(Path::new(path), &mut out).expect("a Vec takes everything");
    (valid, String::from_utf8(out).expect("UTF-8"))
}

/// The working directory is part of paths that were made absolute.
fn here(text: &str) -> String {
    text.replace(&format!("{}/", std::env::current_dir().expect("a directory").display()), "")
}

#[test]
fn the_example_is_explained() {
    let (valid, text) = check("config.yaml");
    assert!(valid, "{text}");
    insta::assert_snapshot!("example", here(&text));
}

#[test]
fn a_large_configuration_is_explained_with_its_cost() {
    let (valid, text) = check("tests/data/config/good/two_instances.yaml");
    assert!(valid, "{text}");
    insta::assert_snapshot!("two_instances", here(&text));
}

#[test]
fn five_mistakes_are_five_lines() {
    let (valid, text) = check("tests/data/config/bad/five_mistakes.yaml");
    assert!(!valid);
    assert_eq!(text.lines().count(), 5, "{text}");
    for (line, mistake) in text.lines().zip([":2:12: ", ":3:3: ", ":4:17: ", ":8:14: ", ":9:29: "]) {
        assert!(line.contains(mistake), "{line}");
    }
}

#[test]
fn a_stale_after_that_no_sweep_can_keep_is_refused() {
    let (valid, text) = check("tests/data/config/good/stale_after_below_two_sweeps.yaml");
    assert!(!valid);
    assert_eq!(
        text,
        "collect.stale_after: 30s is less than two sweeps of post-cn-1, which take 20s each; write 40s or more, or `auto`\n"
    );
}
