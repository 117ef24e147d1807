//! Numbers and times as text for people.

use std::borrow::Borrow;
use std::fmt::Display;
use std::time::Duration;

use httpdate::fmt_http_date;

use crate::clock::Timestamp;
use crate::presence::{Status, StatusCounts};

/// How long ago `at` was. (Templates pass some values by reference.)
pub(super) fn ago(at: impl Borrow<Timestamp>, now: Timestamp) -> String {
    format!("{} ago", span(now.since(*at.borrow())))
}

/// A time in the format of HTTP.
pub(super) fn http_date(at: impl Borrow<Timestamp>) -> String {
    fmt_http_date(at.borrow().to_system_time())
}

/// A duration in its one or two largest units.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A whole number with a comma between groups of three digits.
pub(super) fn number(number: impl Display) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// A count, which `prometheus` keeps as a float.
pub(super) fn whole(count: f64) -> String {
    number(format_args!("{count:.0}"))
}

/// The clients of a status in percent of all; 0 and 100 only where the share is exact.
pub(super) fn share(counts: &StatusCounts, status: Status) -> String {
    percent(counts.of(status), counts.total())
}

fn percent(part: u64, whole: u64) -> String {
    match part {
        _ if whole == 0 => "–".to_owned(),
        0 => "0 %".to_owned(),
        _ if part == whole => "100 %".to_owned(),
        _ => {
            let tenths = ((part * 1000 + whole / 2) / whole).clamp(1, 999);
            format!("{}.{} %", tenths / 10, tenths % 10)
        }
    }
}

/// A rate with at most two decimals.
pub(super) fn rate(rate: f64) -> String {
    let text = format!("{rate:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let texts = [0, 7, 999, 1000, 12_345, 123_456, 1_234_567].map(number);
        assert_eq!(
            texts,
            ["0", "7", "999", "1,000", "12,345", "123,456", "1,234,567"]
        );
    }

    #[test]
    fn percentages_are_0_or_100_only_where_exact() {
        let texts = [
            (0, 0),
            (0, 5),
            (5, 5),
            (1, 100_000),
            (99_999, 100_000),
            (1, 3),
        ]
        .map(|(a, b)| percent(a, b));
        assert_eq!(texts, ["–", "0 %", "100 %", "0.1 %", "99.9 %", "33.3 %"]);
    }

    #[test]
    fn spans_have_their_largest_units() {
        let texts = [0, 59, 60, 3599, 3600, 90_000, 86_399]
            .map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(
            texts,
            [
                "0 s",
                "59 s",
                "1 min",
                "59 min",
                "1 h 0 min",
                "1 d 1 h",
                "23 h 59 min"
            ]
        );
    }

    #[test]
    fn rates_are_short() {
        assert_eq!(
            [220.0, 0.5, 3.333, 0.0].map(rate),
            ["220", "0.5", "3.33", "0"]
        );
    }
}
