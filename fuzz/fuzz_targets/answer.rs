//! Answers of the API: whatever comes, there is no panic, every label is of the closed set, and a
//! client is offline only where the answer says so.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_presence_exporter::aliyun::ERROR_LABELS;
use mqtt_presence_exporter::aliyun::answer::{Reply, decode_batch, decode_single};

fuzz_target!(|input: (u16, &[u8])| {
    let (status, body) = input;
    let reply = Reply { status, retry_after: None, body };
    let says_offline = || body.windows(5).any(|window| window == b"false");
    match decode_single(reply) {
        Ok(answer) => assert!(answer.value || says_offline()),
        Err(failure) => assert!(ERROR_LABELS.contains(&failure.label)),
    }
    match decode_batch(reply, &["a", "b"]) {
        Ok(answer) => assert!(answer.value.iter().all(|entry| entry.online || says_offline())),
        Err(failure) => assert!(ERROR_LABELS.contains(&failure.label)),
    }
});
