//! What `check-config` says.

use std::path::Path;

use mqtt_presence_exporter::app::check_config;
use mqtt_presence_exporter::presence::Shard;

/// The verdict, and what was written.
fn check(path: &str) -> (bool, String) {
    check_of(path, Shard::WHOLE)
}

fn check_of(path: &str, shard: Shard) -> (bool, String) {
    let mut out = Vec::new();
    let valid = check_config(Path::new(path), shard, &mut out).expect("a Vec takes everything");
    (valid, String::from_utf8(out).expect("UTF-8"))
}

/// The working directory is part of paths that were made absolute.
fn here(text: &str) -> String {
    text.replace(
        &format!(
            "{}/",
            std::env::current_dir().expect("a directory").display()
        ),
        "",
    )
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

/// What is said of a configuration with so many `clients` on one instance, without its place.
fn explained(collect: &str, of_instance: &str, clients: usize, shard: Shard) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let targets: Vec<_> = (0..clients)
        .map(|n| format!("GID_pumps@@@pump-{n}"))
        .collect();
    let list = serde_json::json!([{ "targets": targets }]).to_string();
    std::fs::write(folder.path().join("clients.json"), list).expect("a file");
    let text = format!(
        "collect: {collect}\ninstances:\n- {{id: post-cn-1, region: cn-hangzhou, {of_instance} client_files: [clients.json]}}\n"
    );
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, text).expect("a file");
    let (valid, text) = check_of(path.to_str().expect("UTF-8"), shard);
    (
        valid,
        text.replace(folder.path().to_str().expect("UTF-8"), "…"),
    )
}

#[test]
fn batches_are_planned_with_what_confirmations_may_add() {
    let (valid, text) = explained("{query: batch}", "", 10_000, Shard::WHOLE);
    assert!(valid, "{text}");
    insta::assert_snapshot!("batch", text);
}

#[test]
fn polling_is_planned_for_its_interval() {
    let (valid, text) = explained("{mode: poll, interval: 2m}", "", 10_000, Shard::WHOLE);
    assert!(valid, "{text}");
    insta::assert_snapshot!("poll", text);
}

#[test]
fn a_shard_is_told_its_part() {
    let shard = Shard::new(1, 4).expect("one of four");
    let (valid, text) = explained(
        "{query: batch, mode: poll, interval: 2m}",
        "",
        10_000,
        shard,
    );
    assert!(valid, "{text}");
    assert!(
        text.contains("Shard 1 of 4: 1/4 of the clients and of every limit."),
        "{text}"
    );
    assert!(
        text.contains("of 20/s") && text.contains("10000 from …/clients.json"),
        "{text}"
    );
}

#[test]
fn a_share_or_number_of_shards_without_a_slot_is_refused_with_one_that_works() {
    let check = |more: &str, shards: u32| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.yaml");
        let text = format!(
            "{more}\ninstances:\n- {{id: post-cn-1, region: cn-hangzhou, clients: [GID_test@@@a]}}\n"
        );
        std::fs::write(&path, text).expect("a file");
        let shard = Shard::new(0, shards).expect("the first");
        check_of(path.to_str().expect("UTF-8"), shard)
    };
    let batch = "collect: {query: batch}";
    for (more, shards, message) in [
        (
            "",
            266,
            "--shard.total: leaves no slot for QuerySessionByClientId: 265 slots × `limits.share` 1 ÷ `--shard.total` 266 is less than one; use at most 265 shards",
        ),
        (
            batch,
            1_000_000,
            "--shard.total: leaves no slot for BatchQuerySessionByClientIds: 85 slots × `limits.share` 1 ÷ `--shard.total` 1000000 is less than one; use at most 85 shards",
        ),
        (
            "limits: {share: 0.003}",
            1,
            "limits.share: leaves no slot for QuerySessionByClientId: 265 slots × `limits.share` 0.003 ÷ `--shard.total` 1 is less than one; use a `limits.share` of 0.004 or more",
        ),
        (
            "limits: {share: 0.5}",
            133,
            "--shard.total: leaves no slot for QuerySessionByClientId: 265 slots × `limits.share` 0.5 ÷ `--shard.total` 133 is less than one; use at most 132 shards, or a `limits.share` of 0.502 or more",
        ),
        (
            "limits: {share: 0.001}",
            1000,
            "--shard.total: leaves no slot for QuerySessionByClientId: 265 slots × `limits.share` 0.001 ÷ `--shard.total` 1000 is less than one; use at most 265 shards with a `limits.share` of 1",
        ),
        // 3 slots and 10 for trial calls.
        (
            "limits: {single_per_second: 1}",
            14,
            "--shard.total: leaves no slot for QuerySessionByClientId: 13 slots × `limits.share` 1 ÷ `--shard.total` 14 is less than one; use at most 13 shards",
        ),
    ] {
        assert_eq!(check(more, shards), (false, format!("{message}\n")));
    }
    for (more, shards) in [
        ("", 265),
        (batch, 85),
        ("limits: {share: 0.004}", 1),
        ("limits: {share: 0.5}", 132),
        ("limits: {share: 0.502}", 133),
        ("limits: {single_per_second: 1}", 13),
    ] {
        let (valid, text) = check(more, shards);
        assert!(valid, "{text}");
    }
}

