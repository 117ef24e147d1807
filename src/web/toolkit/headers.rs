//! `http_server_config.headers`: what is added to every answer.

use axum::http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use axum::http::{HeaderMap, HeaderValue};

use crate::config::{MapEntry, NodeCursor, Report, Value, quote, unknown_key};

/// The headers that may be set, as they have to be written, and the values they may have; none: any.
const HEADERS: [(&str, HeaderName, &[&str]); 5] = [
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY, &[]),
    ("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY, &[]),
    (
        "X-Content-Type-Options",
        X_CONTENT_TYPE_OPTIONS,
        &["nosniff"],
    ),
    ("X-Frame-Options", X_FRAME_OPTIONS, &["deny", "sameorigin"]),
    ("X-XSS-Protection", X_XSS_PROTECTION, &[]),
];

pub(super) fn headers(at: &NodeCursor<'_>, report: &mut Report) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for MapEntry { name, key, value } in at.entries(report).unwrap_or_default() {
        let Some((_, header, values)) = HEADERS.iter().find(|(known, ..)| *known == name) else {
            key.problem(report, unknown_key(name, &HEADERS.map(|(known, ..)| known)));
            continue;
        };
        let text = if matches!(value.value(), Value::Null) {
            Some("")
        } else {
            value.scalar(report)
        };
        let Some(text) = text else { continue };
        if !values.is_empty() && !values.contains(&text) {
            let values = values
                .iter()
                .map(|value| quote(value))
                .collect::<Vec<_>>()
                .join(" or ");
            value.problem(
                report,
                format!(
                    "{} is not a value of this header; write {values}",
                    quote(text)
                ),
            );
            continue;
        }
        // A folded text of YAML ends with a line break.
        let line = text.replace(['\r', '\n'], " ");
        match HeaderValue::from_str(line.trim()) {
            Ok(value) if value.is_empty() => {}
            Ok(value) => drop(headers.insert(header, value)),
            Err(_) => value.problem(report, "has a character that no header may have; remove it"),
        }
    }
    headers
}
