//! Durations as Prometheus writes them: `500ms`, `30s`, `1h30m` (page "Configuration",
//! `<duration>`): whole numbers with units, the larger unit first, each unit once.

use std::time::Duration;

use serde::{Deserialize as _, Deserializer, Serializer, de};

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
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DurationError::NoUnit);
    }
    let (mut rest, mut millis) = (text, Some(0_u64));
    for (unit, factor) in UNITS {
        let after_number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = &rest[..rest.len() - after_number.len()];
        // `1m` must not match the start of `1ms`.
        let after = after_number
            .strip_prefix(unit)
            .filter(|after| after.is_empty() || after.starts_with(|c: char| c.is_ascii_digit()));
        if let Some(after) = after.filter(|_| !number.is_empty()) {
            let added = number
                .parse()
                .ok()
                .and_then(|number: u64| number.checked_mul(factor));
            millis = millis
                .zip(added)
                .and_then(|(sum, added)| sum.checked_add(added));
            rest = after;
        }
    }
    if text.is_empty() || !rest.is_empty() {
        return Err(DurationError::Malformed);
    }
    millis
        .map(Duration::from_millis)
        .ok_or(DurationError::TooLong)
}

/// Serialises a duration as [`display`] shows it.
pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&display(*value))
}

/// Deserialises a text that [`parse`] reads.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// Shows a duration so that [`parse`] returns it, to the millisecond. Years, weeks and days
/// are used only where nothing is left over, as Prometheus does it.
#[must_use]
pub fn display(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let parts = UNITS.iter().filter_map(|&(unit, millis)| {
        let whole_only = matches!(unit, "y" | "w" | "d");
        let fits = left >= millis && (!whole_only || left % millis == 0);
        fits.then(|| {
            let part = format!("{}{unit}", left / millis);
            left %= millis;
            part
        })
    });
    parts.collect()
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
        let shown = |text| display(parse(text).expect("a duration"));
        assert_eq!(shown("90m"), "1h30m");
        assert_eq!(shown("14d"), "2w");
        assert_eq!(shown("36h"), "36h");
        assert_eq!(shown("1500ms"), "1s500ms");
        assert_eq!(format!("{:>6}|", display(Duration::ZERO)), "    0s|");
    }

    proptest! {
        #[test]
        fn a_displayed_duration_parses_to_the_same(millis in prop_oneof![any::<u64>(), 0_u64..100_000_000]) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&display(duration)), Ok(duration));
        }

        #[test]
        fn a_parsed_text_is_unchanged_when_displayed_and_parsed(text in "[0-9a-z.+ -]{0,12}") {
            if let Ok(duration) = parse(&text) {
                prop_assert_eq!(parse(&display(duration)), Ok(duration));
            }
        }
    }
}
