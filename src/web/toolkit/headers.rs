//! `http_server_config.headers`: added to every response.

use axum::http::{HeaderMap, HeaderValue};

use super::values::text;
use crate::config::{MapEntry, NodeCursor, Report, quote, unknown_key};

/// The permitted headers, in the only permitted spelling, and their permitted values; none: any.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

pub(super) fn headers(at: &NodeCursor<'_>, report: &mut Report) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for MapEntry { name, key, value } in at.entries(report).unwrap_or_default() {
        let Some((header, values)) = HEADERS.iter().find(|(known, _)| *known == name) else {
            key.problem(report, unknown_key(name, &HEADERS.map(|(known, _)| known)));
            continue;
        };
        let Some(text) = text(&value, report) else {
            continue;
        };
        if !values.is_empty() && !values.contains(&text) {
            let (found, values) = (quote(text), values.join("` or `"));
            let message = format!("{found} is not a value of this header; write `{values}`");
            value.problem(report, message);
            continue;
        }
        // A folded text of YAML ends with a line break.
        match HeaderValue::from_str(text.replace(['\r', '\n'], " ").trim()) {
            Ok(value) if value.is_empty() => {}
            Ok(value) => drop(headers.insert(*header, value)),
            Err(_) => value.problem(
                report,
                "contains a character that is not allowed in a header; remove it",
            ),
        }
    }
    headers
}
