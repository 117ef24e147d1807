//! Web configuration files: whatever is in one, and in the files that it names, there is no panic,
//! and either it is valid, or every problem says what is wrong without showing a secret.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use mqtt_presence_exporter::clock::Clock;
use mqtt_presence_exporter::web::toolkit::WebConfig;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (text, named) = input;
    let read = &mut |_: &Path| Ok(named.to_vec());
    if let Err(problems) = WebConfig::parse(text, Path::new("/etc/exporter/web.yml"), Clock::system(), read) {
        assert!(!problems.is_empty());
        for problem in problems.iter() {
            assert!(!problem.message().is_empty());
            assert!(!problem.path().starts_with("tls_server_config.key:") && !problem.message().contains("PRIVATE KEY-----\n"));
        }
    }
});
