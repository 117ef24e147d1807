//! Numbers and times as people read them.

use std::fmt::Display;
use std::time::Duration;

use httpdate::fmt_http_date;

use crate::clock::Timestamp;

/// A moment: how long ago it was, and the moment itself for whoever points at that.
#[derive(Debug)]
pub(super) struct When {
    pub(super) ago: String,
    /// As HTTP writes it.
    pub(super) full: String,
}

impl When {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self {
            ago: format!("{} ago", span(now.since(at))),
            full: fmt_http_date(at.to_system_time()),
        }
    }
}

/// A span of time in its one or two largest units.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A whole number with its digits in groups of three.
pub(super) fn number(number: impl Display) -> String {
    let digits = number.to_string();
    let (mut grouped, first) = (String::new(), digits.len() % 3);
    for (at, digit) in digits.char_indices() {
        if at != 0 && at % 3 == first {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A part of a whole in percent; all and nothing are said only where they are meant.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let tenths = (part * 1000 + whole / 2) / whole;
    let tenths = if part == 0 { 0 } else { tenths.max(1) };
    let tenths = if part < whole {
        tenths.min(999)
    } else {
        tenths
    };
    match tenths {
        0 => "0 %".to_owned(),
        1000 => "100 %".to_owned(),
        _ => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

/// A rate in at most two digits behind the point.
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
    fn a_percentage_is_all_or_nothing_only_where_it_is() {
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
    fn spans_have_the_units_that_matter() {
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
