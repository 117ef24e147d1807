//! What a caller of the stand-in sends about its signature: no panic, and what is read is what
//! was written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_presence_exporter::aliyun::sign::{format_date, parse_date, v3::Authorization};

fuzz_target!(|text: &str| {
    let _ = Authorization::parse(text);
    if let Some(time) = parse_date(text) {
        assert_eq!(parse_date(&format_date(time)), Some(time));
    }
});
