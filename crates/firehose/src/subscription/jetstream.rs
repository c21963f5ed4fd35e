//! Jetstream's side of a subscription: events made into frames, and the seam after a reconnect.
//!
//! A Jetstream's cursor is a time, and where it goes over from replay to live the times may go back: so each
//! connection asks for a few seconds more than it has to, and events that were seen are known by what they
//! are.

use std::collections::{BTreeSet, HashSet};

use skytide_atproto::frame::Kind;
use skytide_atproto::jetstream::{self, EventFrame, EventId, JetstreamError};
use zstd::bulk::Decompressor;

use super::Cursor;
use crate::Error;

/// So many microseconds before its place a connection asks to begin.
pub(super) const REWIND: u64 = 5_000_000;

/// Events of so many microseconds are remembered: those that a rewind can bring again, and as many more for
/// times that go back.
pub(super) const REMEMBERED: u64 = 6 * REWIND;

/// No more events are remembered than this, whatever their times say.
const MOST_REMEMBERED: usize = 1 << 20;

/// No event is decompressed to more bytes than this, whatever the limit.
const MOST_TEXT: usize = 1 << 30;

/// The largest address that servers are known to take, in bytes: longer wishes are said after the opening.
const LONGEST_ADDRESS: usize = 4000;

/// The parameters that a message can say, too.
const WANTED: [&str; 2] = ["wantedCollections", "wantedDids"];

pub(super) struct Jetstream {
    decompressor: Option<Decompressor<'static>>,
    text: Vec<u8>,
    seen: Seen,
}

impl Jetstream {
    /// Reads events as text, or, with a dictionary, compressed; those of more than `limit` bytes are refused.
    pub(super) fn new(dictionary: Option<&[u8]>, limit: usize) -> Result<Self, Error> {
        let decompressor =
            dictionary.map(Decompressor::with_dictionary).transpose().map_err(Error::Dictionary)?;
        let room = if decompressor.is_some() { limit.min(MOST_TEXT) } else { 0 };
        Ok(Self { decompressor, text: Vec::with_capacity(room), seen: Seen::default() })
    }

    /// The cursor to ask for where the last event had this one.
    pub(super) fn rewound(cursor: u64) -> u64 {
        cursor.saturating_sub(REWIND)
    }

    /// Makes a message into a frame; none for an event of a kind that is not known.
    pub(super) fn read(&mut self, message: &[u8], is_text: bool) -> Result<Option<EventFrame>, String> {
        let text = match (is_text, &mut self.decompressor) {
            (true, _) => message,
            (false, None) => return Err("a compressed event, and no dictionary was given".to_owned()),
            (false, Some(decompressor)) => {
                self.text.clear();
                decompressor
                    .decompress_to_buffer(message, &mut self.text)
                    .map_err(|error| format!("an event does not decompress: {error}"))?;
                &self.text
            }
        };
        match jetstream::frame_of(text) {
            Ok(event) => Ok(Some(event)),
            Err(JetstreamError::Kind { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether an event is new. `newest` is the newest time before it, in microseconds.
    pub(super) fn see(&mut self, time_us: u64, event: &EventFrame, newest: Option<u64>) -> bool {
        // What a recording has of other events than commits is known by its time.
        let is_recorded =
            || EventId::of_frame(&event.bytes).is_some_and(|recorded| self.seen.ids.contains(&recorded));
        if event.kind != Kind::Commit && is_recorded() {
            return false;
        }
        self.seen.see(time_us, event.id, newest)
    }

    /// Takes events for seen that an earlier subscription was given.
    pub(super) fn remember(&mut self, place: &JetstreamPlace) {
        for (time_us, id) in &place.events {
            self.seen.insert(*time_us, *id);
        }
    }

    /// The events that are known, at a place.
    pub(super) fn place(&self, last: Option<u64>, newest: Option<i64>) -> JetstreamPlace {
        self.seen.place(last, newest)
    }

    /// Forgets what was seen: it is to come again.
    pub(super) fn forget(&mut self) {
        self.seen = Seen::default();
    }
}

/// Events that went by, as long as they may come again.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ids: HashSet<EventId>,
    /// By time (microseconds): one of an absurd time keeps no other one from being forgotten.
    order: BTreeSet<(u64, EventId)>,
}

impl Seen {
    /// Takes an event in, and tells whether it is new. `newest` is the newest time before it, in microseconds.
    pub(super) fn see(&mut self, time_us: u64, id: EventId, newest: Option<u64>) -> bool {
        let oldest = newest.unwrap_or_default().saturating_sub(REMEMBERED);
        while let Some((time, id)) = self.order.first()
            && (*time < oldest || self.order.len() >= MOST_REMEMBERED)
        {
            self.ids.remove(id);
            self.order.pop_first();
        }
        self.insert(time_us, id)
    }

    fn insert(&mut self, time_us: u64, id: EventId) -> bool {
        let is_new = self.ids.insert(id);
        if is_new {
            self.order.insert((time_us, id));
        }
        is_new
    }

    pub(super) fn place(&self, last: Option<u64>, newest: Option<i64>) -> JetstreamPlace {
        JetstreamPlace { last, newest, events: self.order.iter().copied().collect() }
    }
}

/// Where a subscription to a Jetstream stands, for one in another process: after which time, and which events
/// of the seconds before were handed on, since those come again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JetstreamPlace {
    last: Option<u64>,
    newest: Option<i64>,
    events: Vec<(u64, EventId)>,
}

impl JetstreamPlace {
    /// Where to begin.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        match (self.last, self.newest) {
            (Some(seq), Some(time)) => Cursor::After { seq, time },
            (Some(seq), None) => Cursor::Seq(seq),
            (None, _) => Cursor::Live,
        }
    }

