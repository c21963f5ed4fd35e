//! The times of events: a clock that the frames set, so that every run and every client has the same.

use skytide_atproto::frame::Frame;
use skytide_atproto::message::Message;
use skytide_atproto::syntax::parse_time;

/// The times of a frame's events, in microseconds since 1970: one for each, from the first on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::relay) struct Stamp {
    /// Of the first.
    pub(in crate::relay) first: u64,
    /// How many there are. An operation that nobody wants has its time, too.
    pub(in crate::relay) events: u64,
}

impl Stamp {
    /// After the last.
    pub(in crate::relay) fn end(&self) -> u64 {
        self.first.saturating_add(self.events)
    }
}

/// A time so far ahead, in microseconds, is believed only where the frame before it said about the same: one
/// absurd time must not have all that follow crowd behind it.
const LEAP: u64 = 24 * 3600 * 1_000_000;

/// The clock of a Jetstream: the time of the frame, or, where that has been, the microsecond after the event before.
#[derive(Debug, Default)]
pub(in crate::relay) struct Clock {
    next: u64,
    /// The time of the frame before; none before the first.
    said: Option<u64>,
}

impl Clock {
    /// The times of the next frame's events. One that cannot be read has none.
    pub(in crate::relay) fn stamp(&mut self, frame: &[u8]) -> Stamp {
        let stamp = match time_and_events(frame) {
            Some((time, events)) if events > 0 => {
                let before = self.said.replace(time);
                let believed = before.is_none_or(|before| time <= self.next.max(before).saturating_add(LEAP));
                Stamp { first: if believed { self.next.max(time) } else { self.next }, events }
            }
            _ => Stamp { first: self.next, events: 0 },
        };
        self.next = stamp.end();
        stamp
    }

    /// The time of the newest event; 0 before the first.
    pub(in crate::relay) fn newest(&self) -> u64 {
        self.next.saturating_sub(1)
    }
}

/// When a frame is from, and how many events it has.
fn time_and_events(frame: &[u8]) -> Option<(u64, u64)> {
    let frame = Frame::parse(frame).ok()?;
    let (time, events) = match Message::parse(&frame).ok()? {
        Message::Commit(commit) => (commit.time, commit.ops.len() as u64),
        Message::Identity(identity) => (identity.time, 1),
        Message::Account(account) => (account.time, 1),
        _ => return None,
    };
    // Before 1970, and what is no time, is as early as can be.
    let micros = parse_time(time).map_or(0, |nanos| nanos.div_euclid(1000));
    Some((u64::try_from(micros).unwrap_or_default(), events))
}

#[cfg(test)]
mod tests {
    use skytide_atproto::message::{Account, Info};

    use super::*;

    #[test]
    fn times_are_those_of_the_frames_and_rise() {
        let account = |time| {
            let account = Account { seq: 1, did: "did:plc:a", time, active: true, status: None };
            Message::Account(account).to_frame_bytes()
        };
        let info = Message::Info(Info { name: "OutdatedCursor", message: None }).to_frame_bytes();
        let mut clock = Clock::default();
        assert_eq!(clock.newest(), 0);
        let mut stamp = |frame: &[u8]| {
            let stamp = clock.stamp(frame);
            (stamp.first, stamp.events)
        };
        let second = "1970-01-01T00:00:01.000Z";
        assert_eq!(stamp(&account("1960-01-01T00:00:00Z")), (0, 1));
        assert_eq!(stamp(&account(second)), (1_000_000, 1));
        assert_eq!(stamp(&account(second)), (1_000_001, 1));
        assert_eq!(stamp(&info), (1_000_002, 0));
        assert_eq!(stamp(b"junk"), (1_000_002, 0));
        assert_eq!(stamp(&account("never")), (1_000_002, 1));
        assert_eq!(stamp(&account("1970-01-01T00:00:01.000002Z")), (1_000_003, 1));
        assert_eq!(stamp(&account("1970-01-01T00:00:03Z")), (3_000_000, 1));
        // A day is no leap, and a leap is one only where it is said twice.
        assert_eq!(stamp(&account("1970-01-02T00:00:03Z")), (86_403_000_000, 1));
        assert_eq!(stamp(&account("2255-01-01T00:00:00Z")), (86_403_000_001, 1));
        assert_eq!(stamp(&account("1970-01-02T00:00:04Z")), (86_404_000_000, 1));
        assert_eq!(stamp(&account("1970-02-01T00:00:00Z")), (86_404_000_001, 1));
        assert_eq!(stamp(&account("1970-02-01T00:00:00Z")), (31 * 86_400_000_000, 1));
        assert_eq!(clock.newest(), 31 * 86_400_000_000);
    }
}
