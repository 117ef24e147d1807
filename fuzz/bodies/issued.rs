//! Answers of the services that give credentials: whatever comes, there is no panic, what is taken
//! can be sent, and what is said of the rest is one short line.

use mqtt_presence_exporter::aliyun::credentials::sts_response::{from_service, from_sts};

/// What the log could show of it; no secret is to be in there.
pub(crate) fn run(bytes: &[u8]) -> Vec<String> {
    let mut shown = Vec::new();
    for understood in [from_sts(bytes), from_service(bytes)] {
        match understood {
            Ok(issued) => {
                let texts = [
                    issued.credentials.id(),
                    issued.credentials.secret().expose(),
                ];
                assert!(texts.iter().all(
                    |text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
                ));
                assert!(issued.credentials.security_token().is_some());
                shown.push(format!("{issued:?}"));
            }
            Err(why) => assert!(
                why.len() < 1000 && !why.chars().any(char::is_control),
                "{why:?}"
            ),
        }
    }
    shown
}
