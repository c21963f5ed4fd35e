//! Event time of a firehose: the running maximum of its frames' `time`, guarded against one that is far ahead.
//!
//! The rules are those of a source's watermark: real relays' `time` falls back by up to a second at every
//! other frame, and one absurd `time` must not put the clock ahead for good. Where a server has little to
//! say, frames lie further apart than a `time` is believed ahead: what has passed by their arrival, too, is
//! no leap. The state is plain data, to be kept with the cursor.
//!
//! Whoever keeps a place in a stream goes by the same clock: what it does not believe is no place either.

/// How far above the maximum a `time` is believed, above arrival the first one, and above the event clock a time by
/// another clock: five minutes.
pub const BELIEVED: i64 = 5 * 60 * 1_000_000_000;

/// The state of the clock. Times are UTC nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventClock {
    /// The maximum so far; none before the first frame.
    pub newest: Option<i64>,
    /// How many of the last frames in a row were too far ahead.
    pub ahead: u8,
    /// The lowest `time` of those.
    pub lowest_ahead: i64,
    /// How many nanoseconds have passed by the frames' arrival that the clock has not gone forward.
    pub behind: i64,
}

impl EventClock {
    /// So many frames in a row that are further ahead are believed after all: [`ahead`](Self::ahead) is less.
    pub const CONVINCING: u8 = 16;

    /// Takes the `time` of the next frame. Gives the frame's event time, and whether its own was not believed.
    #[inline]
    pub fn tell(&mut self, time: i64) -> (i64, bool) {
        let Some(newest) = self.newest else {
            self.newest = Some(time);
            return (time, false);
        };
        if !self.believes(time) {
            return self.tell_ahead(time, newest);
        }
        self.ahead = 0;
        if time > newest {
            self.newest = Some(time);
            self.behind = self.behind.saturating_sub(time.saturating_sub(newest)).max(0);
        }
        (newest.max(time), false)
    }

    /// Whether a `time` is not too far ahead. Nothing is where no frame has come.
    #[inline]
    #[must_use]
    pub fn believes(&self, time: i64) -> bool {
        self.newest.is_none_or(|newest| time <= newest.saturating_add(BELIEVED).saturating_add(self.behind))
    }

    /// Takes the time by another clock: nothing up to it is ahead.
    #[inline]
    pub fn reach(&mut self, time: i64) {
        self.newest = self.newest.max(Some(time));
    }

    /// Takes how many nanoseconds after the one before the next frame arrived: so much further its `time` may be.
    #[inline]
    pub fn pass(&mut self, nanos: i64) {
        self.behind = self.behind.saturating_add(nanos.max(0));
    }

    #[cold]
    fn tell_ahead(&mut self, time: i64, newest: i64) -> (i64, bool) {
        self.lowest_ahead = if self.ahead == 0 { time } else { self.lowest_ahead.min(time) };
        self.ahead += 1;
        if self.ahead < Self::CONVINCING {
            return (newest, true);
        }
        self.ahead = 0;
        // What has passed meanwhile is still to come: a leap is none of it.
        self.newest = Some(self.lowest_ahead);
        (self.lowest_ahead, false)
    }

    /// Takes the `time` of a live connection's first frame, which is believed up to five minutes after its arrival.
    pub fn tell_first(&mut self, time: i64, arrival: i64) -> (i64, bool) {
        let cap = arrival.saturating_add(BELIEVED);
        let (event_time, held) = self.tell(time.min(cap));
        (event_time, held || time > cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn time_is_the_running_maximum() {
        let mut clock = EventClock::default();
        let told = [10, 12, 11, 12, 13].map(|time| clock.tell(time * SECOND));
        assert_eq!(told, [10, 12, 12, 12, 13].map(|time| (time * SECOND, false)));
    }

    #[test]
    fn a_time_is_believed_up_to_five_minutes_ahead() {
        let mut clock = EventClock::default();
        clock.tell(0);
        assert_eq!(clock.tell(BELIEVED + 1), (0, true));
        assert_eq!(clock.tell(BELIEVED), (BELIEVED, false));
        assert_eq!(clock.ahead, 0);
    }

    #[test]
    fn what_has_passed_by_arrival_is_no_leap() {
        let mut clock = EventClock::default();
        clock.tell(0);
        let hour = 12 * BELIEVED;
        for frame in 1..40 {
            clock.pass(hour);
            assert_eq!(clock.tell(frame * hour), (frame * hour, false));
        }
        // After a time without a connection, frames of that time come at once.
        clock.pass(3 * hour);
        for frame in 40..43 {
            assert_eq!(clock.tell(frame * hour), (frame * hour, false));
        }
        assert_eq!(clock.behind, 0);
        assert_eq!(clock.tell(44 * hour), (42 * hour, true));
        // What the clock has gone has passed no second time.
        clock.pass(hour);
        assert_eq!(clock.tell(42 * hour + BELIEVED), (42 * hour + BELIEVED, false));
        assert_eq!(clock.tell(43 * hour + BELIEVED + 1), (42 * hour + BELIEVED, true));
        assert_eq!(clock.tell(43 * hour + BELIEVED), (43 * hour + BELIEVED, false));
    }

    #[test]
    fn after_a_leap_it_goes_on_with_what_passes() {
        let mut clock = EventClock::default();
        clock.tell(0);
        let (hour, day) = (12 * BELIEVED, 288 * BELIEVED);
        let told = [0, day].into_iter().chain([day + 16 * hour, day + 17 * hour]);
        let mut newest: Vec<i64> = vec![0];
        for frame in 0..18 {
            clock.pass(hour);
            newest.push(clock.tell(day + frame * hour).0);
        }
        newest.dedup();
        assert!(newest.iter().copied().eq(told), "{newest:?}");
    }

    #[test]
    fn sixteen_in_a_row_move_the_clock_to_their_lowest() {
        let mut clock = EventClock::default();
        clock.tell(0);
        for frame in 0..15 {
            assert_eq!(clock.tell(BELIEVED + 100 - frame), (0, true));
        }
        assert_eq!(clock.tell(BELIEVED + 200), (BELIEVED + 86, false));
        assert_eq!(clock.tell(BELIEVED + 200), (BELIEVED + 200, false));
    }

    #[test]
    fn one_that_is_not_ahead_starts_the_row_again() {
        let mut clock = EventClock::default();
        clock.tell(0);
        for _ in 0..15 {
            clock.tell(2 * BELIEVED);
        }
        clock.tell(1);
        for _ in 0..15 {
            assert_eq!(clock.tell(3 * BELIEVED), (1, true));
        }
        // The lowest is of this row, not of the one before.
        assert_eq!(clock.tell(3 * BELIEVED), (3 * BELIEVED, false));
    }

    #[test]
    fn the_first_of_a_connection_is_capped_by_its_arrival() {
        let mut clock = EventClock::default();
        assert_eq!(clock.tell_first(i64::MAX, 7), (7 + BELIEVED, true));
        assert_eq!(clock.tell_first(8, 9), (7 + BELIEVED, false));
        assert_eq!(EventClock::default().tell_first(5, 7), (5, false));
    }
}
