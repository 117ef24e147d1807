//! Client files: what is read from them, and what is said about them.

use std::fmt::Write as _;
use std::path::Path;

use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::config::{Config, Problem};
use mqtt_presence_exporter::discovery::{self, Discovered, SourceCache};
use mqtt_presence_exporter::presence::Shard;
use tempfile::TempDir;

/// A folder with `files`, and a configuration in it whose one instance has what `instance` says.
fn folder(instance: &str, files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!("instances:\n- {{id: post-cn-1, region: cn-hangzhou, {instance}}}\n");
    for (name, text) in files
        .iter()
        .copied()
        .chain([("config.yaml", config.as_str())])
    {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("in a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    folder
}

fn load(folder: &Path) -> Config {
    Config::load(&folder.join("config.yaml"), &RULES)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config
}

fn discover(folder: &TempDir) -> Discovered {
    discovery::read(&load(folder.path()), Shard::WHOLE, &SourceCache::default())
        .unwrap_or_else(|problems| panic!("{problems}"))
}

/// What is wrong, without the name of the folder.
fn wrong(folder: &TempDir) -> String {
    let problems = discovery::read(&load(folder.path()), Shard::WHOLE, &SourceCache::default())
        .expect_err("something is wrong")
        .to_string();
    problems.replace(&format!("{}/", folder.path().display()), "")
}

fn labels(found: &Discovered) -> Vec<&str> {
    (0..found.fleets[0].len())
        .map(|n| found.fleets[0].label_text(n))
        .collect()
}

fn texts(warnings: &[Problem], folder: &TempDir) -> Vec<String> {
    let strip = |problem: &Problem| {
        problem
            .to_string()
            .replace(&format!("{}/", folder.path().display()), "")
    };
    warnings.iter().map(strip).collect()
}

const IDS: &str = r#"",group_id="GID_test",instance_id="post-cn-1""#;

#[test]
fn yaml_and_json_say_the_same() {
    let yaml = "- targets: [GID_test@@@a, 007]\n  labels: {site: x, __meta: gone, floor: 1.50}\n- targets: []\n";
    let json = r#"[{"labels": {"site": "x", "__meta": "gone", "floor": "1.50"}, "targets": ["GID_test@@@a", "007"]}, {"targets": []}]"#;
    let [yaml, json] = [("c.yaml", yaml), ("c.json", json)].map(|(name, text)| {
        let folder = folder(
            "client_files: ['*/c.yaml', '*/c.json']",
            &[(&format!("in/{name}"), text)],
        );
        let found = discover(&folder);
        assert_eq!(found.sources[0].clients, Some(2));
        labels(&found).join("\n")
    });
    assert_eq!(yaml, json);
    assert!(
        yaml.starts_with(&format!(r#"GID_test@@@a{IDS},floor="1.50",site="x""#)),
        "{yaml}"
    );
    assert!(yaml.contains("\n007\","), "{yaml}");
}

#[test]
fn the_labels_of_a_client_win_over_those_of_its_instance() {
    let folder = folder(
        "labels: {site: a, zone: z}, clients: [{id: GID_test@@@1, labels: {site: b, zone: \"\"}}], client_files: [f.yaml]",
        &[(
            "f.yaml",
            "- {targets: [GID_test@@@2], labels: {site: c}}\n- targets: [GID_test@@@3]",
        )],
    );
    let found = discover(&folder);
    assert_eq!(
        labels(&found),
        [
            format!(r#"GID_test@@@1{IDS},site="b""#),
            format!(r#"GID_test@@@2{IDS},site="c",zone="z""#),
            format!(r#"GID_test@@@3{IDS},site="a",zone="z""#),
        ]
    );
}

#[test]
fn a_client_of_two_sources_is_one_client_and_other_labels_are_a_warning() {
    let folder = folder(
        "clients: [GID_test@@@1], client_files: [a.yaml, '*.yml', a.yaml]",
        &[
            (
                "a.yaml",
                "- {targets: [GID_test@@@1, GID_test@@@2, GID_test@@@2]}",
            ),
            (
                "b.yml",
                "- {targets: [GID_test@@@1, GID_test@@@2], labels: {site: b}}",
            ),
        ],
    );
    let found = discover(&folder);
    assert_eq!(
        labels(&found),
        [format!("GID_test@@@1{IDS}"), format!("GID_test@@@2{IDS}")]
    );
    let sources: Vec<_> = found.sources.iter().map(|source| source.clients).collect();
    assert_eq!(sources, [Some(1), Some(3), Some(2)]);
    assert_eq!(
        texts(&found.warnings, &folder),
        [
            "b.yml:1:14: [0].targets[0]: `GID_test@@@1` is listed again with other labels, and 1 more like it; the labels listed first count"
        ]
    );
}

#[test]
fn unusual_ids_and_globs_that_match_nothing_are_warnings() {
    let folder = folder(
        "client_files: ['none/*.json', a.json, b.yaml]",
        &[
            ("a.json", "[\n {\"targets\": [\"GID_test@@@1\", \"pump\"]}]"),
            ("b.yaml", "- targets: [pump2]"),
        ],
    );
    let found = discover(&folder);
    assert_eq!(
        texts(&found.warnings, &folder),
        [
            "instances[0].client_files[0]: no file matches `none/*.json`; check the path",
            "a.json:2:31: [0].targets[1]: `pump` has no `@@@` between group and device, and 1 more like it; check the spelling: an ID that no device uses is reported as offline",
        ]
    );
}

#[test]
fn everything_that_is_wrong_with_every_file_is_told() {
    let folder = folder(
        "client_files: ['*.json', '[!c]*.yaml']",
        &[
            (
                "a.json",
                r#"[{"targets": ["", 5, ["x"], "GID_test@@@1"], "labels": {"job": "x", "site": 1}, "label": {}, "targets": []},
 {"labels": {"": ""}}, 7]"#,
            ),
            ("b.json", "[{\"targets\": [\"GID_test@@@1\",]}]"),
            ("d.json", "{}"),
            (
                "h.json",
                r#"[{"targets": ["GID_test@@@\u0031", "\ud800"]}]"#,
            ),
            (
                "e.yaml",
                "- targets: [GID_test@@@1, '', [x]]\n  labels: {instance: a, site: [b]}\n  label: {}\n- labels: {}\n- 7\n",
            ),
            ("f.yaml", "- targets: [\n"),
            ("g.yaml", "targets: [GID_test@@@1]\n"),
        ],
    );
    insta::assert_snapshot!("wrong", wrong(&folder));
}

#[test]
fn a_client_id_of_more_than_256_bytes_is_refused_with_its_place_and_a_long_one_is_a_warning() {
    let [allowed, too_long] = [245, 246].map(|n| format!("GID_test@@@{}", "x".repeat(n)));
    let json = |id: &str| {
        serde_json::json!([{"targets": [id], "labels": {"__instance_id__": "post-cn-2"}}, {"targets": [id]}])
            .to_string()
    };
    let yaml = |id: &str| format!("- targets:\n  - GID_test@@@1\n  - {id}\n");
    let folder = |id: &str| {
        let files = [("a.json", &*json(id)), ("b.yaml", &*yaml(id))];
        folder("client_files: [a.json, b.yaml]", &files)
    };
    let why = "has 257 bytes, more than the 256 that are allowed; correct or remove it";
    assert_eq!(
        wrong(&folder(&too_long)),
        format!(
            "a.json:1:55: [0].targets[0]: {why}\na.json:1:329: [1].targets[0]: {why}\nb.yaml:3:5: [0].targets[1]: {why}"
        )
    );
    let folder = folder(&allowed);
    let found = discover(&folder);
    assert_eq!(found.fleets[0].len(), 2);
    let warnings = texts(&found.warnings, &folder).join("\n");
    assert!(
        warnings.contains("x…` is longer than 64 characters; check the spelling"),
        "{warnings}"
    );
}

#[test]
fn more_clients_than_allowed_are_refused() {
    let folder = folder(
        "client_files: [a.json]",
        &[(
            "a.json",
            r#"[{"targets": ["GID_test@@@1", "GID_test@@@2"]}]"#,
        )],
    );
    let path = folder.path().join("config.yaml");
    let text = std::fs::read_to_string(&path).expect("a file");
    std::fs::write(&path, format!("max_clients: 1\n{text}")).expect("a file");
    assert_eq!(
        wrong(&folder),
        "max_clients: there are 2 clients, more than 1; list fewer, or raise `max_clients` once Prometheus can hold their series"
    );
}

#[test]
fn a_folder_whose_name_looks_like_a_pattern_is_a_folder() {
    let outer = tempfile::tempdir().expect("a folder");
    let inner = outer.path().join("[a]*");
    std::fs::create_dir(&inner).expect("a folder");
    std::fs::write(
        inner.join("config.yaml"),
        "instances:\n- {id: a, region: cn-hangzhou, client_files: ['*.json']}",
    )
    .expect("a file");
    std::fs::write(inner.join("c.json"), r#"[{"targets": ["GID_test@@@1"]}]"#).expect("a file");
    let found =
        discovery::read(&load(&inner), Shard::WHOLE, &SourceCache::default()).expect("valid");
    assert_eq!(found.fleets[0].len(), 1);
}

#[test]
fn a_hundred_thousand_targets_of_one_file_are_a_hundred_thousand_clients() {
    let mut text = "[{\"targets\": [\"GID_test@@@pump-0\"".to_owned();
    for n in 1..100_000 {
        write!(text, ", \"GID_test@@@pump-{n}\"").expect("a String");
    }
    text.push_str("], \"labels\": {\"site\": \"hangzhou\"}}]");
    let folder = folder("client_files: [c.json]", &[("c.json", &text)]);
    let found = discover(&folder);
    assert_eq!(found.fleets[0].len(), 100_000);
    assert_eq!(
        found.fleets[0].position("GID_test@@@pump-99999"),
        Some(99_999)
    );
}
