//! Signature parameters of requests to the simulator: no input causes a panic, and parsed values are
//! equal to the written values.

use mqtt_presence_exporter::aliyun::sign::{format_date, parse_date, v3::AuthorizationHeader};

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = AuthorizationHeader::parse(text);
    if let Some(time) = parse_date(text) {
        assert_eq!(parse_date(&format_date(time)), Some(time));
    }
}