    /// Where what follows begins, of the times that are its numbers (microseconds): some seconds earlier, as
    /// a connection does. None before the first event.
    #[must_use]
    pub fn rewound(&self) -> Option<u64> {
        self.last.map(Jetstream::rewound)
    }

    /// What it takes of memory, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.events.capacity() * size_of::<(u64, EventId)>()
    }

    /// The bytes to store: numbers of 64 bits, little-endian; whether there is a time (microseconds) to begin
    /// after, and that; the same of the newest time (UTC nanoseconds); then each event, its time
    /// (microseconds) and the 16 bytes of its [`EventId`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 + self.events.len() * EVENT);
        for number in [
            self.last.is_some().into(),
            self.last.unwrap_or_default(),
            self.newest.is_some().into(),
            self.newest.unwrap_or_default().cast_unsigned(),
        ] {
            bytes.extend(u64::to_le_bytes(number));
        }
        for (time_us, id) in &self.events {
            bytes.extend(time_us.to_le_bytes());
            bytes.extend(id.to_bytes());
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; none of other bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, events) = bytes.split_first_chunk::<32>()?;
        let (numbers, _) = head.as_chunks::<8>();
        let [has_last, last, has_newest, newest] = *numbers else { return None };
        let [has_last, last, has_newest, newest] =
            [has_last, last, has_newest, newest].map(u64::from_le_bytes);
        let (events, rest) = events.as_chunks::<EVENT>();
        if has_last > 1 || has_newest > 1 || !rest.is_empty() || events.len() > MOST_REMEMBERED {
            return None;
        }
        let event = |bytes: &[u8; EVENT]| {
            let (time, id) = bytes.split_first_chunk::<8>()?;
            Some((u64::from_le_bytes(*time), EventId::from_bytes(id.try_into().ok()?)))
        };
        Some(Self {
            last: (has_last == 1).then_some(last),
            newest: (has_newest == 1).then_some(newest.cast_signed()),
            events: events.iter().map(event).collect::<Option<_>>()?,
        })
    }
}

/// Bytes of an event that is remembered.
const EVENT: usize = 24;

