//! Event time of a firehose: the running maximum of its frames' `time`, guarded against one that is far ahead.
//!
//! The rules are those of a source's watermark: real relays' `time` falls back by up to a second at every
//! other frame, and one absurd `time` must not put the clock ahead for good. What a quiet server has to say
//! lies hours apart, and comes within a second where it is replayed: over a connection a `time` that is not
//! beyond its frame's arrival is therefore no leap. It can be true, and the worst that one does which is not
//! is to put the clock where it will be anyway. The state is plain data, to be kept with the cursor.
//!
//! A place in a stream of numbered frames goes by the same clock.

/// How far above the later of the maximum and its arrival a `time` is believed, and above what is believed of
/// its frame a time by another clock: five minutes.
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
}

impl EventClock {
    /// So many frames in a row that are further ahead are believed after all: [`ahead`](Self::ahead) is less.
    pub const CONVINCING: u8 = 16;

    /// Takes the `time` of the next frame, and when that arrived, where it is known. Gives the frame's event time, and
    /// whether its own was not believed.
    #[inline]
    pub fn tell(&mut self, time: i64, arrival: Option<i64>) -> (i64, bool) {
        let most = self.most(arrival);
        match self.newest {
            Some(newest) if time > most => self.tell_ahead(time, newest),
            newest => {
                let told = time.min(most);
                let event_time = newest.map_or(told, |newest| newest.max(told));
                (self.newest, self.ahead) = (Some(event_time), 0);
                (event_time, time > most)
            }
        }
    }

    /// Whether the `time` of a frame, which arrived then where that is known, is not too far ahead.
    #[inline]
    #[must_use]
    pub fn believes(&self, time: i64, arrival: Option<i64>) -> bool {
        time <= self.most(arrival)
    }

    /// The latest `time` that is believed; any where nothing is known.
    #[inline]
    fn most(&self, arrival: Option<i64>) -> i64 {
        self.newest.max(arrival).map_or(i64::MAX, |known| known.saturating_add(BELIEVED))
    }

    /// Takes the time by another clock: nothing up to it is ahead.
    #[inline]
    pub fn reach(&mut self, time: i64) {
        self.newest = self.newest.max(Some(time));
    }

    #[cold]
    fn tell_ahead(&mut self, time: i64, newest: i64) -> (i64, bool) {
        self.lowest_ahead = if self.ahead == 0 { time } else { self.lowest_ahead.min(time) };
        self.ahead += 1;
        if self.ahead < Self::CONVINCING {
            return (newest, true);
        }
        self.ahead = 0;
        self.newest = Some(self.lowest_ahead);
        (self.lowest_ahead, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const HOUR: i64 = 12 * BELIEVED;

    #[test]
    fn time_is_the_running_maximum() {
        let mut clock = EventClock::default();
        let told = [10, 12, 11, 12, 13].map(|time| clock.tell(time * SECOND, None));
        assert_eq!(told, [10, 12, 12, 12, 13].map(|time| (time * SECOND, false)));
    }

    #[test]
    fn a_time_is_believed_up_to_five_minutes_ahead() {
        let mut clock = EventClock::default();
        clock.tell(0, None);
        assert_eq!(clock.tell(BELIEVED + 1, None), (0, true));
        assert_eq!(clock.tell(BELIEVED, None), (BELIEVED, false));
        assert_eq!(clock.ahead, 0);
    }

    #[test]
    fn what_is_not_beyond_its_arrival_is_no_leap() {
        // As they happen, and all at once where they are replayed.
        for arrival in [|frame| frame * HOUR, |_| 40 * HOUR] {
            let mut clock = EventClock::default();
            for frame in 0..40 {
                let time = frame * HOUR;
                assert_eq!(clock.tell(time, Some(arrival(frame))), (time, false));
            }
        }
    }

    #[test]
    fn it_is_believed_up_to_five_minutes_after_its_arrival() {
        let mut clock = EventClock::default();
        clock.tell(0, Some(0));
        assert_eq!(clock.tell(HOUR + BELIEVED + 1, Some(HOUR)), (0, true));
        assert_eq!(clock.tell(HOUR + BELIEVED, Some(HOUR)), (HOUR + BELIEVED, false));
        // Or after the newest, where whoever reads has a clock that is behind.
        assert_eq!(clock.tell(HOUR + 2 * BELIEVED, Some(0)), (HOUR + 2 * BELIEVED, false));
        assert_eq!(clock.tell(HOUR + 3 * BELIEVED + 1, Some(0)), (HOUR + 2 * BELIEVED, true));
    }

    #[test]
    fn the_first_of_a_connection_is_capped_by_its_arrival() {
        let mut clock = EventClock::default();
        assert_eq!(clock.tell(i64::MAX, Some(7)), (7 + BELIEVED, true));
        assert_eq!(clock.tell(8, Some(9)), (7 + BELIEVED, false));
        assert_eq!(EventClock::default().tell(5, Some(7)), (5, false));
        assert_eq!(EventClock::default().tell(i64::MAX, None), (i64::MAX, false));
    }

    #[test]
    fn sixteen_in_a_row_move_the_clock_to_their_lowest() {
        for arrival in [None, Some(0)] {
            let mut clock = EventClock::default();
            clock.tell(0, arrival);
            for frame in 0..15 {
                assert_eq!(clock.tell(BELIEVED + 100 - frame, arrival), (0, true));
            }
            assert_eq!(clock.tell(BELIEVED + 200, arrival), (BELIEVED + 86, false));
            assert_eq!(clock.tell(BELIEVED + 200, arrival), (BELIEVED + 200, false));
        }
    }

    #[test]
    fn one_that_is_not_ahead_starts_the_row_again() {
        let mut clock = EventClock::default();
        clock.tell(0, None);
        for _ in 0..15 {
            clock.tell(2 * BELIEVED, None);
        }
        clock.tell(1, None);
        for _ in 0..15 {
            assert_eq!(clock.tell(3 * BELIEVED, None), (1, true));
        }
        // The lowest is of this row, not of the one before.
        assert_eq!(clock.tell(3 * BELIEVED, None), (3 * BELIEVED, false));
    }
}
