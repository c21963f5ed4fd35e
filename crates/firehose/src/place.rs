//! The place in a stream: which sequence numbers have been seen, and whether a frame is new.
//!
//! After a reconnect some servers begin with the frame asked for and some after it, so a number that is not above the
//! last one is a repetition. But relays have begun their numbering anew, and then everything would look like one: a
//! low number whose time is well after the newest seen is taken for that.

/// A frame this much later than the newest, in nanoseconds, cannot be a repetition.
const RESTART_AFTER: i64 = 60 * 1_000_000_000;

/// No time further ahead of the arrival than this, in nanoseconds, is believed: one absurd time would
/// otherwise hide a numbering that begins anew for as long as it lies ahead, or, come again, be taken for
/// one.
pub(crate) const BELIEVED_AHEAD: i64 = 5 * 60 * 1_000_000_000;

/// So many frames in a row that would be repetitions, and whose times are not believed, are a numbering that
/// begins anew: then it is the clock here that is wrong.
const CONVINCING: u8 = 16;

/// The time of a frame that arrived at `arrival`, if it is believed: what lies more than five minutes ahead
/// is not. Both in UTC nanoseconds.
#[must_use]
pub fn believed(time: i64, arrival: i64) -> Option<i64> {
    (time <= arrival.saturating_add(BELIEVED_AHEAD)).then_some(time)
}

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

/// The last number and the newest time seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    last: Option<u64>,
    newest: Option<i64>,
    /// How many of the last frames in a row would be repetitions but for times that are not believed.
    doubted: u8,
}

impl Place {
    /// The place after a frame seen before, with the newest time up to it.
    pub(crate) fn after(seq: u64, time: Option<i64>) -> Self {
        Self { last: Some(seq), newest: time, doubted: 0 }
    }

    /// The last sequence number seen.
    pub(crate) fn last(&self) -> Option<u64> {
        self.last
    }

    /// The newest time seen that is believed.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// Takes in a number that is known to be new though it may be lower, as those of a Jetstream: the last is the
    /// highest.
    pub(crate) fn pass(&mut self, seq: u64, time: Option<i64>, arrival: i64) {
        self.last = self.last.max(Some(seq));
        self.newest = self.newest.max(time.and_then(|time| believed(time, arrival)));
    }

    /// Judges a frame by its number and time, and moves on if it is new. Times are nanoseconds since 1970.
    #[inline]
    pub(crate) fn see(&mut self, seq: Option<u64>, time: Option<i64>, arrival: i64) -> Sight {
        let Some(seq) = seq else { return Sight::New };
        let known = time.and_then(|time| believed(time, arrival));
        let sight = match self.last {
            Some(last) if seq <= last => {
                if !self.begins_anew(time, known) {
                    // Where there is none yet it is the first time to go by, of a frame at or before the place.
                    self.newest = self.newest.or(known);
                    return Sight::Repeated;
                }
                Sight::Restarted { last }
            }
            _ => Sight::New,
        };
        self.doubted = 0;
        self.last = Some(seq);
        self.newest = self.newest.max(known);
        sight
    }

    /// Whether a frame whose number is not above the last one is of a new numbering, by its time, and that if
    /// it is believed.
    #[cold]
    fn begins_anew(&mut self, time: Option<i64>, known: Option<i64>) -> bool {
        // One that is not believed says nothing, or it would be a new numbering whenever it comes again.
        let is_doubted = time.is_some() && known.is_none();
        self.doubted = if is_doubted { self.doubted.saturating_add(1) } else { 0 };
        let is_later = known.zip(self.newest).is_some_and(|(time, newest)| is_anew(time, newest));
        is_later || self.doubted >= CONVINCING
    }
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
        assert_eq!(place.last(), Some(600));
    }

    #[test]
    fn numbers_not_above_the_last_are_repeated() {
        let mut place = place(&[(5, 0), (6, 1)]);
        assert_eq!(place.see(Some(6), Some(SECOND), SECOND), Sight::Repeated);
        assert_eq!(place.see(Some(2), Some(61 * SECOND), 61 * SECOND), Sight::Repeated);
        assert_eq!(place.see(Some(2), None, 0), Sight::Repeated);
        assert_eq!(place.last(), Some(6));
    }

    #[test]
    fn a_low_number_of_a_later_time_is_a_new_numbering() {
        let mut place = place(&[(500, 0)]);
        assert_eq!(place.see(Some(1), Some(60 * SECOND + 1), 61 * SECOND), Sight::Restarted { last: 500 });
        assert_eq!(place.last(), Some(1));
        assert_eq!(place.see(Some(2), Some(60 * SECOND), 61 * SECOND), Sight::New);
    }

    #[test]
    fn an_absurd_time_does_not_hide_a_new_numbering() {
        let mut place = place(&[(500, 0)]);
        place.see(Some(501), Some(i64::MAX), 0);
        let later = BELIEVED_AHEAD + RESTART_AFTER + 1;
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
    fn many_times_in_a_row_that_are_not_believed_are_a_wrong_clock_here() {
        let mut place = place(&[(500, 0)]);
        let ahead = BELIEVED_AHEAD + 1;
        let mut see = |seq, time| place.see(Some(seq), Some(time), 0);
        // One between them that is known begins the row anew.
        let doubted = (1..16).chain([0]).chain(1..16).map(|seq| see(seq, if seq == 0 { 0 } else { ahead }));
        assert!(doubted.collect::<Vec<_>>().iter().all(|sight| *sight == Sight::Repeated));
        assert_eq!(see(16, ahead), Sight::Restarted { last: 500 });
        assert_eq!(see(17, ahead), Sight::New);
    }
}
