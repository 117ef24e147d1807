//! Configuration files: errors, warnings and values.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::config::{
    Address, Config, Endpoints, Loaded, Mode, Provider, Query, SecretSource, StaleAfter, render,
};
use proptest::prelude::*;

const ONE: &str = "instances:\n  - {id: post-cn-1, region: cn-hangzhou, clients: [GID_test@@@a]}\n";

fn parse(text: &str) -> Loaded {
    Config::parse(text, Path::new("etc/config.yaml"), &RULES)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn warnings(text: &str) -> Vec<String> {
    parse(text)
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Every file of `tests/data/config/bad` is named after its error; the snapshot has the messages.
#[test]
fn every_error_has_a_position_and_a_remedy() {
    let mut files: Vec<PathBuf> = std::fs::read_dir("tests/data/config/bad")
        .expect("the fixtures are there")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    let mut messages = String::new();
    for file in files {
        let problems = Config::load(&file, &RULES).expect_err("bad").to_string();
        assert!(!problems.contains("not-a-secret"), "a secret in {problems}");
        let problems = problems.replace("tests/data/config/bad/", "");
        writeln!(messages, "{problems}\n").expect("a String");
    }
    insta::assert_snapshot!("bad", messages);
}

#[test]
fn a_missing_file_is_reported() {
    let messages = |path: &str| {
        Config::load(Path::new(path), &RULES)
            .expect_err("no file")
            .to_string()
    };
    assert_eq!(
        messages("nowhere/config.yaml"),
        "nowhere/config.yaml: the file does not exist; check the path"
    );
    assert_eq!(
        messages("tests"),
        "tests: is a directory; write the path of a file in it"
    );
}

#[test]
fn the_example_is_the_default() {
    let Loaded { config, warnings } =
        Config::load(Path::new("config.yaml"), &RULES).expect("valid");
    assert_eq!(warnings, []);
    let plain = parse(ONE).config;
    assert_eq!(
        config.instances[0].credentials,
        plain.instances[0].credentials
    );
    assert_eq!(
        config.instances[0].calls_per_second,
        plain.instances[0].calls_per_second
    );
    assert_eq!(config.instances[0].clients.len(), 2);
    assert_eq!(
        Config {
            instances: Vec::new(),
            ..config
        },
        Config {
            instances: Vec::new(),
            ..plain
        }
    );
}

#[test]
fn every_value_is_read() {
    let config = parse(
        r#"
collect:
  {mode: poll, interval: 2m, query: batch, max_age: 1m30s, stale_after: 1h, scrape_timeout: 20s, concurrency: 8, call_timeout: 500ms, retries: 0}
limits: {single_per_second: 250, batch_per_second: 70, share: 0.25}
exposition: {per_client: false}
api: {signature: v2, network: vpc, ca_file: ca.pem}
max_clients: 7
credentials: {type: access_key, account: main, access_key_id: LTAItest, access_key_secret_file: run/secret}
instances:
  - id: post-cn-1
    region: cn-hangzhou
    endpoint: http://127.0.0.1:8080/
    calls_per_second: 220
    labels: {site: a}
    clients: [GID_test@@@a]
    client_files: [clients/*.json, /srv/more.yml]
  - id: post-cn-2
    region: cn-beijing
    credentials: {type: chain, providers: [{type: profile, profile: ops, file: /etc/aliyun.json}, {type: env}]}
    clients: [{id: GID_test@@@b, labels: {name: "pump 2"}}]
"#,
    )
    .config;
    let collect = &config.collect;
    assert_eq!(collect.max_age, Duration::from_secs(90));
    assert_eq!(
        collect.stale_after,
        StaleAfter::Fixed(Duration::from_secs(3600))
    );
    assert_eq!(collect.scrape_timeout, Duration::from_secs(20));
    assert_eq!((collect.concurrency, collect.retries), (8, 0));
    assert_eq!(collect.call_timeout, Duration::from_millis(500));
    assert_eq!(
        (collect.mode, collect.interval, collect.query),
        (Mode::Poll, Duration::from_secs(120), Query::Batch)
    );
    assert_eq!(
        (
            config.limits.single_per_second,
            config.limits.batch_per_second
        ),
        (250, 70)
    );
    assert!((config.limits.share - 0.25).abs() < f64::EPSILON);
    assert!(!config.exposition.per_client);
    assert_eq!(
        config.api.ca_file.as_deref(),
        Some(Path::new("etc/ca.pem")),
        "from the file's own folder"
    );
    assert_eq!(config.max_clients, 7);
    let [one, two] = &config.instances[..] else {
        panic!("two instances")
    };
    let Address::Endpoint { url, region } = &one.address else {
        panic!("an endpoint")
    };
    assert_eq!(
        (url.as_str(), region.as_deref()),
        ("http://127.0.0.1:8080/", Some("cn-hangzhou"))
    );
    assert_eq!(one.credentials.account.as_deref(), Some("main"));
    assert_eq!(
        one.credentials.provider,
        Provider::AccessKey {
            id: "LTAItest".into(),
            secret: SecretSource::File("etc/run/secret".into()),
            token: None,
        }
    );
    assert_eq!(one.calls_per_second, 220);
    assert_eq!(one.client_files, ["etc/clients/*.json", "/srv/more.yml"]);
    assert_eq!(
        two.address,
        Address::Region {
            region: "cn-beijing".into()
        }
    );
    let profile = Provider::Profile {
        name: Some("ops".into()),
        file: Some("/etc/aliyun.json".into()),
        endpoints: Endpoints::default(),
    };
    assert_eq!(
        two.credentials.provider,
        Provider::Chain {
            providers: vec![profile, Provider::Env]
        }
    );
    assert_eq!(two.clients[0].labels[0].1, "pump 2");
}

#[test]
fn the_default_of_calls_per_second_is_at_most_the_limit_of_all_instances() {
    let calls =
        |limits: &str| parse(&format!("{limits}\n{ONE}")).config.instances[0].calls_per_second;
    assert_eq!(
        (calls(""), calls("limits: {single_per_second: 40}")),
        (100, 40)
    );
}

#[test]
fn ids_and_labels_keep_their_spelling() {
    let config = parse(
        "instances:\n- id: 0123\n  region: cn-hangzhou\n  labels: {a: 1.50, b: true, c: \"\", d: 'null'}\n  clients: [1e3, 007, 0x1F, true, '~', +5]\n",
    )
    .config;
    let instance = &config.instances[0];
    assert_eq!(instance.id.as_str(), "0123");
    let ids: Vec<_> = instance
        .clients
        .iter()
        .map(|client| client.id.as_str())
        .collect();
    assert_eq!(ids, ["1e3", "007", "0x1F", "true", "~", "+5"]);
    let labels: Vec<_> = instance
        .labels
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(labels, ["1.50", "true", "", "null"]);
}

#[test]
fn aliases_and_a_byte_order_mark_are_supported() {
    let config = parse("\u{FEFF}instances:\n- {id: a, region: cn-hangzhou, labels: &l {site: x}, clients: &c [GID_test@@@a]}\n- {id: b, region: cn-hangzhou, labels: *l, clients: *c}\n").config;
    assert_eq!(config.instances[0].clients, config.instances[1].clients);
    assert_eq!(config.instances[0].labels, config.instances[1].labels);
}

#[test]
fn a_problem_within_an_alias_has_the_position_of_its_text() {
    let text = "instances:\n- {id: a, region: cn-hangzhou, clients: [GID_test@@@a]}\n- &b {id: b, region: cn-hangzhou, calls_per_second: 0}\n- *b\n";
    let problems = Config::parse(text, Path::new("c.yaml"), &RULES)
        .expect_err("bad")
        .to_string();
    for path in ["instances[1]", "instances[2]"] {
        assert!(
            problems.contains(&format!("c.yaml:3:53: {path}.calls_per_second: 0 is not")),
            "{problems}"
        );
    }
}

#[test]
fn unusual_values_are_warnings_with_a_position() {
    assert_eq!(warnings(ONE), [""; 0]);
    assert_eq!(
        warnings("instances:\n- {id: a, region: cn-hangzo, clients: [GID_test@@@a]}"),
        [
            "etc/config.yaml:2:19: instances[0].region: `cn-hangzo` is not a known region of the service; check the spelling"
        ]
    );
    assert_eq!(
        warnings(
            "instances:\n- id: a\n  region: cn-hangzhou\n  clients: [GID_test@@@a, GID_test@1, pump, x]"
        ),
        [
            "etc/config.yaml:4:27: instances[0].clients[1]: `GID_test@1` has no `@@@` between group and device, and 2 more like it; check the spelling: an ID that no device uses is reported as offline"
        ]
    );
    for (id, why) in [
        (format!("GID_test@@@{}", "x".repeat(53)), None),
        (
            format!("GID_test@@@{}", "x".repeat(54)),
            Some("is longer than 64 characters"),
        ),
        ("日".repeat(65), Some("is longer than 64 characters")),
        (
            "日".repeat(64),
            Some("has no `@@@` between group and device"),
        ),
    ] {
        let warnings = warnings(&format!(
            "instances:\n- {{id: a, region: cn-hangzhou, clients: [{id}]}}"
        ));
        let why = why.map(|why| {
            format!(
                "etc/config.yaml:2:42: instances[0].clients[0]: `{id}` {why}; check the spelling: an ID that no device uses is reported as offline"
            )
        });
        assert_eq!(warnings, Vec::from_iter(why));
    }
    assert_eq!(
        warnings(
            "instances:\n- {id: a, endpoint: \"http://api.example.com\", clients: [GID_test@@@a]}"
        ),
        [
            "etc/config.yaml:2:21: instances[0].endpoint: is not encrypted: answers can be read and changed in transit; use `https://`"
        ]
    );
    for endpoint in [
        "http://127.0.0.1:1",
        "http://[::1]:1",
        "http://localhost",
        "https://api.example.com",
    ] {
        assert_eq!(
            warnings(&format!(
                "instances:\n- {{id: a, endpoint: \"{endpoint}\", clients: [GID_test@@@a]}}"
            )),
            [""; 0]
        );
    }
    assert_eq!(
        warnings(&format!("collect: {{interval: 45s}}\n{ONE}")),
        [
            "etc/config.yaml:1:21: collect.interval: has no effect without `mode: poll`: scrapes start the sweeps"
        ]
    );
    assert_eq!(
        warnings(&format!("collect: {{interval: 45s, mode: poll}}\n{ONE}")),
        [""; 0]
    );
    assert_eq!(
        warnings("instances:\n- {id: a, region: cn-hangzhou}"),
        [
            "etc/config.yaml:2:3: instances[0]: has no clients; list some in `clients`, `client_files` or `client_urls`"
        ]
    );
}

#[test]
fn a_rendered_configuration_is_the_same_configuration() {
    let text = r#"
collect: {mode: poll, interval: 45s, query: batch, stale_after: 1h, call_timeout: 1s500ms}
limits: {share: 0.5, batch_per_second: 40}
api: {ca_file: /etc/ca.pem, network: vpc, signature: v2}
instances:
  - id: post-cn-1
    region: cn-hangzhou
    endpoint: https://api.example.com
    credentials:
      type: chain
      account: "main: #1"
      providers:
        - {type: access_key, access_key_id: LTAItest, access_key_secret_file: /run/secret}
        - {type: profile, profile: "null", sts_endpoint: "https://sts.example.com", metadata_endpoint: "http://127.0.0.1:1"}
        - {type: env}
        - {type: ecs_ram_role, role: reader, metadata_endpoint: "http://127.0.0.1:1"}
        - type: oidc
          role_arn: acs:ram::1:role/reader
          oidc_provider_arn: acs:ram::1:oidc-provider/ack
          oidc_token_file: /run/token
          sts_endpoint: https://sts.example.com
        - type: assume_role
          role_arn: acs:ram::1:role/reader
          role_session_name: exporter
          duration: 15m
          policy: '{"Version": "1", "Statement": []}'
          source: {type: chain, providers: [{type: assume_role, role_arn: acs:ram::2:role/hop}]}
        - {type: uri, uri: "http://127.0.0.1:1/credentials"}
    labels: {site: "a \"b\" \\ \n日", zone: ""}
    clients: [GID_test@@@a, "1e3", {id: "a: b", labels: {name: "pump 2"}}]
    client_files: ["/srv/[ab]/*.yaml"]
  - {id: post-cn-2, region: cn-beijing, clients: [GID_test@@@a]}
"#;
    let config = parse(text).config;
    let rendered = render(&config);
    assert_eq!(parse(&rendered).config, config, "{rendered}");
    insta::assert_snapshot!("rendered", rendered);
}

#[test]
fn the_external_id_of_a_role_is_a_secret() {
    let text = format!(
        "credentials: {{type: assume_role, role_arn: 'acs:ram::1:role/reader', external_id: not-a-secret}}\n{ONE}"
    );
    let rendered = render(&parse(&text).config);
    assert!(rendered.contains("external_id: <secret>\n"), "{rendered}");
    assert!(!rendered.contains("not-a-secret"), "{rendered}");
}

#[test]
fn a_rendered_secret_is_not_shown() {
    let text = format!(
        "credentials: {{type: access_key, access_key_id: LTAItest, access_key_secret: not-a-secret}}\n{ONE}"
    );
    let Loaded { config, .. } = parse(&text);
    let rendered = render(&config);
    assert!(
        rendered.contains("access_key_secret: <secret>\n"),
        "{rendered}"
    );
    assert!(!rendered.contains("not-a-secret") && !format!("{config:?}").contains("not-a-secret"));
}

#[test]
fn the_query_of_a_credentials_uri_is_not_shown() {
    let text = format!(
        "credentials: {{type: uri, uri: \"https://h.example/c?token=not-a-secret\"}}\n{ONE}"
    );
    let Loaded { config, .. } = parse(&text);
    let rendered = render(&config);
    assert!(
        rendered.contains("uri: https://h.example/c?<secret>\n"),
        "{rendered}"
    );
    assert!(!rendered.contains("not-a-secret") && !format!("{config:?}").contains("not-a-secret"));
}

/// A problem at the end of 100,000 clients has the right position. With quadratic reading or checking
/// this test would not end.
#[test]
fn a_large_file_is_read() {
    let mut text = "instances:\n- id: a\n  region: cn-hangzhou\n  clients:\n".to_owned();
    for n in 0..100_000 {
        writeln!(text, "  - GID_test@@@pump-{n}").expect("a String");
    }
    assert_eq!(parse(&text).config.instances[0].clients.len(), 100_000);
    text.push_str("  - GID_test@@@pump-0\n");
    let problems = Config::parse(text, Path::new("c.yaml"), &RULES)
        .expect_err("a client twice")
        .to_string();
    assert!(
        problems.starts_with("c.yaml:100005:5: instances[0].clients[100000]: "),
        "{problems}"
    );
}

/// Texts of pieces; some are YAML, and a few of those are a configuration.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\n"),
        Just("\n  "),
        Just("\n- "),
        Just("\n  - "),
        Just(": "),
        Just(", "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just("\""),
        Just("'"),
        Just("&a "),
        Just("*a"),
        Just("!t "),
        Just("!!int "),
        Just("? "),
        Just("---\n"),
        Just("# "),
        Just("|\n"),
        Just("\t"),
        Just("~"),
        Just("5"),
        Just("1e3"),
        Just("é\u{2028}"),
        Just("\u{0}"),
        Just("instances:"),
        Just("id: a"),
        Just("region: cn-hangzhou"),
        Just("clients:"),
        Just("labels:"),
        Just("credentials:"),
        Just("type: chain"),
        Just("collect:"),
        Just("max_age: "),
        Just("mode: poll"),
        Just("interval: "),
        Just("10s"),
        Just("x"),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_causes_a_panic(text in pieces()) {
        match Config::parse(&text, Path::new("c.yaml"), &RULES) {
            Ok(loaded) => prop_assert_eq!(parse(&render(&loaded.config)).config, loaded.config),
            Err(problems) => prop_assert!(!problems.is_empty() && !problems.to_string().is_empty()),
        }
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        prop_assert!(Config::parse(&bytes, Path::new("c.yaml"), &RULES).is_err());
    }
}
