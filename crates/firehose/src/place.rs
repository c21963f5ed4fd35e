//! The place in a stream: which sequence numbers have been seen, whether a frame is new, and after which one
//! another connection goes on.
//!
//! After a reconnect some servers begin with the frame asked for and some after it, so a number that is not above the
//! last one is a repetition. But relays have begun their numbering anew, and then everything would look like one: a
//! low number whose time is well after the newest seen is taken for that.
//!
//! A time is evidence only where it is believed, and the number of a Jetstream's event is nothing but its
//! time. What is believed is the same for whoever asks, of a connection and of a recording: what the event
//! clock says ([`EventClock`]).

use skytide_atproto::clock::EventClock;

use crate::subscription::Cursor;

/// A frame this much later than the newest, in nanoseconds, cannot be a repetition.
const RESTART_AFTER: i64 = 60 * 1_000_000_000;

/// Whether a frame of this time cannot be a repetition of those whose newest time is that.
pub(crate) fn is_anew(time: i64, newest: i64) -> bool {
    time > newest.saturating_add(RESTART_AFTER)
}

/// What a frame is, seen from the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Not seen before, or without a number.
    New,
    /// Seen before.
    Repeated,
    /// Not seen before: the numbering began anew, after this number.
    Restarted { last: u64 },
}

/// A place in a stream, after the frames that were passed: the number of the last one, and the newest time
/// among them that is believed.
///
/// A time that lies more than five minutes ahead is not believed, until 16 in a row do: then it is the clock
/// here that is wrong. Of numbered frames that is ahead of their arrival. One absurd time would otherwise
/// hide a numbering that begins anew for as long as it lies ahead, or, come again, be taken for one. Of a
/// Jetstream's events, whose numbers are their times, it is ahead of the events before: one that is not
/// believed is no place, or whoever reads what was long ago would lose all that lies between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    seq: Option<u64>,
    newest: Option<i64>,
    clock: EventClock,
    /// When the last event of a Jetstream came.
    arrival: Option<i64>,
    /// How many nanoseconds have passed between a Jetstream's events, by their arrival, that their times have not.
    behind: i64,
}

impl Place {
    /// The place after this number, with the newest time (UTC nanoseconds) of the frames up to it.
    #[must_use]
    pub fn new(seq: Option<u64>, newest: Option<i64>) -> Self {
        Self { seq, newest, ..Self::default() }
    }

