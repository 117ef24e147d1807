//! Responses of credential services: no input causes a panic, accepted credentials can be sent, and
//! every error is one short line.

use mqtt_presence_exporter::aliyun::credentials::sts_response::{from_service, from_sts};

/// The text that the log could contain; it must not contain a secret.
pub(crate) fn run(bytes: &[u8]) -> Vec<String> {
    let mut shown = Vec::new();
    for understood in [from_sts(bytes), from_service(bytes)] {
        match understood {
            Ok(issued) => {
                let texts = [issued.key.id(), issued.key.secret().expose()];
                assert!(texts.iter().all(
                    |text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
                ));
                assert!(issued.key.security_token().is_some());
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
