//! Web configuration files: whatever is in one, and in the files that it names, there is no panic,
//! and either it is valid, or every problem says what is wrong.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use mqtt_presence_exporter::clock::Clock;
use mqtt_presence_exporter::web::toolkit::WebConfig;

fuzz_target!(|input: &[u8]| {
    // What follows the first NUL is the content of every file that is named.
    let (text, named) = input.split_at(input.iter().position(|&byte| byte == 0).unwrap_or(input.len()));
    let named = named.strip_prefix(&[0]).unwrap_or(named);
    let read = &mut |_: &Path| Ok(named.to_vec());
    if let Err(problems) = WebConfig::parse(text, Path::new("/etc/exporter/web.yml"), Clock::system(), read) {
        assert!(!problems.is_empty());
        for problem in problems.iter() {
            assert!(!problem.message().is_empty());
        }
    }
});
