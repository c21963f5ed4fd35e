//! What recordings have of a Jetstream's events.
//!
//! A recording of one ends as a connection does: what goes on after it begins some seconds earlier, since
//! times go back there, and brings events again. They are known by what they are.

use skytide_atproto::frame::{self, Peek};
use skytide_atproto::jetstream::EventId;

use super::jetstream::{JetstreamPlace, REMEMBERED, Seen};
use super::now;
use crate::place::{Place, is_its_time};
use crate::recording::{Recording, RecordingError};

/// Events of a Jetstream that went by in recordings, for what goes on after them: another recording of it, or
/// a subscription, which begins at the [place](Self::place).
#[derive(Debug, Default)]
pub struct JetstreamPast {
    place: Place,
    seen: Seen,
}

impl JetstreamPast {
    /// What the end of a recording has, after which one goes on with this number
    /// ([`Last`](crate::recording::Last)).
    ///
    /// # Errors
    /// The recording cannot be read, or is damaged.
    pub fn of_end(recording: &mut Recording, last: u64) -> Result<Self, RecordingError> {
        let (mut past, now) = (Self::default(), now());
        recording.seek_seq(last.saturating_sub(REMEMBERED))?;
        while let Some(frame) = recording.next_frame()? {
            if let Ok(peek) = frame::peek(&frame) {
                past.see(&frame, peek, now);
            }
        }
        Ok(past)
    }

    /// Takes in the next frame, which is read at `arrival` (UTC nanoseconds), and tells whether it is new, as
    /// each is that was made of no event.
    pub fn see(&mut self, frame: &[u8], peek: Peek, arrival: i64) -> bool {
        // The number of an event's frame is its time.
        let is_event = |(seq, time): &(u64, i64)| is_its_time(*seq, *time);
        let Some((time_us, _)) = peek.seq.zip(peek.time).filter(is_event) else { return true };
        let Some(id) = EventId::of_frame(frame) else { return true };
        let is_new = self.seen.see(time_us, id, self.place.seq());
        if is_new {
            self.place.pass(peek.seq, peek.time, arrival);
        }
        is_new
    }

    /// Where what follows begins; none where no event went by.
    #[must_use]
    pub fn place(&self) -> Option<JetstreamPlace> {
        self.place.seq().map(|last| self.seen.place(Some(last), self.place.newest()))
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
        past.see(&frame, frame::peek(&frame).unwrap(), now())
    }

    #[test]
    fn an_event_is_new_once() {
        let mut past = JetstreamPast::default();
        assert!(past.place().is_none());
        assert!(see(&mut past, 1, MINUTE) && see(&mut past, 2, MINUTE - 5));
        assert!(!see(&mut past, 1, MINUTE));
        assert_eq!(past.place().unwrap().rewound(), Some(MINUTE - 5_000_000));
    }

    #[test]
    fn one_absurd_time_is_no_place_and_a_pause_is_one() {
        let mut past = JetstreamPast::default();
        let last = |past: &JetstreamPast| past.place().unwrap().rewound().map(|rewound| rewound + 5_000_000);
        for (event, (time_us, place)) in
            (1..).zip([(1, 1), (1000, 1), (2, 2), (1000, 2), (1001, 1001), (2000, 1001)])
        {
            see(&mut past, event, time_us * MINUTE);
            assert_eq!(last(&past), Some(place * MINUTE));
        }
    }
}
