//! The place in a stream: which sequence numbers have been seen, whether a frame is new, and after which one
//! another connection goes on.
//!
//! After a reconnect some servers begin with the frame asked for and some after it, so a number that is not above the
//! last one is a repetition. But relays have begun their numbering anew, and then everything would look like one: a
//! low number whose time is well after the newest seen is taken for that.
//!
//! A time is evidence only where it is believed, and the number of a Jetstream's event is nothing but its
//! time. The rule is here for whoever asks, of a connection and of a recording: numbered frames go by the event
//! clock ([`EventClock`]), events by the one before.

use skytide_atproto::clock::{BELIEVED, EventClock};

use crate::subscription::Cursor;

/// A frame this much later than the newest, in nanoseconds, cannot be a repetition.
const RESTART_AFTER: i64 = 60 * 1_000_000_000;

/// An event that lies further ahead of the one before it, in microseconds, is no place by itself.
const AHEAD: u64 = BELIEVED.unsigned_abs() / 1000;

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
/// The time of a numbered frame that lies more than five minutes ahead of its arrival is not believed, until 16
/// in a row do: then it is the clock here that is wrong. One absurd time would otherwise hide a numbering that
/// begins anew for as long as it lies ahead, or, come again, be taken for one.
///
/// A Jetstream's events have their times for numbers, which may lie days apart where little is asked for, and
/// fall back by a little: the highest is the place. One that lies more than five minutes ahead of the one before
/// is none until another follows it, and one that lies as far behind the place is it from there on: were it
/// absurd, whoever reads what was long ago would lose all that lies between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    seq: Option<u64>,
    newest: Option<i64>,
    clock: EventClock,
    /// The number of the last event of a Jetstream.
    event: Option<u64>,
}

impl Place {
    /// The place after this number, with the newest time (UTC nanoseconds) of the frames up to it.
    #[must_use]
    pub fn new(seq: Option<u64>, newest: Option<i64>) -> Self {
        Self { seq, newest, ..Self::default() }
    }

    /// The number to go on after; none before the first frame that has one. Of a Jetstream, whose numbers are
    /// times in microseconds, the highest of the last ones.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// The newest time seen that is believed, in UTC nanoseconds; of a Jetstream the last one.
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

    /// Whether the time (UTC nanoseconds) of a frame that was passed, which arrived then, is believed.
    pub(crate) fn believes(&self, time: i64, arrival: i64) -> bool {
        self.clock.believes(time, Some(arrival))
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
        // No place lies ahead of the clock here: a server that is asked for it leaves out what is before.
        let event = seq.min(u64::try_from(arrival / 1000).unwrap_or_default());
        if self.believes(time, arrival) {
            self.newest = Some(time);
        }
        let is_far = |later: u64, sooner: u64| later > sooner.saturating_add(AHEAD);
        let before = self.event.replace(event).or(self.seq);
        let place = before.filter(|before| is_far(event, *before)).unwrap_or(event);
        // From one that was absurd it comes back; where times fall back a little, the highest is it.
        self.seq = self.seq.filter(|seq| !is_far(*seq, place)).max(Some(place));
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
    fn an_event_far_ahead_is_no_place_before_another_follows() {
        const MINUTE: u64 = 60_000_000;
        let (mut place, now) = (Place::default(), 10_000 * 60 * SECOND);
        let pass = |place: &mut Place, minute: u64| {
            place.pass(Some(minute * MINUTE), Some((minute * MINUTE).cast_signed() * 1000), now);
            place.seq().map(|seq| seq / MINUTE)
        };
        // Times fall back, and lie days apart where little is asked for.
        let passed = [(10, 10), (9, 10), (11, 11), (5000, 11), (5001, 5001), (9000, 5001)];
        // One that is absurd does not last, be it far ahead of now or not.
        let absurd = [(20_000, 9000), (9001, 9001), (9002, 9002), (9999, 9002), (9003, 9003)];
        for (minute, expected) in passed.into_iter().chain(absurd) {
            assert_eq!(pass(&mut place, minute), Some(expected), "{minute}");
        }
        // Nor does the first, nor the first after a place that was kept.
        let mut first = Place::default();
        assert_eq!([9999, 10, 11].map(|minute| pass(&mut first, minute)), [9999, 10, 11].map(Some));
        let mut kept = Place::new(place.seq(), place.newest());
        assert_eq!([9999, 9004, 9005].map(|minute| pass(&mut kept, minute)), [9003, 9004, 9005].map(Some));
        // None lies ahead of now.
        let ahead = [20_000, 20_001].map(|minute| pass(&mut kept, minute));
        assert_eq!(ahead, [9005, 10_000].map(Some));
        assert_eq!(kept.newest(), Some(9005 * 60 * SECOND));
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