    /// The number to go on after; none before the first frame that has one. Of a Jetstream, whose numbers are
    /// times in microseconds, the highest.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// The newest time seen that is believed, in UTC nanoseconds.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// Where a subscription begins that goes on here; none where there was nothing.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        Some(match (self.seq?, self.newest) {
            (seq, Some(time)) => Cursor::After { seq, time },
            (seq, None) => Cursor::Seq(seq),
        })
    }

    /// Whether a time (UTC nanoseconds) that was told is believed.
    pub(crate) fn believes(&self, time: i64) -> bool {
        self.clock.believes(time, self.due())
    }

    /// The time that it is by what has passed since the newest.
    fn due(&self) -> Option<i64> {
        self.clock.newest.map(|newest| newest.saturating_add(self.behind))
    }

    /// Takes in a frame that is known to be new. Its time and that of its arrival are UTC nanoseconds; what
    /// is read again has come now.
    #[inline]
    pub fn pass(&mut self, seq: Option<u64>, time: Option<i64>, arrival: i64) {
        let Some(seq) = seq else { return };
        match time.filter(|time| is_its_time(seq, *time)) {
            Some(time) => self.pass_event(seq, time, arrival),
            None => {
                self.seq = Some(seq);
                self.newest = self.newest.max(time.and_then(|time| self.known(time, arrival)));
            }
        }
    }

    /// Takes in a frame that was made of a Jetstream's new event.
    fn pass_event(&mut self, seq: u64, time: i64, arrival: i64) {
        let waited = self.arrival.replace(arrival).map_or(0, |before| arrival.saturating_sub(before));
        self.behind = self.behind.saturating_add(waited.max(0));
        let (before, due) = (self.clock.newest, self.due().or(Some(arrival)));
        let is_leap = !self.clock.believes(time, due);
        let (_, held) = self.clock.tell(time, due);
        // What has passed before a leap is still to come.
        if let Some((before, newest)) = before.zip(self.clock.newest).filter(|_| !is_leap) {
            self.behind = self.behind.saturating_sub(newest.saturating_sub(before)).max(0);
        }
        if held || !self.believes(time) {
            return;
        }
        // No place lies ahead of the clock here: a server that is asked for it leaves out what is before.
        let by_now = u64::try_from(arrival / 1000).unwrap_or_default();
        self.seq = self.seq.max(Some(seq.min(by_now)));
        self.newest = self.newest.max(Some(time));
    }

    /// The time of a numbered frame, if it is believed.
    #[inline]
    fn known(&mut self, time: i64, arrival: i64) -> Option<i64> {
        self.clock.reach(arrival);
        self.clock.tell(time, None);
        self.clock.believes(time, None).then_some(time)
    }

    /// Judges a frame by its number and time, and moves on if it is new. Times are nanoseconds since 1970.
    #[inline]
    pub(crate) fn see(&mut self, seq: Option<u64>, time: Option<i64>, arrival: i64) -> Sight {
        let Some(seq) = seq else { return Sight::New };
        let known = time.and_then(|time| self.known(time, arrival));
        let sight = match self.seq {
            Some(last) if seq <= last => {
                if !known.zip(self.newest).is_some_and(|(time, newest)| is_anew(time, newest)) {
                    // Where there is none yet it is the first time to go by, of a frame at or before the place.
                    self.newest = self.newest.or(known);
                    return Sight::Repeated;
                }
                Sight::Restarted { last }
            }
            _ => Sight::New,
        };
        self.seq = Some(seq);
        self.newest = self.newest.max(known);
        sight
    }
}

/// Whether the number of a frame is its time, as that of a Jetstream's event is, in microseconds; 0 before 1970.
#[inline]
pub(crate) fn is_its_time(seq: u64, time: i64) -> bool {
    i64::try_from(seq).is_ok_and(|micros| micros.saturating_mul(1000) == time.max(0))
}

#[cfg(test)]
mod tests {
    use skytide_atproto::clock::BELIEVED;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn place(frames: &[(u64, i64)]) -> Place {
        let mut place = Place::default();
        for &(seq, time) in frames {
            place.see(Some(seq), Some(time * SECOND), time * SECOND);
        }
        place
    }

    #[test]
    fn rising_numbers_are_new_and_gaps_are_legal() {
        let mut place = place(&[(5, 0)]);
        assert_eq!(place.see(Some(6), None, 0), Sight::New);
        assert_eq!(place.see(Some(600), None, 0), Sight::New);
        assert_eq!(place.see(None, None, 0), Sight::New);
        assert_eq!(place.seq(), Some(600));
    }

    #[test]
    fn numbers_not_above_the_last_are_repeated() {
        let mut place = place(&[(5, 0), (6, 1)]);
        assert_eq!(place.see(Some(6), Some(SECOND), SECOND), Sight::Repeated);
        assert_eq!(place.see(Some(2), Some(61 * SECOND), 61 * SECOND), Sight::Repeated);
        assert_eq!(place.see(Some(2), None, 0), Sight::Repeated);
        assert_eq!(place.seq(), Some(6));
    }

    #[test]
    fn a_low_number_of_a_later_time_is_a_new_numbering() {
        let mut place = place(&[(500, 0)]);
        assert_eq!(place.see(Some(1), Some(60 * SECOND + 1), 61 * SECOND), Sight::Restarted { last: 500 });
        assert_eq!(place.seq(), Some(1));
        assert_eq!(place.see(Some(2), Some(60 * SECOND), 61 * SECOND), Sight::New);
    }

