//! Dates as both signatures carry them: `YYYY-MM-DDThh:mm:ssZ`, UTC, whole seconds.

use crate::clock::Timestamp;

const SECONDS_PER_DAY: u64 = 86_400;

/// `at` as a signature carries it; the part of a second is dropped.
#[must_use]
pub fn format_date(at: Timestamp) -> String {
    let seconds = at.as_millis() / 1000;
    let (year, month, day) = civil_from_days(seconds / SECONDS_PER_DAY);
    let second = seconds % SECONDS_PER_DAY;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// The inverse of [`format_date`]; `None` for any other text, for a day that no calendar has, and
/// for a time before 1970.
#[must_use]
pub fn parse_date(text: &str) -> Option<Timestamp> {
    let pattern = b"dddd-dd-ddTdd:dd:ddZ";
    let fits = text.len() == pattern.len()
        && text.bytes().zip(pattern).all(|(c, p)| {
            if *p == b'd' {
                c.is_ascii_digit()
            } else {
                c == *p
            }
        });
    if !fits {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year < 1970 || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_civil(year, month, day);
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    Some(Timestamp::from_millis(
        (days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second) * 1000,
    ))
}

/// Days between 0000-03-01 and 1970-01-01, and in one Gregorian cycle of 400 years.
const EPOCH: u64 = 719_468;
const CYCLE: u64 = 146_097;

/// The date of a day since the epoch. Years are counted from March, so that the leap day is the
/// last of its year and months have lengths that a line (153 days in 5 months) fits.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + EPOCH;
    let (cycle, day_of_cycle) = (shifted / CYCLE, shifted % CYCLE);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (
        cycle * 400 + year_of_cycle + u64::from(month <= 2),
        month,
        day,
    )
}

/// The inverse, from 1970 on; a day past the end of its month counts into the next.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (cycle, year_of_cycle) = (year / 400, year % 400);
    let month_from_march = (month + 9) % 12;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100
        + (153 * month_from_march + 2) / 5;
    cycle * CYCLE + day_of_cycle + day - 1 - EPOCH
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
    fn what_is_no_date_is_refused() {
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
        fn a_date_comes_back(seconds in 0..253_402_300_800_u64) {
            let at = Timestamp::from_millis(seconds * 1000);
            prop_assert_eq!(parse_date(&format_date(at)), Some(at));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = parse_date(&text);
        }
    }
}