#[test]
fn what_cannot_work_is_refused_with_what_would() {
    let (valid, text) = explained(
        "{mode: poll, interval: 30s}",
        "calls_per_second: 200,",
        10_000,
        Shard::WHOLE,
    );
    assert!(!valid);
    assert_eq!(
        text,
        "collect.interval: 30s is too short: querying the 10000 clients of post-cn-1 takes 50s at 200 calls/s; \
         write 50s or more, or use `query: batch`, which takes 13s\n"
    );
    assert!(
        explained(
            "{mode: poll, interval: 50s}",
            "calls_per_second: 200,",
            10_000,
            Shard::WHOLE
        )
        .0
    );
    assert!(
        explained(
            "{mode: poll, interval: 30s, query: batch}",
            "",
            10_000,
            Shard::WHOLE
        )
        .0
    );
    let (valid, text) = explained(
        "{mode: poll, interval: 3m, stale_after: 5m}",
        "",
        10,
        Shard::WHOLE,
    );
    assert!(!valid);
    assert!(text.contains("write 6m or more, or `auto`"), "{text}");
}

#[test]
fn five_mistakes_are_five_lines() {
    let (valid, text) = check("tests/data/config/bad/five_mistakes.yaml");
    assert!(!valid);
    assert_eq!(text.lines().count(), 5, "{text}");
    for (line, mistake) in text
        .lines()
        .zip([":2:12: ", ":3:3: ", ":4:17: ", ":8:14: ", ":9:29: "])
    {
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

#[test]
fn files_with_secrets_that_others_can_read_are_warned_about() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let authority = crate::support::pki::Authority::new();
    authority.server().write(folder.path(), "server");
    let texts = [
        ("secret", "not-a-secret"),
        ("password", "not-a-secret"),
        (
            "config.yaml",
            "instances:
- id: post-cn-1
  region: cn-hangzhou
  credentials: {type: access_key, access_key_id: LTAItest, access_key_secret_file: secret}
  client_urls: [{url: 'https://inventory.example/', basic_auth: {username: a, password_file: password}}]
",
        ),
        (
            "web.yml",
            "tls_server_config: {cert_file: server.pem, key_file: server.key}\n",
        ),
    ];
    for (name, text) in texts {
        std::fs::write(file(name), text).expect("written");
    }
    let warnings = |mode: u32| {
        for name in ["secret", "password", "server.key"] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file(name), mode).expect("its owner may");
        }
        let output =
            std::process::Command::new(assert_cmd::cargo::cargo_bin("mqtt-presence-exporter"))
                .arg("check-config")
                .arg("--config.file")
                .arg(file("config.yaml"))
                .arg("--web.config.file")
                .arg(file("web.yml"))
                .output()
                .expect("it runs");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{text}");
        let lines = text
            .lines()
            .filter(|line| line.contains("contains a secret"));
        let mut lines: Vec<_> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let exposed = warnings(0o644);
    assert_eq!(exposed.len(), 3, "{exposed:#?}");
    for (line, name) in exposed.iter().zip(["password", "secret", "server.key"]) {
        assert!(line.contains(&file(name).display().to_string()), "{line}");
    }
    assert_eq!(warnings(0o600), [""; 0]);
}
