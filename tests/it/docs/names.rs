//! What pages name is there: metrics, flags, files, error codes, modules.

use std::collections::BTreeSet;

use clap::CommandFactory as _;
use mqtt_presence_exporter::aliyun::ERROR_LABELS;
use mqtt_presence_exporter::cli::Cli;
use mqtt_presence_exporter::telemetry::table;

use super::page::{Page, root};

/// The words of `text` that begin with `start` and go on with letters, digits and `more`.
pub(super) fn words<'a>(
    text: &'a str,
    start: &'a str,
    more: &'a str,
) -> impl Iterator<Item = &'a str> {
    text.match_indices(start).filter_map(move |(at, _)| {
        let rest = &text[at..];
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !more.contains(c))
            .unwrap_or(rest.len());
        let before = text[..at].chars().next_back();
        // Neither a part of a longer word, nor of the name of a recorded series.
        let whole = !before.is_some_and(|c| c.is_alphanumeric() || "_-:".contains(c))
            && !rest[end..].starts_with(':');
        whole.then(|| rest[..end].trim_end_matches(|c: char| more.contains(c)))
    })
}

/// The metrics that `text` names.
pub(super) fn metrics(text: &str) -> BTreeSet<&str> {
    words(text, "mqtt_presence_", "_")
        .filter(|name| *name != "mqtt_presence")
        .collect()
}

/// The flags of ours that `text` names. Prometheus has some that are called alike, all of which begin otherwise.
pub(super) fn flags(text: &str) -> BTreeSet<&str> {
    let starts = [
        "--web.",
        "--log.",
        "--shard.",
        "--fault.",
        "--timeout-offset",
        "--config.file",
    ];
    starts
        .into_iter()
        .flat_map(|start| words(text, start, ".-"))
        .collect()
}

/// Every flag there is.
fn known_flags() -> BTreeSet<String> {
    let cli = Cli::command();
    let commands = std::iter::once(&cli).chain(cli.get_subcommands());
    let flags = commands
        .flat_map(clap::Command::get_arguments)
        .filter_map(|flag| flag.get_long());
    flags.map(|flag| format!("--{flag}")).collect()
}

#[test]
fn metrics_and_flags_that_are_named_are_there() {
    let known: BTreeSet<_> = table::all().map(|metric| metric.name).collect();
    let known_flags = known_flags();
    for page in Page::all() {
        for name in metrics(&page.text) {
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| name.strip_suffix(part))
                .unwrap_or(name);
            assert!(
                known.contains(name) || known.contains(family),
                "{}: there is no metric {name}",
                page.path.display()
            );
        }
        for flag in flags(&page.text) {
            assert!(
                known_flags.contains(flag),
                "{}: there is no flag {flag}",
                page.path.display()
            );
        }
    }
}

#[test]
fn files_that_are_named_are_there() {
    let folders = [
        ".ci/",
        "benches/",
        "deploy/",
        "docs/",
        "fuzz/",
        "grafana/",
        "prometheus/",
        "src/",
        "tests/",
    ];
    for page in Page::all() {
        for name in page
            .code()
            .filter(|name| folders.iter().any(|folder| name.starts_with(folder)))
        {
            let path = name.split([' ', '*']).next().unwrap_or(name);
            assert!(
                root().join(path).exists(),
                "{}: there is no {path}",
                page.path.display()
            );
        }
    }
}

#[test]
fn troubleshooting_explains_every_error_code_once() {
    let page = Page::read("docs/troubleshooting.md");
    let rows = page.rows().skip_while(|row| row[0] != "Code").skip(1);
    let mut explained: Vec<_> = rows
        .flat_map(|row| {
            row[0]
                .split(", ")
                .map(|code| code.trim_matches('`').to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    let mut labels = ERROR_LABELS.to_vec();
    explained.sort_unstable();
    labels.sort_unstable();
    assert_eq!(explained, labels);
}

#[test]
fn the_rows_of_the_house_are_those_of_the_library() {
    let page = Page::read("CONTRIBUTING.md");
    let documented: Vec<_> = page
        .rows()
        .filter(|row| row[0].parse::<u8>().is_ok())
        .map(|row| row.join(" | "))
        .collect();
    let library = std::fs::read_to_string(root().join("src/lib.rs")).expect("the library");
    let rows = library
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "));
    let rows = rows.map(|row| row.replace("[`", "`").replace("`]", "`"));
    let rows = rows.map(|row| row.split(" | ").take(2).collect::<Vec<_>>().join(" | "));
    let rows: Vec<_> = rows
        .filter(|row| row.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert_eq!(documented, rows);
}
