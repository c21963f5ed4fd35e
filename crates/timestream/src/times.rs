//! Moments and lengths of time as text, which is what a text literal means where one of them is needed; the
//! calendars' boundaries.

use arrow_schema::TimeUnit;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use crate::query::Calendar;

/// As some programs write the zone of a moment.
const UTC: &str = " UTC";

/// Nanoseconds of a unit.
#[must_use]
pub const fn nanos_of(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// UTC nanoseconds of `2026-07-04T14:38:08.5Z`, with any offset; without one, or with ` UTC` for it, it is UTC; a
/// date alone is its midnight.
/// None if it is no moment, or one beyond 64 bits of nanoseconds (1677 to 2262), or has a zone in brackets.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<i64> {
    // What is read here would take a zone and pass it over: the moment would be another one.
    if has_zone(text) {
        return None;
    }
    if let Some(civil) = text.strip_suffix(UTC) {
        let moment: Timestamp = format!("{civil}Z").parse().ok()?;
        return i64::try_from(moment.as_nanosecond()).ok();
    }
    let moment = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    i64::try_from(moment.as_nanosecond()).ok()
}

/// What keeps [`parse_timestamp`] from reading a text that is a moment otherwise, in words after "it is";
/// none if it is no moment at all.
#[must_use]
pub fn why_unread(text: &str) -> Option<&'static str> {
    if has_zone(text) {
        return Some(
            "written with a zone in brackets, which is not read: write its offset, as +02:00, or the time in UTC",
        );
    }
    // The last day that a date can be is beyond what a moment can.
    let civil = text.strip_suffix(UTC).unwrap_or(text).trim_end_matches('Z');
    let is_moment = text.parse::<Timestamp>().is_ok() || civil.parse::<DateTime>().is_ok();
    is_moment.then_some("beyond the times that 64 bits of nanoseconds hold, 1677 to 2262")
}

/// Whether a text has a zone as in `2026-07-04T14:38:08[Europe/Berlin]`.
fn has_zone(text: &str) -> bool {
    text.contains('[')
}

/// Nanoseconds of `1h30m`, `1h 30m`, `2 days`, `1.5s`, `PT1H`; a day is 24 hours, a week 7 days. Of one below
/// zero pandas writes the days with a sign and what is to be added to them: `-1 days +23:00:00`. None if it is
/// no length of time, or names months or years, which have no one length.
#[must_use]
pub fn parse_duration(text: &str) -> Option<i64> {
    match text.split_once(" days +") {
        Some((days, rest)) if days.starts_with('-') => {
            parse_span(&format!("{days} days"))?.checked_add(parse_span(&format!("0 days {rest}"))?)
        }
        _ => parse_span(text),
    }
}

fn parse_span(text: &str) -> Option<i64> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    i64::try_from(duration.as_nanos()).ok()
}

/// A moment as [`parse_timestamp`] reads it.
#[must_use]
pub fn timestamp_text(nanos: i64) -> String {
    far_timestamp_text(i128::from(nanos)).unwrap_or_else(|| nanos.to_string())
}

/// The same, of a moment that 64 bits of nanoseconds may not hold; none beyond the years -9999 to 9999.
#[must_use]
pub fn far_timestamp_text(nanos: i128) -> Option<String> {
    const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let since = SignedDuration::try_from_nanos_i128(nanos)?;
    Some(format!("{}Z", EPOCH.checked_add(since).ok()?))
}

/// A length of time as [`parse_duration`] reads it: `1h 30m`.
#[must_use]
pub fn duration_text(nanos: i64) -> String {
    far_duration_text(i128::from(nanos)).unwrap_or_else(|| nanos.to_string())
}

/// The same, of a length that 64 bits of nanoseconds may not hold; none beyond 64 bits of seconds.
#[must_use]
pub fn far_duration_text(nanos: i128) -> Option<String> {
    Some(format!("{:#}", SignedDuration::try_from_nanos_i128(nanos)?))
}

impl Calendar {
    /// Every calendar, with its name as the language has it.
    pub const ALL: [(&'static str, Self); 5] = [
        ("minutely", Self::Minutely),
        ("hourly", Self::Hourly),
        ("daily", Self::Daily),
        ("monthly", Self::Monthly),
        ("yearly", Self::Yearly),
    ];

    /// Its name as the language has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, calendar)| *calendar == self).map_or("", |(name, _)| name)
    }

    /// The first boundary at or after a moment, both in UTC nanoseconds; none beyond 64 bits of them (2262).
    #[must_use]
    pub fn at_or_after(self, nanos: i64) -> Option<i64> {
        const SECOND: i64 = 1_000_000_000;
        let step = match self {
            Self::Minutely => 60 * SECOND,
            Self::Hourly => 3600 * SECOND,
            Self::Daily => 24 * 3600 * SECOND,
            Self::Monthly | Self::Yearly => return self.first_at_or_after(nanos),
        };
        match nanos.rem_euclid(step) {
            0 => Some(nanos),
            rest => nanos.checked_add(step - rest),
        }
    }

    /// The boundary after a moment.
    #[must_use]
    pub fn after(self, nanos: i64) -> Option<i64> {
        self.at_or_after(nanos.checked_add(1)?)
    }

