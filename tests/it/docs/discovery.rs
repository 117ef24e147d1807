//! The examples of `docs/discovery.md` are what they say they are.

use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::config::Config;
use mqtt_presence_exporter::discovery::{self, Discovered, SourceCache, SourceLocation};
use mqtt_presence_exporter::presence::{Fleet, Shard};

/// The code blocks of a section that have a file name, with their texts.
fn examples(section: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string("docs/discovery.md").expect("the page");
    let section = text
        .split("\n## ")
        .find(|part| part.starts_with(section))
        .expect("the section");
    let blocks = section.split("\n```").skip(1).step_by(2);
    let named = blocks.filter_map(|block| {
        let (info, code) = block.split_once('\n')?;
        Some((info.split_once(' ')?.1.to_owned(), code.to_owned() + "\n"))
    });
    named.collect()
}

/// Loads the configuration of a section among its files; `/etc/mqtt-presence` is their folder.
fn load(section: &str, more: &[(&str, &str)]) -> (Config, Discovered) {
    let folder = tempfile::tempdir().expect("a folder");
    let more = more
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    for (name, text) in examples(section).into_iter().chain(more) {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("in a folder")).expect("a folder");
        let here = folder.path().to_str().expect("UTF-8");
        std::fs::write(path, text.replace("/etc/mqtt-presence", here)).expect("a file");
    }
    let loaded = Config::load(&folder.path().join("config.yaml"), &RULES)
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
    let discovered = discovery::read(&loaded.config, Shard::WHOLE, &SourceCache::default())
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(discovered.warnings, []);
    (loaded.config, discovered)
}

fn clients(fleet: &Fleet) -> Vec<&str> {
    (0..fleet.len()).map(|n| fleet.label_text(n)).collect()
}

const PUMP_1: &str =
    r#"GID_pumps@@@pump-1",group_id="GID_pumps",instance_id="post-cn-0pp12gl1234",site="hangzhou""#;

#[test]
fn a_file_from_a_cmdb() {
    let (_, discovered) = load("A file from a CMDB", &[]);
    assert_eq!(discovered.fleets[0].len(), 3);
    assert_eq!(clients(&discovered.fleets[0])[1], PUMP_1);
}

#[test]
fn a_kubernetes_config_map() {
    let examples = examples("A Kubernetes ConfigMap");
    let map = &examples
        .iter()
        .find(|(name, _)| name == "configmap.yaml")
        .expect("the manifest")
        .1;
    let (_, block) = map.split_once("  pumps.yaml: |\n").expect("the file in it");
    let file: Vec<_> = block
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect();
    let (_, discovered) = load(
        "A Kubernetes ConfigMap",
        &[("clients/pumps.yaml", &file.join("\n"))],
    );
    assert_eq!(discovered.fleets[0].len(), 2);
    assert_eq!(clients(&discovered.fleets[0])[0], PUMP_1);
}

#[test]
fn an_inventory_over_http() {
    let (config, before) = load("An inventory over HTTP", &[]);
    assert_eq!(before.fleets[0].len(), 0, "it was not asked yet");
    let answer = &examples("An inventory over HTTP")
        .into_iter()
        .find(|(name, _)| name == "answer.json")
        .expect("it")
        .1;
    let place = SourceLocation::Url(config.instances[0].client_urls[0].url.clone());
    let after = discovery::refresh(
        &config,
        Shard::WHOLE,
        &SourceCache::default(),
        Some((&place, answer.as_bytes())),
        |_| Ok(()),
    );
    assert_eq!(after.failures, []);
    let (discovered, ()) = after.discovered.expect("something new");
    let fleet = &discovered.fleets[0];
    assert_eq!(fleet.len(), 3);
    assert_eq!(clients(fleet)[0], PUMP_1);
}

#[test]
fn one_source_for_several_instances() {
    let (_, discovered) = load("Labels", &[]);
    let lengths: Vec<_> = discovered.fleets.iter().map(Fleet::len).collect();
    assert_eq!(lengths, [1, 1]);
    assert!(
        clients(&discovered.fleets[1])[0]
            .ends_with(r#"instance_id="post-cn-4xl34mn5678",site="beijing""#)
    );
}
