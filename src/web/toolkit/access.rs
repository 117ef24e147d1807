//! `http_server_config.headers`, `basic_auth_users` and `rate_limit`.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use bcrypt::HashParts;

use super::values::text;
use crate::config::{Keys, MapEntry, NodeCursor, ScalarKind, Value, quote, unknown_key};
use crate::secret::Secret;

/// The permitted headers, in the only permitted spelling, and their permitted values; none: any.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

/// The headers that are added to every response.
pub(super) fn headers(at: &NodeCursor<'_>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for MapEntry { name, key, value } in at.entries()? {
        let Some((header, values)) = HEADERS.iter().find(|(known, _)| *known == name) else {
            key.problem(unknown_key(name, &HEADERS.map(|(known, _)| known)));
            continue;
        };
        let Some(text) = text(&value) else {
            continue;
        };
        if !values.is_empty() && !values.contains(&text) {
            let (found, values) = (quote(text), values.join("` or `"));
            value.problem(format!(
                "{found} is not a value of this header; write `{values}`"
            ));
            continue;
        }
        // A folded text of YAML ends with a line break.
        let line = HeaderValue::from_str(text.replace(['\r', '\n'], " ").trim());
        let error = "contains a character that is not allowed in a header; remove it";
        if let Some(line) = value.accept(line.map_err(|_| error))
            && !line.is_empty()
        {
            headers.insert(*header, line);
        }
    }
    Some(headers)
}

/// Users by name.
pub(in crate::web) type Users = HashMap<String, PasswordHash>;

/// The bcrypt hash of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct PasswordHash {
    /// The hash as in the file.
    pub(in crate::web) text: Secret,
    /// Checking a password takes 2 to the power of this many rounds.
    pub(in crate::web) cost: u32,
}

/// The valid costs (bcrypt's own bounds).
const COSTS: std::ops::RangeInclusive<u32> = 4..=31;
/// From this cost on, a check takes a second or more.
const SLOW: u32 = 15;

/// The permitted users.
pub(super) fn users(at: &NodeCursor<'_>) -> Option<Users> {
    let mut users = Users::new();
    for MapEntry { name, value, .. } in at.entries()? {
        let Some(text) = text(&value) else {
            continue;
        };
        let cost = text.parse::<HashParts>().map(|parts| parts.get_cost());
        let Some(cost) = cost.ok().filter(|cost| COSTS.contains(cost)) else {
            // The message contains neither a part of a hash nor a password written in its place.
            value.problem(
                "is not a bcrypt hash (`$2y$10$…`, 60 characters); `htpasswd -nBC 10 \"\" | tr -d ':\\n'` makes one",
            );
            continue;
        };
        if cost >= SLOW {
            value.warning(format!(
                "has cost {cost}, so that checking a password takes seconds or more"
            ));
        }
        let text = Secret::new(text);
        users.insert(name.to_owned(), PasswordHash { text, cost });
    }
    Some(users)
}

/// A token bucket that is full at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) struct RateLimit {
    /// The time after which a token is added.
    pub(in crate::web) interval: Duration,
    /// The maximum number of tokens.
    pub(in crate::web) burst: u32,
}

/// The maximum rate of requests; `None` also if the file sets no limit.
pub(super) fn rate_limit(at: &NodeCursor<'_>) -> Option<RateLimit> {
    let keys = Keys::of(at)?;
    let interval = keys.read("interval", interval);
    let burst = keys.read("burst", |at| at.number(0, u32::MAX)).unwrap_or(0);
    let interval = interval.filter(|interval| !interval.is_zero())?;
    if burst == 0 {
        at.warning(
            "`burst` is 0, so that every request is refused; write how many may come at once",
        );
    }
    Some(RateLimit { interval, burst })
}

/// A duration as Go reads it; a negative one counts as zero. A number is one of nanoseconds.
fn interval(at: &NodeCursor<'_>) -> Option<Duration> {
    let text = at.scalar()?;
    let interval = match at.value() {
        Value::Scalar(ScalarKind::Number, _) => (text.parse::<i64>().ok())
            .map(|nanos| Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))),
        Value::Scalar(ScalarKind::Text, _) => go_duration(text),
        _ => None,
    };
    let text = quote(text);
    let error = format!("{text} is not a duration; write one such as `1s` or `250ms`");
    at.accept(interval.ok_or(error))
}

/// The units with their nanoseconds.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// A text such as `1h2.5s` (Go's `time.ParseDuration`), whose nanoseconds must fit into 64 bits.
fn go_duration(text: &str) -> Option<Duration> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut nanos = 0.0;
    loop {
        let (number, after) = rest.split_at(rest.find(|c| !is_number(c))?);
        let (unit, after) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos += number.parse::<f64>().ok()? * size;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    if nanos >= i64::MAX as f64 {
        return None;
    }
    let sign = if text.starts_with('-') { 0.0 } else { 1.0 };
    Duration::try_from_secs_f64(sign * nanos / 1e9).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("1s", 1_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("250ms", 250_000_000),
            ("1h1m1s1ms1us1ns", 3_661_001_001_001),
            ("3µs", 3_000),
            ("+2ns", 2),
            ("-2m", 0),
            ("0.000000000000000000001h", 0),
        ] {
            let duration = Some(Duration::from_nanos(nanos));
            assert_eq!(go_duration(text), duration, "{text}");
        }
        for wrong in [
            "",
            "-",
            "+",
            "1",
            "s",
            ".s",
            "1.2.3s",
            "1d",
            "1 s",
            "1e3s",
            "1S",
            "9999999999h",
            "--1s",
        ] {
            assert_eq!(go_duration(wrong), None, "{wrong}");
        }
    }
}