    /// As [`Self::at_or_after`], of calendars whose intervals differ in length.
    fn first_at_or_after(self, nanos: i64) -> Option<i64> {
        let moment = Timestamp::from_nanosecond(i128::from(nanos)).ok()?;
        let date = moment.to_zoned(TimeZone::UTC).date();
        let first = match self {
            Self::Yearly => date.first_of_year(),
            _ => date.first_of_month(),
        };
        let nanos_of = |date: Date| {
            let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
            i64::try_from(midnight.as_nanosecond()).ok()
        };
        // Before 1677-10 the first of the month is beyond the range, and so is not the moment itself.
        if nanos_of(first) == Some(nanos) {
            return Some(nanos);
        }
        let span = match self {
            Self::Yearly => Span::new().years(1),
            _ => Span::new().months(1),
        };
        nanos_of(first.checked_add(span).ok()?)
    }
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
            ("2026-07-04 14:38:08 UTC", Some(second)),
            ("2026-07-04T14:38:08.5 UTC", Some(second + 500_000_000)),
            ("2026-07-04T14:38:08+02:00 UTC", None),
            ("2026-07-04T14:38:08Z UTC", None),
            ("soon UTC", None),
            ("1970-01-02", Some(86_400_000_000_000)),
            ("1969-12-31T23:59:59.999999999Z", Some(-1)),
            ("9999-01-01", None),
            ("2026-07-04T14:38:08[Europe/Berlin]", None),
            ("2026-07-04T14:38:08+02:00[Europe/Berlin]", None),
            ("2026-07-04[UTC]", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_timestamp(text), nanos, "{text}");
        }
        for nanos in [0, -1, second, i64::MIN, i64::MAX] {
            assert_eq!(parse_timestamp(&timestamp_text(nanos)), Some(nanos));
        }
        for (seconds, text) in [
            (253_402_300_799, Some("9999-12-31T23:59:59Z")),
            (253_402_300_800, None),
            (-62_135_596_800, Some("0001-01-01T00:00:00Z")),
            (i64::MAX, None),
            (i64::MIN, None),
        ] {
            assert_eq!(far_timestamp_text(i128::from(seconds) * 1_000_000_000).as_deref(), text);
        }
        for (text, why) in [
            ("9999-12-31", Some("beyond")),
            ("9999-12-31 23:59:59 UTC", Some("beyond")),
            ("2026-07-04T14:38:08[Europe/Berlin]", Some("zone")),
            ("yesterday", None),
        ] {
            assert_eq!(why_unread(text).is_some(), why.is_some(), "{text}");
            assert!(why_unread(text).unwrap_or_default().contains(why.unwrap_or_default()), "{text}");
        }
    }

    #[test]
    fn lengths_read_and_write() {
        let hour = 3_600_000_000_000;
        for (text, nanos) in [
            ("1h30m", Some(hour + hour / 2)),
            ("1h 30m", Some(hour + hour / 2)),
            ("0 days 01:00:00", Some(hour)),
            ("-1 days +23:00:00", Some(-hour)),
            ("-2 days +22:29:59.5", Some(-25 * hour - hour / 2 - 500_000_000)),
            ("1 days +23:00:00", None),
            ("-1 days +soon", None),
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
        for (seconds, text) in
            [(i64::MAX, "2562047788015215h 30m 7s"), (i64::MIN, "2562047788015215h 30m 8s ago")]
        {
            let nanos = i128::from(seconds) * 1_000_000_000;
            assert_eq!(far_duration_text(nanos).as_deref(), Some(text));
        }
    }

    #[test]
    fn calendars_go_by_utc_over_years_and_leap_days() {
        let at = |text: &str| parse_timestamp(text).unwrap();
        for (calendar, moment, boundary) in [
            (Calendar::Minutely, "2026-11-21T10:00:00.000000001Z", "2026-11-21T10:01:00Z"),
            (Calendar::Minutely, "1969-12-31T23:59:30Z", "1970-01-01"),
            (Calendar::Hourly, "2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
            (Calendar::Hourly, "2026-12-31T23:00:01Z", "2027-01-01"),
            (Calendar::Daily, "2024-02-28T00:00:01Z", "2024-02-29"),
            (Calendar::Daily, "2023-02-28T00:00:01Z", "2023-03-01"),
            (Calendar::Daily, "1900-02-28T12:00:00Z", "1900-03-01"),
            (Calendar::Monthly, "2024-02-01T00:00:00.000000001Z", "2024-03-01"),
            (Calendar::Monthly, "2024-12-31T12:00:00Z", "2025-01-01"),
            (Calendar::Monthly, "2025-01-01", "2025-01-01"),
            (Calendar::Yearly, "2024-01-01", "2024-01-01"),
            (Calendar::Yearly, "2024-12-31T23:59:59.999999999Z", "2025-01-01"),
            (Calendar::Yearly, "1677-12-01", "1678-01-01"),
        ] {
            assert_eq!(calendar.at_or_after(at(moment)), Some(at(boundary)), "{calendar:?} {moment}");
            assert!(calendar.after(at(boundary)).unwrap() > at(boundary));
        }
        for (name, calendar) in Calendar::ALL {
            assert_eq!(calendar.at_or_after(i64::MAX), None, "{name}");
            assert!(calendar.at_or_after(i64::MIN).is_some(), "{name}");
        }
    }
}
