//! What recordings have of a Jetstream's events.
//!
//! A recording of one ends as a connection does: what goes on after it begins some seconds earlier, since
//! times go back there, and brings events again. They are known by what they are.

use skytide_atproto::frame::{self, Peek};
use skytide_atproto::jetstream::EventId;

use super::jetstream::{JetstreamPlace, REMEMBERED, Seen};
use super::now;
use crate::place::BELIEVED_AHEAD;
use crate::recording::{Recording, RecordingError};

/// Events of a Jetstream that went by in recordings, for what goes on after them: another recording of it, or
/// a subscription, which begins at the [place](Self::place).
#[derive(Debug, Default)]
pub struct JetstreamPast {
    /// The time of the last one, in microseconds.
    last: Option<u64>,
    /// One had a time that was too far ahead to be believed of it alone.
    has_leapt: bool,
    seen: Seen,
}

impl JetstreamPast {
    /// What the end of a recording has, whose last number is this.
    ///
    /// # Errors
    /// The recording cannot be read, or is damaged.
    pub fn of_end(recording: &mut Recording, last: u64) -> Result<Self, RecordingError> {
        let mut past = Self::default();
        recording.seek_seq(last.saturating_sub(REMEMBERED))?;
        while let Some(frame) = recording.next_frame()? {
            if let Ok(peek) = frame::peek(&frame) {
                past.see(&frame, peek);
            }
        }
        Ok(past)
    }

    /// Takes in the next frame, and tells whether it is new, as each is that was made of no event.
    pub fn see(&mut self, frame: &[u8], peek: Peek) -> bool {
        // The number of an event's frame is its time.
        let Some((time_us, time)) = peek.seq.zip(peek.time) else { return true };
        if i64::try_from(time_us).ok().and_then(|micros| micros.checked_mul(1000)) != Some(time) {
            return true;
        }
        let Some(id) = EventId::of_frame(frame) else { return true };
        let is_new = self.seen.see(time_us, id, self.last);
        if is_new {
            let believed = |last: u64| last.saturating_add(BELIEVED_AHEAD.unsigned_abs() / 1000);
            let leaps = self.last.is_some_and(|last| time_us > believed(last));
            // After a pause the next one says the same.
            self.has_leapt = leaps && !self.has_leapt;
            if !self.has_leapt {
                self.last = Some(time_us);
            }
        }
        is_new
    }

    /// Where what follows begins; none where no event went by.
    #[must_use]
    pub fn place(&self) -> Option<JetstreamPlace> {
        let now = now();
        let last = self.last?.min(u64::try_from(now / 1000).unwrap_or_default());
        let newest = i64::try_from(last).map_or(now, |last| last.saturating_mul(1000));
        Some(self.seen.place(Some(last), Some(newest)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use skytide_atproto::jetstream::frame_of;

    use super::*;

    const MINUTE: u64 = 60_000_000;

    fn see(past: &mut JetstreamPast, event: u64, time_us: u64) -> bool {
        let account = format!(r#"{{"active":true,"did":"did:plc:{event}","seq":{event}}}"#);
        let line = format!(
            r#"{{"did":"did:plc:{event}","time_us":{time_us},"kind":"account","account":{account}}}"#
        );
        let frame = frame_of(line.as_bytes()).unwrap().bytes;
        past.see(&frame, frame::peek(&frame).unwrap())
    }

    #[test]
    fn an_event_is_new_once() {
        let mut past = JetstreamPast::default();
        assert!(past.place().is_none());
        assert!(see(&mut past, 1, MINUTE) && see(&mut past, 2, MINUTE - 5));
        assert!(!see(&mut past, 1, MINUTE));
        assert_eq!(past.place().unwrap().rewound(), Some(MINUTE - 5 - 5_000_000));
    }

    #[test]
    fn one_absurd_time_is_no_place_and_a_pause_is_none_for_long() {
        let mut past = JetstreamPast::default();
        let last = |past: &JetstreamPast| past.place().unwrap().rewound().map(|rewound| rewound + 5_000_000);
        see(&mut past, 1, MINUTE);
        see(&mut past, 2, 1000 * MINUTE);
        assert_eq!(last(&past), Some(MINUTE));
        see(&mut past, 3, MINUTE + 1);
        see(&mut past, 4, 1000 * MINUTE);
        assert_eq!(last(&past), Some(MINUTE + 1));
        see(&mut past, 5, 1000 * MINUTE + 1);
        assert_eq!(last(&past), Some(1000 * MINUTE + 1));
    }
}
