//! Web configuration files and the files they reference: no input causes a panic, and the result is
//! either valid or a list of problems of one line each.

use std::path::Path;

use mqtt_presence_exporter::clock::Clock;
use mqtt_presence_exporter::web::toolkit::WebConfig;

pub(crate) fn run(bytes: &[u8]) {
    // The bytes after the first NUL are the content of every referenced file.
    let (text, named) = bytes.split_at(
        bytes
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(bytes.len()),
    );
    let named = named.strip_prefix(&[0]).unwrap_or(named);
    let read = &mut |_: &Path| Ok(named.to_vec());
    if let Err(problems) = WebConfig::parse(
        text,
        Path::new("/etc/exporter/web.yml"),
        Clock::system(),
        read,
    ) {
        assert!(!problems.is_empty());
        for problem in problems.iter() {
            let message = problem.message();
            assert!(
                !message.is_empty() && !message.chars().any(char::is_control),
                "{message:?}"
            );
        }
    }
}
