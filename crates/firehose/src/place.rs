//! The place in a stream: which sequence numbers have been seen, and whether a frame is new.
//!
//! After a reconnect some servers begin with the frame asked for and some after it, so a number that is not above the
//! last one is a repetition. But relays have begun their numbering anew, and then everything would look like one: a
//! low number whose time is well after the newest seen is taken for that.

/// A frame this much later than the newest, in nanoseconds, cannot be a repetition.
const RESTART_AFTER: i64 = 60 * 1_000_000_000;

/// No time further ahead of the arrival than this, in nanoseconds, is believed: one absurd time would otherwise hide a
/// numbering that begins anew for as long as it lies ahead.
pub const BELIEVED_AHEAD: i64 = 5 * 60 * 1_000_000_000;

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
}

impl Place {
    /// The place after a frame seen before, with the newest time up to it.
    pub(crate) fn after(seq: u64, time: Option<i64>) -> Self {
        Self { last: Some(seq), newest: time }
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
        self.last = Some(self.last.map_or(seq, |last| last.max(seq)));
        self.age(time, arrival);
    }

    fn age(&mut self, time: Option<i64>, arrival: i64) {
        if let Some(time) = time {
            let believed = time.min(arrival.saturating_add(BELIEVED_AHEAD));
            self.newest = Some(self.newest.map_or(believed, |newest| newest.max(believed)));
        }
    }

    /// Judges a frame by its number and time, and moves on if it is new. Times are nanoseconds since 1970.
    #[inline]
    pub(crate) fn see(&mut self, seq: Option<u64>, time: Option<i64>, arrival: i64) -> Sight {
        let Some(seq) = seq else { return Sight::New };
        let sight = match self.last {
            Some(last) if seq <= last => match (time, self.newest) {
                // A time that is not believed is no evidence against the very number that was asked for.
                (Some(time), Some(_)) if seq == last && time > arrival.saturating_add(BELIEVED_AHEAD) => {
                    return Sight::Repeated;
                }
                (Some(time), Some(newest)) if time > newest.saturating_add(RESTART_AFTER) => {
                    Sight::Restarted { last }
                }
                (Some(_), None) => {
                    // The first time there is to go by, of a frame at or before the place.
                    self.age(time, arrival);
                    return Sight::Repeated;
                }
                _ => return Sight::Repeated,
            },
            _ => Sight::New,
        };
        self.last = Some(seq);
        self.age(time, arrival);
        sight
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
    fn a_repetition_of_an_absurd_time_is_one() {
        let mut place = place(&[(500, 0)]);
        assert_eq!(place.see(Some(501), Some(i64::MAX), 0), Sight::New);
        assert_eq!(place.see(Some(501), Some(i64::MAX), SECOND), Sight::Repeated);
    }
}