/// What a server is asked for: parameters of the address, and, where that would be too long, a message to say
/// after the opening.
pub(super) fn ask(
    parameters: Vec<(String, String)>,
    is_compressed: bool,
) -> (Vec<(String, String)>, Option<String>) {
    let length: usize = parameters.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let (mut address, hello) = if length <= LONGEST_ADDRESS {
        (parameters, None)
    } else {
        let (wanted, mut rest): (Vec<_>, Vec<_>) =
            parameters.into_iter().partition(|(name, _)| WANTED.contains(&name.as_str()));
        let values = |of: &str| -> Vec<String> {
            wanted.iter().filter(|(name, _)| name == of).map(|(_, value)| value.clone()).collect()
        };
        rest.push(("requireHello".to_owned(), "true".to_owned()));
        (rest, Some(jetstream::options_update(&values(WANTED[0]), &values(WANTED[1]))))
    };
    if is_compressed {
        address.push(("compress".to_owned(), "true".to_owned()));
    }
    (address, hello)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(rev: u64, time_us: u64) -> EventFrame {
        let line = format!(
            r#"{{"did":"did:plc:abc","time_us":{time_us},"kind":"commit","commit":{{"rev":"{rev}","operation":"delete","collection":"app.bsky.feed.like","rkey":"3mptbyplj5d2a"}}}}"#
        );
        jetstream::frame_of(line.as_bytes()).unwrap()
    }

    #[test]
    fn an_event_is_new_once_though_its_time_may_change() {
        let mut jetstream = Jetstream::new(None, 1000).unwrap();
        assert!(jetstream.see(100, &event(1, 100), None));
        assert!(!jetstream.see(90, &event(1, 90), Some(100)));
        assert!(jetstream.see(90, &event(2, 90), Some(100)));
        // Long after, it is forgotten.
        assert!(jetstream.see(100 + REMEMBERED + 1, &event(3, 1), Some(100 + REMEMBERED + 1)));
        assert!(jetstream.see(100, &event(1, 100), Some(100 + REMEMBERED + 1)));
    }

    #[test]
    fn an_absurd_time_keeps_nothing_from_being_forgotten() {
        let mut jetstream = Jetstream::new(None, 1000).unwrap();
        let absurd = 1 << 50;
        assert!(jetstream.see(absurd, &event(1, absurd), None));
        for at in 2..100 {
            assert!(jetstream.see(at * REWIND, &event(at, at * REWIND), Some(at * REWIND)));
        }
        // Those of half a minute, and itself: it is what comes again with each connection.
        assert_eq!(jetstream.place(None, None).events.len(), 8);
        assert!(!jetstream.see(absurd, &event(1, absurd), None));
    }

    #[test]
    fn what_was_seen_is_known_in_another_process() {
        let mut jetstream = Jetstream::new(None, 1000).unwrap();
        assert!(jetstream.see(100, &event(1, 100), None));
        assert!(jetstream.see(120, &event(2, 120), Some(100)));
        let place = jetstream.place(Some(120), Some(120_000));
        assert_eq!(place.cursor(), Cursor::After { seq: 120, time: 120_000 });
        let bytes = place.to_bytes();
        assert_eq!(JetstreamPlace::from_bytes(&bytes), Some(place.clone()));
        for len in 0..bytes.len() {
            let cut = JetstreamPlace::from_bytes(&bytes[..len]);
            assert_ne!(cut, Some(place.clone()), "cut to {len}");
            assert!(len < 32 || len % EVENT == 32 % EVENT || cut.is_none(), "cut to {len}");
        }
        let mut next = Jetstream::new(None, 1000).unwrap();
        next.remember(&place);
        assert!(!next.see(100, &event(1, 100), Some(120)));
        assert!(!next.see(121, &event(2, 121), Some(120)));
        assert!(next.see(110, &event(3, 110), Some(120)));
        let none = JetstreamPlace::default();
        assert_eq!(JetstreamPlace::from_bytes(&none.to_bytes()), Some(none));
    }

    #[test]
    fn long_wishes_are_said_after_the_opening() {
        let wish = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let few = vec![wish("wantedCollections", "app.bsky.feed.post"), wish("x", "y")];
        assert_eq!(ask(few.clone(), false), (few.clone(), None));
        let compressed = ask(few.clone(), true).0;
        assert_eq!(compressed.last(), Some(&wish("compress", "true")));
        let mut many = few;
        many.extend((0..200).map(|at| wish("wantedDids", &format!("did:plc:{at:024}"))));
        let (address, hello) = ask(many, false);
        assert_eq!(address, [wish("x", "y"), wish("requireHello", "true")]);
        let hello = hello.unwrap();
        assert!(hello.contains("options_update") && hello.contains("app.bsky.feed.post"));
        assert_eq!(hello.matches("did:plc:").count(), 200);
    }
}
