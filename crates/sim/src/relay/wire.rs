//! Frames as they go over the wire: many WebSocket messages in one run of bytes, made once, sent to any
//! number of clients.
//!
//! A server does not mask what it sends, so every client gets the same bytes: a client at the head of the
//! stream is sent a whole chunk by one write, and one that replays from a cursor a slice of it.

use bytes::Bytes;

use super::jetstream::{Clock, Stamp};
use crate::frames::FrameSource;

/// Consecutive frames, each as one binary WebSocket message.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Place in the stream of the first frame.
    pub(super) first: u64,
    /// For each frame its sequence number, or the one before it where it has none: falls only where the
    /// numbering begins anew.
    seqs: Vec<u64>,
    /// Place in the stream of the last frame whose number is below the one before.
    pub(super) renumbered: Option<u64>,
    /// For each frame where its message ends in `bytes`.
    ends: Vec<usize>,
    bytes: Bytes,
    /// For each frame the times of its events; empty where nobody asks for events.
    stamps: Vec<Stamp>,
}

/// How much goes into one chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Frames at most.
    pub(super) frames: u64,
    /// No further frame once there are so many bytes.
    pub(super) bytes: usize,
}

impl Chunk {
    /// Takes frames from the source as room allows. `None` where no frame was taken; the flag tells whether
    /// the source has ended.
    pub(super) fn take(
        source: &mut dyn FrameSource,
        first: u64,
        mut last_seq: u64,
        room: Room,
    ) -> (Option<Self>, bool) {
        const USUAL: usize = 8 << 10;
        let usual = usize::try_from(room.frames).unwrap_or(usize::MAX).saturating_mul(USUAL);
        let mut bytes = Vec::with_capacity(usual.min(room.bytes + USUAL));
        let (mut seqs, mut ends) = (Vec::new(), Vec::new());
        let (mut ended, mut renumbered) = (false, None);
        while (seqs.len() as u64) < room.frames && bytes.len() < room.bytes {
            let Some(seq) = write_message(source, &mut bytes) else {
                ended = true;
                break;
            };
            if seq.is_some_and(|seq| seq < last_seq) {
                renumbered = Some(first + seqs.len() as u64);
            }
            last_seq = seq.unwrap_or(last_seq);
            seqs.push(last_seq);
            ends.push(bytes.len());
        }
        let chunk = (!seqs.is_empty()).then(|| Self {
            first,
            seqs,
            renumbered,
            ends,
            bytes: bytes.into(),
            stamps: Vec::new(),
        });
        (chunk, ended)
    }

    /// Gives the events of every frame their times.
    pub(super) fn stamp(&mut self, clock: &mut Clock) {
        let payloads = messages(&self.bytes).map(|(message, header)| message.get(header..));
        self.stamps = payloads.map(|payload| clock.stamp(payload.unwrap_or_default())).collect();
    }

    /// The times of the events from a place in the stream to the chunk's end.
    pub(super) fn stamps_from(&self, place: u64) -> &[Stamp] {
        let skipped = usize::try_from(place.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.stamps.get(skipped..).unwrap_or_default()
    }

    /// Place in the stream after the last frame.
    pub(super) fn end(&self) -> u64 {
        self.first + self.seqs.len() as u64
    }

    /// The messages from a place in the stream to the chunk's end; empty for a place that is not in the chunk.
    pub(super) fn from(&self, place: u64) -> Bytes {
        match place.checked_sub(self.first) {
            Some(0) => self.bytes.clone(),
            Some(skipped) => {
                let start = self.ends.get(skipped as usize - 1).copied().unwrap_or(self.bytes.len());
                self.bytes.slice(start..)
            }
            None => Bytes::new(),
        }
    }

    /// The sequence number of the frame at a place in the stream, if it is here.
    pub(super) fn seq_at(&self, place: u64) -> Option<u64> {
        self.seqs.get(usize::try_from(place.checked_sub(self.first)?).ok()?).copied()
    }

    /// The sequence number of the last frame.
    pub(super) fn last_seq(&self) -> u64 {
        self.seqs.last().copied().unwrap_or_default()
    }

    /// The place in the stream of the first frame, not before `floor`, whose sequence number the caller does not want
    /// skipped.
    pub(super) fn seek(&self, floor: u64, skipped: impl Fn(u64) -> bool) -> u64 {
        let before = floor.saturating_sub(self.first) as usize;
        let sought = self.seqs.get(before..).unwrap_or_default();
        self.first + (before + sought.partition_point(|seq| skipped(*seq))) as u64
    }
}

/// What the messages of a stream are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Frames.
    Frames,
    /// Events, as text.
    Events,
    /// Events, compressed.
    Compressed,
}

impl Form {
    /// What kind of message they come in.
    pub(super) fn kind(self) -> u8 {
        match self {
            Self::Frames | Self::Compressed => BINARY,
            Self::Events => TEXT,
        }
    }
}

/// Appends the source's next frame as one whole, unmasked binary message (RFC 6455, 5.2); gives its sequence
/// number, or `None` where the source has ended.
///
/// The frame is written where it stays, behind room for the header that nearly all frames need.
fn write_message(source: &mut dyn FrameSource, out: &mut Vec<u8>) -> Option<Option<u64>> {
    const ROOM: usize = 4;
    let start = out.len();
    out.extend_from_slice(&[0; ROOM]);
    let Some(seq) = source.next_into(out) else {
        out.truncate(start);
        return None;
    };
    let length = out.len() - start - ROOM;
    let header = header(FINAL | BINARY, length as u64);
    // In place where the lengths agree; only the few others are moved.
    out.splice(start..start + ROOM, header);
    Some(seq)
}

/// The first byte of a message: the last or only fragment, and what it is (RFC 6455, 5.2).
pub(super) const FINAL: u8 = 0x80;
pub(super) const CONTINUATION: u8 = 0;
pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const PING: u8 = 9;

/// The header of an unmasked message or fragment.
pub(super) fn header(first: u8, length: u64) -> Vec<u8> {
    let mut header = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => header.push(short),
        (_, Ok(medium)) => {
            header.push(126);
            header.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend_from_slice(&length.to_be_bytes());
        }
    }
    header
}

/// An unmasked message or fragment.
pub(super) fn message(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut message = header(first, payload.len() as u64);
    message.extend_from_slice(payload);
    message
}

/// Splits a run of messages: for each its bytes, and how many of them are its header.
pub(super) fn messages(run: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let mut left = run;
    std::iter::from_fn(move || {
        let (header, payload) = match *left.get(1)? {
            126 => (4, u64::from(u16::from_be_bytes(*left.get(2..)?.first_chunk()?))),
            127 => (10, u64::from_be_bytes(*left.get(2..)?.first_chunk()?)),
            short => (2, u64::from(short)),
        };
        let (message, rest) = left.split_at_checked(header + usize::try_from(payload).ok()?)?;
        left = rest;
        Some((message, header))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_splits_into_the_messages_it_was_made_of() {
        let made =
            [0, 1, 125, 126, 65_535, 65_536, 3].map(|length| message(FINAL | BINARY, &vec![7; length]));
        let headers = [2, 2, 2, 4, 4, 10, 2];
        let run = made.concat();
        let split: Vec<_> = messages(&run).collect();
        assert_eq!(split, made.iter().map(Vec::as_slice).zip(headers).collect::<Vec<_>>());
        assert_eq!(messages(&run[..run.len() - 1]).count(), made.len() - 1);
    }
}
