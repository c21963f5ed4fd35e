//! Aggregations over their windows (SEMANTICS 4, 5), each value from what stands in the window and nothing else.
//!
//! What an aggregation folds are its value's own points: those that only the ends of a window bring fold
//! nothing, also where the value holds. A sum that overflows is counted once where a window goes on (none,
//! `since`), and at each value that it makes null where it is folded anew (the others).

use std::collections::BTreeMap;

use arrow_schema::DataType;
use skytide_timestream::query::{Aggregation, Calendar, Ends, Window};

use super::aggregates::{State, make};
use super::calendar::{end_of_interval, ends_later};
use super::points::{Joined, Place, Point, Stream, join};
use super::{ReferenceError, Warnings};
use crate::value::Val;

/// What the points of an aggregation are folded with.
pub(super) struct Fold<'a> {
    /// The function, its constants, its window.
    pub(super) aggregation: &'a Aggregation,
    /// Type of the result.
    pub(super) out: &'a DataType,
    /// Whose ticks end its windows, if ticks do.
    pub(super) calendar: Option<Calendar>,
    /// The time up to which there are ticks; none where there is no event.
    pub(super) last: Option<i64>,
}

impl Fold<'_> {
    fn state(&self) -> Result<State, ReferenceError> {
        make(self.aggregation.function.name, &self.aggregation.constants, self.out)
    }

    /// The value over some values from the first on.
    fn over<'v>(
        &self,
        values: impl Iterator<Item = &'v Val>,
        warnings: &mut Warnings,
    ) -> Result<Val, ReferenceError> {
        let mut state = self.state()?;
        // Nothing folded is as good as a null folded.
        let nothing = state(&Val::Null, warnings);
        Ok(values.fold(nothing, |_, value| state(value, warnings)))
    }

    /// The points of the aggregation, with its values.
    pub(super) fn points(
        &self,
        args: &[&Stream],
        warnings: &mut Warnings,
    ) -> Result<Vec<Point>, ReferenceError> {
        let joined = join(args);
        match self.aggregation.window {
            Window::All => self.since(joined, None, warnings),
            Window::Since(ends) => self.since(joined, Some(ends), warnings),
            Window::Tumbling(ends) => self.sliding(joined, 1, ends, warnings),
            Window::Sliding(intervals, ends) => self.sliding(joined, intervals, ends, warnings),
            Window::Trailing(nanos) => self.trailing(&joined, nanos, warnings),
        }
    }

    /// 5.1, 5.2: the point that ends a window still counts; the next one finds an empty window.
    fn since(
        &self,
        joined: Vec<Joined>,
        ends: Option<Ends>,
        warnings: &mut Warnings,
    ) -> Result<Vec<Point>, ReferenceError> {
        let mut windows: BTreeMap<Val, (State, Option<i64>)> = BTreeMap::new();
        let mut points = Vec::new();
        for at in joined {
            let known = windows.remove(&at.point.key);
            let (mut state, newest) = match known.filter(|(_, newest)| !self.has_passed(*newest, &at)) {
                Some(known) => known,
                None => (self.state()?, None),
            };
            let value = state(own(&at), warnings);
            if !ends.is_some_and(|ends| is_end(&at, ends)) {
                let newest = if at.is_of[0] { Some(at.point.place.time) } else { newest };
                windows.insert(at.point.key.clone(), (state, newest));
            }
            points.push(Point { value, ..at.point });
        }
        Ok(points)
    }

    /// Whether the window that holds a point of this time ended before another without a tick: there are none
    /// after the end of the run, where points that were moved are (7.1).
    fn has_passed(&self, newest: Option<i64>, at: &Joined) -> bool {
        let end = newest.zip(self.calendar).and_then(|(time, calendar)| end_of_interval(calendar, time));
        end.is_some_and(|end| {
            self.last.is_none_or(|last| end > last) && Place::tick(end, "", Val::Null) < at.point.place
        })
    }

    /// 5.3, 5.4: a value at each end, over the intervals up to there.
    fn sliding(
        &self,
        joined: Vec<Joined>,
        intervals: u32,
        ends: Ends,
        warnings: &mut Warnings,
    ) -> Result<Vec<Point>, ReferenceError> {
        /// What a key had up to now.
        #[derive(Default)]
        struct Had {
            /// Its points, each with the number of its interval, where true points end them.
            points: Vec<Joined>,
            intervals: Vec<u32>,
            ended: u32,
        }
        let mut keys: BTreeMap<Val, Had> = BTreeMap::new();
        let mut points = Vec::new();
        for at in joined {
            let had = keys.entry(at.point.key.clone()).or_default();
            had.points.push(at.clone());
            had.intervals.push(had.ended);
            if !is_end(&at, ends) {
                continue;
            }
            let is_within = |(one, interval): &(&Joined, &u32)| match self.calendar {
                // By the calendar an interval may pass without a tick.
                Some(calendar) => {
                    let end = end_of_interval(calendar, one.point.place.time);
                    let last = end.and_then(|end| ends_later(calendar, end, intervals - 1));
                    last.is_none_or(|last| last >= at.point.place.time)
                }
                None => had.ended - **interval < intervals,
            };
            let within = had.points.iter().zip(&had.intervals).filter(is_within);
            let value = self.over(within.map(|(one, _)| own(one)), warnings)?;
            points.push(Point { value, ..at.point });
            had.ended += 1;
        }
        Ok(points)
    }

    /// 5.5: over `(t - d, t]`, as of each point.
    fn trailing(
        &self,
        joined: &[Joined],
        nanos: i64,
        warnings: &mut Warnings,
    ) -> Result<Vec<Point>, ReferenceError> {
        let mut points = Vec::new();
        for (number, at) in joined.iter().enumerate() {
            let after = i128::from(at.point.place.time) - i128::from(nanos);
            let within = joined[..=number]
                .iter()
                .filter(|one| one.point.key == at.point.key && i128::from(one.point.place.time) > after);
            let value = self.over(within.map(own), warnings)?;
            points.push(Point { value, ..at.point.clone() });
        }
        Ok(points)
    }
}

/// The aggregated value at a point, null where it is none of the value's own.
fn own(at: &Joined) -> &Val {
    if at.is_of[0] { &at.values[0] } else { &Val::Null }
}

/// Whether a window ends at a point.
fn is_end(at: &Joined, ends: Ends) -> bool {
    match ends {
        Ends::Predicate => at.values[1] == Val::Bool(true),
        Ends::Ticks => at.is_of[1],
    }
}
