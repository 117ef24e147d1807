//! Durations as Prometheus writes them: `500ms`, `30s`, `1h30m` (page "Configuration",
//! `<duration>`): whole numbers with units, the larger unit first, each unit once.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// One day.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// The units and their milliseconds, the largest first.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A number alone.
    #[error("it has no unit")]
    NoUnit,
    /// Anything else.
    #[error("write `500ms`, `30s` or `1h30m`")]
    Malformed,
    /// More milliseconds than can be counted.
    #[error("it is too long")]
    TooLong,
}

/// Reads a duration; `0` needs no unit.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = |text: &str| {
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len())
    };
    let (mut rest, mut units, mut millis) = (text, UNITS.as_slice(), 0_u64);
    if !text.is_empty() && digits(text) == text.len() {
        return Err(DurationError::NoUnit);
    }
    while !rest.is_empty() || units.len() == UNITS.len() {
        let (number, after) = rest.split_at(digits(rest));
        let (unit, after) = after.split_at(
            after
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(after.len()),
        );
        let at = units
            .iter()
            .position(|&(name, _)| name == unit)
            .ok_or(DurationError::Malformed)?;
        if number.is_empty() {
            return Err(DurationError::Malformed);
        }
        let added = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(units[at].1));
        millis = added
            .and_then(|added| millis.checked_add(added))
            .ok_or(DurationError::TooLong)?;
        units = &units[at + 1..];
        rest = after;
    }
    Ok(Duration::from_millis(millis))
}

/// Shows a duration so that [`parse`] gives it back, to the millisecond. Years, weeks and days
/// are used only where nothing is left over, as Prometheus does it.
#[must_use]
pub fn display(duration: Duration) -> impl fmt::Display {
    Shown(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

struct Shown(u64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("0s");
        }
        let (mut left, mut text) = (self.0, String::new());
        for (n, (name, millis)) in UNITS.into_iter().enumerate() {
            let whole_only = n < 3;
            if left >= millis && (!whole_only || left % millis == 0) {
                write!(text, "{}{name}", left / millis)?;
                left %= millis;
            }
        }
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_written_as_prometheus_writes_them() {
        let millis = |text| parse(text).map(|duration| duration.as_millis());
        for (text, expected) in [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("1w", 604_800_000),
        ] {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
        for text in [
            "", "s", "1s1h", "1s1s", "1.5s", "-1s", "1 s", "5sec", "1h30", "+1s",
        ] {
            assert_eq!(millis(text), Err(DurationError::Malformed), "{text}");
        }
        assert_eq!(millis("30"), Err(DurationError::NoUnit));
        assert_eq!(millis("99999999999999999999y"), Err(DurationError::TooLong));
        assert_eq!(millis("9999999999999y"), Err(DurationError::TooLong));
        let shown = |text| display(parse(text).expect("a duration")).to_string();
        assert_eq!(shown("90m"), "1h30m");
        assert_eq!(shown("14d"), "2w");
        assert_eq!(shown("36h"), "36h");
        assert_eq!(shown("1500ms"), "1s500ms");
        assert_eq!(format!("{:>6}|", display(Duration::ZERO)), "    0s|");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_the_same(millis in prop_oneof![any::<u64>(), 0_u64..100_000_000]) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&display(duration).to_string()), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_fall_over(text in "[0-9a-z.+ -]{0,12}") {
            if let Ok(duration) = parse(&text) {
                prop_assert_eq!(parse(&display(duration).to_string()), Ok(duration));
            }
        }
    }
}
