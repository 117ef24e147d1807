//! Configuration files: no input causes a panic, and the file is either valid and unchanged after
//! rendering and parsing, or rejected with problems that have messages.

use std::path::Path;

use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::config::{self, Config};
use mqtt_presence_exporter::secret::REDACTED;

pub(crate) fn run(text: &[u8]) {
    let origin = Path::new("/etc/exporter/config.yaml");
    match Config::parse(text, origin, &RULES) {
        Ok(loaded) => {
            let shown = config::render(&loaded.config);
            if shown.contains(REDACTED) {
                return;
            }
            let again = Config::parse(&shown, origin, &RULES).expect("what is shown is valid");
            assert_eq!(config::render(&again.config), shown);
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| !problem.message().is_empty()));
        }
    }
}
