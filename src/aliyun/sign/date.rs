//! Dates as both signatures carry them: `YYYY-MM-DDThh:mm:ssZ`, UTC, whole seconds.

use std::time::Duration;

use x509_cert::der::DateTime;

use crate::clock::Timestamp;

/// `at` as a signature carries it; fractions of a second are dropped. The latest date is the end
/// of the year 9999.
#[must_use]
pub fn format_date(at: Timestamp) -> String {
    let seconds = Duration::from_secs(at.as_millis() / 1000);
    DateTime::from_unix_duration(seconds)
        .unwrap_or(DateTime::INFINITY)
        .to_string()
}

/// The inverse of [`format_date`]; `None` for any other text, for a day that does not exist, and
/// for a time before 1970.
#[must_use]
pub fn parse_date(text: &str) -> Option<Timestamp> {
    let date: DateTime = text.parse().ok()?;
    Some(date.to_system_time().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_dates() {
        // `date -u -d @SECONDS +%FT%TZ`
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_456_231_484, "2016-02-23T12:44:44Z"),
            (1_698_315_752, "2023-10-26T10:22:32Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(
                format_date(Timestamp::from_millis(seconds * 1000 + 999)),
                date
            );
            assert_eq!(
                parse_date(date),
                Some(Timestamp::from_millis(seconds * 1000))
            );
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in [
            "",
            "2023-10-26 10:22:32Z",
            "2023-10-26T10:22:32",
            "2023-13-01T00:00:00Z",
            "2023-00-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2023-04-00T00:00:00Z",
            "2023-04-01T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "+023-04-01T00:00:00Z",
            "2023-04-01T00:00:0éZ",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_reverses_formatting(seconds in 0..253_402_300_800_u64) {
            let at = Timestamp::from_millis(seconds * 1000);
            prop_assert_eq!(parse_date(&format_date(at)), Some(at));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = parse_date(&text);
        }
    }
}