    #[test]
    fn an_absurd_time_does_not_hide_a_new_numbering() {
        let mut place = place(&[(500, 0)]);
        place.see(Some(501), Some(i64::MAX), 0);
        let later = BELIEVED + RESTART_AFTER + 1;
        assert_eq!(place.see(Some(1), Some(later), later), Sight::Restarted { last: 501 });
    }

    #[test]
    fn nor_does_it_hide_one_that_begins_at_once() {
        let mut place = place(&[(500, 0)]);
        place.see(Some(501), Some(i64::MAX), 0);
        let later = RESTART_AFTER + 1;
        assert_eq!(place.see(Some(1), Some(later), later), Sight::Restarted { last: 501 });
    }

    #[test]
    fn a_repetition_of_an_absurd_time_is_one() {
        let mut place = place(&[(500, 0)]);
        let times = [i64::MAX, 2 * SECOND, 3 * SECOND];
        for (seq, time) in (501..).zip(times) {
            assert_eq!(place.see(Some(seq), Some(time), SECOND), Sight::New);
        }
        for (seq, time) in (501..).zip(times) {
            assert_eq!(place.see(Some(seq), Some(time), 9 * SECOND), Sight::Repeated);
        }
    }

    #[test]
    fn a_frame_without_a_time_has_the_one_before_it() {
        let mut place = place(&[(1, 7)]);
        place.see(Some(2), None, 7 * SECOND);
        place.pass(Some(3), None, 7 * SECOND);
        assert_eq!(place.cursor(), Some(Cursor::After { seq: 3, time: 7 * SECOND }));
    }

    #[test]
    fn what_comes_again_is_a_repetition_however_slow_the_clock_here_is() {
        let mut place = Place::default();
        let mut see = |seq: i64| place.see(Some(seq.cast_unsigned()), Some(3600 * SECOND + seq), seq);
        assert!((1..=40).all(|seq| see(seq) == Sight::New));
        assert!((1..=40).all(|seq| see(seq) == Sight::Repeated));
        assert_eq!(place.newest(), Some(3600 * SECOND + 40));
    }

    #[test]
    fn the_place_of_events_goes_by_those_before() {
        const MINUTE: u64 = 60_000_000;
        let (mut place, now) = (Place::default(), 1000 * 60 * SECOND);
        let mut pass = |time_us: u64, arrival| {
            place.pass(Some(time_us), Some(time_us.cast_signed() * 1000), arrival);
            place.seq()
        };
        assert_eq!(pass(MINUTE, now), Some(MINUTE));
        assert_eq!(pass(MINUTE - 5, now), Some(MINUTE), "times go back");
        // Far ahead of now, a little, and of long ago, too.
        for absurd in [5000, 1004, 100] {
            assert_eq!(pass(absurd * MINUTE, now), Some(MINUTE));
        }
        // As many minutes later as have passed.
        assert_eq!(pass(100 * MINUTE, now + 100 * 60 * SECOND), Some(100 * MINUTE));
        // None lies ahead of now.
        let now = now + 200 * 60 * SECOND;
        assert!((0..20).map(|at| pass(1300 * MINUTE + at, now)).all(|seq| seq <= Some(1200 * MINUTE)));
        assert_eq!(place.seq(), Some(1200 * MINUTE));
        assert_eq!(place.newest(), Some(1300 * 60 * SECOND + 19_000));
    }

    #[test]
    fn many_times_in_a_row_that_are_not_believed_are_a_wrong_clock_here() {
        let mut place = place(&[(500, 0)]);
        let ahead = BELIEVED + 1;
        let mut see = |seq, time| place.see(Some(seq), Some(time), 0);
        // One between them that is known begins the row anew.
        let doubted = (1..16).chain([0]).chain(1..16).map(|seq| see(seq, if seq == 0 { 0 } else { ahead }));
        assert!(doubted.collect::<Vec<_>>().iter().all(|sight| *sight == Sight::Repeated));
        assert_eq!(see(16, ahead), Sight::Restarted { last: 500 });
        assert_eq!(see(17, ahead), Sight::New);
    }
}
