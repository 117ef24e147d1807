//! Profile files of the Alibaba Cloud CLI and SDKs: no input causes a panic, and every error is one
//! short line.

use mqtt_presence_exporter::aliyun::credentials::profile::find;
use mqtt_presence_exporter::config::{Endpoints, Env};

/// The text that the log could contain; it must not contain a secret.
pub(crate) fn run(bytes: &[u8]) -> Vec<String> {
    let mut shown = Vec::new();
    let Ok(text) = std::str::from_utf8(bytes) else {
        return shown;
    };
    for name in [None, Some("default"), Some("a")] {
        match find(text, name, &Endpoints::default(), &Env::default()) {
            Ok(Some(found)) => shown.push(format!("{found:?}")),
            Ok(None) => {}
            Err(why) => assert!(
                why.len() < 1000 && !why.chars().any(char::is_control),
                "{why:?}"
            ),
        }
    }
    shown
}
