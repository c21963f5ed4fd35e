//! Moments and lengths of time as text: what a text literal means where one of them is needed.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// UTC nanoseconds of `2026-07-04T14:38:08.5Z`, with any offset; without one it is UTC; a date alone is its midnight.
/// None if it is no moment, or one beyond 64 bits of nanoseconds (1677 to 2262).
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let moment = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    i64::try_from(moment.as_nanosecond()).ok()
}

/// Nanoseconds of `1h30m`, `1h 30m`, `2 days`, `1.5s`, `PT1H`; a day is 24 hours, a week 7 days. None if it is no length of
/// time, or names months or years, which have no one length.
#[must_use]
pub fn parse_duration(text: &str) -> Option<i64> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    i64::try_from(duration.as_nanos()).ok()
}

/// A moment as [`parse_timestamp`] reads it.
#[must_use]
pub fn timestamp_text(nanos: i64) -> String {
    Timestamp::from_nanosecond(i128::from(nanos))
        .map_or_else(|_| nanos.to_string(), |moment| moment.to_string())
}

/// A length of time as [`parse_duration`] reads it: `1h 30m`.
#[must_use]
pub fn duration_text(nanos: i64) -> String {
    format!("{:#}", SignedDuration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_and_write() {
        let second = 1_783_175_888_000_000_000;
        for (text, nanos) in [
            ("2026-07-04T14:38:08Z", Some(second)),
            ("2026-07-04T16:38:08.5+02:00", Some(second + 500_000_000)),
            ("2026-07-04T14:38:08", Some(second)),
            ("2026-07-04 14:38:08", Some(second)),
            ("1970-01-02", Some(86_400_000_000_000)),
            ("1969-12-31T23:59:59.999999999Z", Some(-1)),
            ("9999-01-01", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_timestamp(text), nanos, "{text}");
        }
        for nanos in [0, -1, second, i64::MIN, i64::MAX] {
            assert_eq!(parse_timestamp(&timestamp_text(nanos)), Some(nanos));
        }
    }

    #[test]
    fn lengths_read_and_write() {
        let hour = 3_600_000_000_000;
        for (text, nanos) in [
            ("1h30m", Some(hour + hour / 2)),
            ("1h 30m", Some(hour + hour / 2)),
            ("PT1H", Some(hour)),
            ("2 days", Some(48 * hour)),
            ("1w", Some(7 * 24 * hour)),
            ("-1h", Some(-hour)),
            ("1.5s", Some(1_500_000_000)),
            ("250ms", Some(250_000_000)),
            ("1 month", None),
            ("1 year", None),
            ("90", None),
            ("", None),
            ("1000000 days", None),
        ] {
            assert_eq!(parse_duration(text), nanos, "{text}");
        }
        for nanos in [0, 1, -1, hour + 1, i64::MAX, i64::MIN] {
            assert_eq!(parse_duration(&duration_text(nanos)), Some(nanos));
        }
    }
}
