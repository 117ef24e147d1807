//! Answers of the API: no input causes a panic, every label is in the closed set, and a client is
//! offline only if the answer reports it offline.

use mqtt_presence_exporter::aliyun::answer::{decode_batch, decode_single};
use mqtt_presence_exporter::aliyun::{ERROR_LABELS, HttpResponse};

/// The first line is the HTTP status, the rest the body.
pub(crate) fn run(bytes: &[u8]) {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(0);
    let status = std::str::from_utf8(&bytes[..end])
        .ok()
        .and_then(|line| line.parse().ok())
        .unwrap_or(200);
    let body = bytes[end..].strip_prefix(b"\n").unwrap_or(bytes);
    let reply = HttpResponse {
        status,
        sent: tokio::time::Instant::now(),
        retry_after: None,
        clocks: None,
        body: body.to_vec().into(),
    };
    let says_offline = || body.windows(5).any(|window| window == b"false");
    match decode_single(&reply) {
        Ok(answer) => assert!(answer.value || says_offline()),
        Err(failure) => assert!(ERROR_LABELS.contains(&failure.label)),
    }
    match decode_batch(&reply, &["a", "b"]) {
        Ok(answer) => assert!(
            answer
                .value
                .iter()
                .all(|entry| entry.online || says_offline())
        ),
        Err(failure) => assert!(ERROR_LABELS.contains(&failure.label)),
    }
}
