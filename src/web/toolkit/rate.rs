//! `rate_limit`: how many requests are answered.

use std::time::Duration;

use crate::config::{NodeCursor, Report, ScalarKind, Value, quote};

/// A token bucket that is full at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) struct RateLimit {
    /// How long a token takes.
    pub(in crate::web) interval: Duration,
    /// How many there may be.
    pub(in crate::web) burst: u32,
}

const RATE_LIMIT: [&str; 2] = ["interval", "burst"];

/// `None` also where there is to be no limit.
pub(super) fn rate_limit(at: &NodeCursor<'_>, report: &mut Report) -> Option<RateLimit> {
    let [interval_at, burst_at] = at.fields(RATE_LIMIT, report)?;
    let burst = burst_at
        .and_then(|at| at.integer(report, 0, u32::MAX))
        .unwrap_or(0);
    let interval = interval_at
        .and_then(|at| interval(&at, report))
        .filter(|interval| !interval.is_zero())?;
    if burst == 0 {
        at.warning(
            report,
            "`burst` is 0, so that every request is refused; write how many may come at once",
        );
    }
    Some(RateLimit { interval, burst })
}

/// A duration as Go reads it; what is below zero counts as zero. A number is one of nanoseconds.
fn interval(at: &NodeCursor<'_>, report: &mut Report) -> Option<Duration> {
    let nanos = match at.value() {
        Value::Scalar(ScalarKind::Number, text) => text.parse().ok(),
        Value::Scalar(ScalarKind::Text, text) => go_duration(text),
        _ => None,
    };
    if nanos.is_none() {
        let found = at.scalar(report)?;
        at.problem(
            report,
            format!(
                "{} is not a duration; write one such as `1s` or `250ms`",
                quote(found)
            ),
        );
    }
    nanos.map(|nanos: i64| Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
}

const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The nanoseconds of a text such as `1h2.5s` (Go's `time.ParseDuration`).
fn go_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut nanos = 0_u128;
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(times(number, *size)?)?;
        rest = after;
    }
    let nanos = i64::try_from(nanos).ok()?;
    (text.len() > usize::from(text.starts_with(['-', '+']))).then_some(if negative {
        -nanos
    } else {
        nanos
    })
}

/// `number` of units of `size` nanoseconds.
fn times(number: &str, size: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let digits = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u128>().ok()
        }
    };
    // More digits than these are less than a nanosecond.
    let fraction = &fraction[..fraction.len().min(15)];
    let part = digits(fraction)? * size / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    digits(whole)?.checked_mul(size)?.checked_add(part)
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
            ("-2m", -120_000_000_000),
            ("0.000000000000000000001h", 0),
        ] {
            assert_eq!(go_duration(text), Some(nanos), "{text}");
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
