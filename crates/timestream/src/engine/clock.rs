//! How far time has come: what lets go of ticks and of rows that wait.

/// How far time has come with an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// All points before this time are here (SEMANTICS 7.3), UTC nanoseconds.
    pub watermark: i64,
    /// Set with the last epoch, where an end is meant: what waits then still comes.
    pub end: Option<End>,
}

/// Up to which times, inclusive, what an operator adds still comes at the end (SEMANTICS 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Ticks.
    pub ticks: i64,
    /// Points that were moved.
    pub moved: i64,
}

impl Clock {
    /// At the start: nothing is known.
    pub const START: Self = Self { watermark: i64::MIN, end: None };

    /// Whether a tick of a time comes now: all points of its time are here.
    pub(super) fn ticks(&self, time: i64) -> bool {
        time < self.watermark || self.end.is_some_and(|end| time <= end.ticks)
    }

    /// Whether a point moved to a time comes now: all points before it are here, and among them those that
    /// are moved there.
    pub(super) fn moved(&self, time: i64) -> bool {
        time <= self.watermark || self.end.is_some_and(|end| time <= end.moved)
    }

    /// Whether all points of a time are here.
    pub(super) fn has_passed(&self, time: i64) -> bool {
        time < self.watermark || self.end.is_some()
    }
}
