//! Ticks (SEMANTICS 5.6), and the boundaries of the calendars, counted by hand.

use std::collections::{BTreeMap, BTreeSet};

use skytide_timestream::query::Calendar;

use super::points::{Place, Point, in_order};
use crate::value::Val;

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

/// The end of the interval that a moment belongs to, which is the moment itself at a boundary. None beyond 64 bits.
pub(super) fn end_of_interval(calendar: Calendar, moment: i64) -> Option<i64> {
    let moment = i128::from(moment);
    let day = moment.div_euclid(DAY);
    let steps = |length: i128| (moment + length - 1).div_euclid(length) * length;
    let end = match calendar {
        Calendar::Minutely => steps(60 * SECOND),
        Calendar::Hourly => steps(3_600 * SECOND),
        Calendar::Daily => steps(DAY),
        Calendar::Monthly | Calendar::Yearly => {
            let is_first = |day: i128| {
                let (month, of_month) = month_and_day(day);
                of_month == 1 && (month == 1 || calendar == Calendar::Monthly)
            };
            let is_midnight = moment == day * DAY;
            let mut end = if is_midnight { day } else { day + 1 };
            while !is_first(end) {
                end += 1;
            }
            end * DAY
        }
    };
    i64::try_from(end).ok()
}

/// The end of the interval after so many others that follow the one which ends here.
pub(super) fn ends_later(calendar: Calendar, end: i64, intervals: u32) -> Option<i64> {
    (0..intervals).try_fold(end, |end, _| end_of_interval(calendar, end.checked_add(1)?))
}

/// Month (from 1) and day of the month (from 1) of a day that is counted from 1970-01-01, by taking away year
/// after year and month after month.
fn month_and_day(day: i128) -> (usize, i128) {
    // The calendar repeats itself every 400 years.
    let (mut year, mut left) = (1970, day.rem_euclid(146_097));
    loop {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let february = if is_leap { 29 } else { 28 };
        for (month, days) in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].into_iter().enumerate() {
            if left < days {
                return (month + 1, left + 1);
            }
            left -= days;
        }
        year += 1;
    }
}

/// The ticks of points: a key has one at the end of each interval while one of the last so many holds a
/// point, and one more; none after the end of the run.
pub(super) fn ticks(
    points: &[Point],
    grouping: &str,
    calendar: Calendar,
    intervals: u32,
    last: Option<i64>,
) -> Vec<Point> {
    let mut ends: BTreeMap<Val, BTreeSet<i64>> = BTreeMap::new();
    for point in points {
        let Some(first) = end_of_interval(calendar, point.place.time) else { continue };
        let ends = ends.entry(point.key.clone()).or_default();
        let all = (0..=intervals).map_while(|later| ends_later(calendar, first, later));
        ends.extend(all.take_while(|end| last.is_some_and(|last| *end <= last)));
    }
    let tick = |key: &Val, time: i64| Point {
        place: Place::tick(time, grouping, key.clone()),
        own: Place::tick(time, grouping, key.clone()),
        is_of_source: false,
        copy: 0,
        key: key.clone(),
        value: Val::Null,
    };
    in_order(ends.iter().flat_map(|(key, ends)| ends.iter().map(move |end| tick(key, *end))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_time;

    #[test]
    fn intervals_end_at_boundaries_and_hold_them() {
        let at = |text: &str| parse_time(text).unwrap();
        for (calendar, moment, end) in [
            (Calendar::Minutely, "2026-11-21T10:00:00.000000001Z", "2026-11-21T10:01:00Z"),
            (Calendar::Minutely, "1969-12-31T23:59:30Z", "1970-01-01T00:00:00Z"),
            (Calendar::Hourly, "2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
            (Calendar::Hourly, "2026-12-31T23:00:01Z", "2027-01-01T00:00:00Z"),
            (Calendar::Daily, "2024-02-28T00:00:01Z", "2024-02-29T00:00:00Z"),
            (Calendar::Daily, "2023-02-28T00:00:01Z", "2023-03-01T00:00:00Z"),
            (Calendar::Monthly, "2024-02-01T00:00:00.000000001Z", "2024-03-01T00:00:00Z"),
            (Calendar::Monthly, "2100-02-28T12:00:00Z", "2100-03-01T00:00:00Z"),
            (Calendar::Monthly, "2000-02-28T12:00:00Z", "2000-03-01T00:00:00Z"),
            (Calendar::Monthly, "1969-12-31T12:00:00Z", "1970-01-01T00:00:00Z"),
            (Calendar::Monthly, "2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
            (Calendar::Yearly, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
            (Calendar::Yearly, "2024-12-31T23:59:59.999999999Z", "2025-01-01T00:00:00Z"),
            (Calendar::Yearly, "1677-12-01T00:00:00Z", "1678-01-01T00:00:00Z"),
        ] {
            assert_eq!(end_of_interval(calendar, at(moment)), Some(at(end)), "{calendar:?} {moment}");
        }
        assert_eq!(end_of_interval(Calendar::Minutely, i64::MAX), None);
        assert_eq!(
            ends_later(Calendar::Yearly, at("2023-01-01T00:00:00Z"), 2),
            Some(at("2025-01-01T00:00:00Z"))
        );
        assert_eq!(
            ends_later(Calendar::Daily, at("2024-02-28T00:00:00Z"), 2),
            Some(at("2024-03-01T00:00:00Z"))
        );
    }

    #[test]
    fn a_century_of_days_has_the_dates_of_the_calendar() {
        let mut date = jiff::civil::date(1890, 1, 1);
        let mut day = -29_219;
        while date.year() < 2110 {
            let (month, of_month) = month_and_day(day);
            assert_eq!((month, of_month), (date.month() as usize, i128::from(date.day())), "{date}");
            date = date.tomorrow().unwrap();
            day += 1;
        }
    }
}
