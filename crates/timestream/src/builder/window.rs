//! Over which of a key's points an aggregation goes.

use super::{Timestream, call, source};
use crate::query::Calendar;

/// Over which of a key's points an aggregation goes: [`Timestream::over`] takes it.
#[derive(Debug, Clone)]
pub struct Window(pub(super) Timestream);

impl Window {
    fn call(name: &str, args: impl IntoIterator<Item = Timestream>) -> Self {
        Self(call(name, args))
    }

    fn by(name: &str, calendar: Calendar, args: impl IntoIterator<Item = Timestream>) -> Self {
        Self(source(name).apply(calendar.name(), args))
    }

    /// The points since a condition was last true.
    #[must_use]
    pub fn since(predicate: impl Into<Timestream>) -> Self {
        Self::call("since", [predicate.into()])
    }

    /// The points since the last boundary of a calendar.
    ///
    /// ```
    /// use skytide_timestream::builder::{Window, source};
    /// use skytide_timestream::query::Calendar;
    ///
    /// let count = source("posts").count().over(Window::since_each(Calendar::Hourly));
    /// assert_eq!(count.to_string(), "posts.count(window=since.hourly())");
    /// ```
    #[must_use]
    pub fn since_each(calendar: Calendar) -> Self {
        Self::by("since", calendar, [])
    }

    /// The points between two at which a condition is true; a value at each of those.
    #[must_use]
    pub fn tumbling(predicate: impl Into<Timestream>) -> Self {
        Self::call("tumbling", [predicate.into()])
    }

    /// The points between two boundaries of a calendar; a value at each boundary.
    ///
    /// ```
    /// use skytide_timestream::builder::{Window, source};
    /// use skytide_timestream::query::Calendar;
    ///
    /// let count = source("posts").count().over(Window::tumbling_each(Calendar::Daily));
    /// assert_eq!(count.to_string(), "posts.count(window=tumbling.daily())");
    /// ```
    #[must_use]
    pub fn tumbling_each(calendar: Calendar) -> Self {
        Self::by("tumbling", calendar, [])
    }

    /// The points of the last so many intervals between points at which a condition is true; a value at each
    /// of those.
    #[must_use]
    pub fn sliding(intervals: u32, predicate: impl Into<Timestream>) -> Self {
        Self::call("sliding", [i64::from(intervals).into(), predicate.into()])
    }

    /// The points of the last so many intervals of a calendar; a value at each boundary.
    ///
    /// ```
    /// use skytide_timestream::builder::{Window, source};
    /// use skytide_timestream::query::Calendar;
    ///
    /// let count = source("posts").count().over(Window::sliding_each(2, Calendar::Minutely));
    /// assert_eq!(count.to_string(), "posts.count(window=sliding.minutely(2))");
    /// ```
    #[must_use]
    pub fn sliding_each(intervals: u32, calendar: Calendar) -> Self {
        Self::by("sliding", calendar, [i64::from(intervals).into()])
    }

    /// The points of the last so long, as `1h30m`.
    #[must_use]
    pub fn trailing(duration: &str) -> Self {
        Self::call("trailing", [duration.into()])
    }
}
