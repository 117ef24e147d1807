//! Client files in JSON and YAML: no input causes a panic, and the result is either a fleet or a list
//! of problems with messages.

use std::path::Path;

use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::config::Config;
use mqtt_presence_exporter::discovery::{self, SourceCache};
use mqtt_presence_exporter::presence::Shard;

/// Reads `bytes` as JSON and as YAML from files that it writes to `folder`.
pub(crate) fn run(folder: &Path, bytes: &[u8]) {
    for name in ["clients.json", "clients.yaml"] {
        std::fs::write(folder.join(name), bytes).expect("a file");
        let config = format!(
            "instances: [{{id: post-cn-1, region: cn-hangzhou, client_files: [{name}]}}, {{id: post-cn-2, region: cn-hangzhou, clients: [a]}}]"
        );
        let config = Config::parse(config, &folder.join("config.yaml"), &RULES)
            .expect("valid")
            .config;
        match discovery::read(&config, Shard::WHOLE, &SourceCache::default()) {
            Ok(discovered) => assert_eq!(discovered.fleets.len(), 2),
            Err(problems) => {
                assert!(!problems.is_empty());
                assert!(problems.iter().all(|problem| !problem.message().is_empty()));
            }
        }
    }
}
