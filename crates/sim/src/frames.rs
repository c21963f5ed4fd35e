//! Frames on their way to a relay: what a source of them is, and a source that serves given frames, once or for ever.
//!
//! A source writes into a buffer of the caller's, so that serving a million frames a second costs one copy
//! each and no allocation. Frames that are repeated get a new `seq` and `time` in their envelope, which no
//! signature covers; all else, the `rev` and the signature too, stays as it was.

use std::ops::Range;

use bytes::Bytes;
use skytide_atproto::cbor::{Cursor, Encoder, Kind, MapKeys};
use skytide_atproto::syntax::parse_time;

use crate::time;

/// One frame of a simulated stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimFrame {
    /// The sequence number in the envelope; of an `#info`, which has none, that of the frame before.
    pub seq: u64,
    /// The envelope's `time` in nanoseconds since 1970, UTC, to the millisecond; of `#labels`, which have
    /// none, the newest `cts`; of an `#info` when it was sent.
    pub time: i64,
    /// The frame as a relay sends it: two DAG-CBOR items, header and payload.
    pub bytes: Bytes,
}

/// Where a relay's frames come from.
pub trait FrameSource: Send {
    /// Appends the next frame to `out` and gives its sequence number: `None` inside where it has none
    /// (`#info`, or bytes that are no frame). `None` outside: there are no more.
    fn next_into(&mut self, out: &mut Vec<u8>) -> Option<Option<u64>>;
}

/// Given frames, served in order, once or again and again.
#[derive(Debug)]
pub struct Replay {
    frames: Vec<Prepared>,
    at: usize,
    lap: u64,
    repeat: Option<Span>,
}

/// A time that is so many nanoseconds away from those of the frames around it is none that the stream has come to.
const BELIEVED_AHEAD: i64 = 5 * 60 * 1_000_000_000;

/// A first or last time, which has one neighbour, may be so many nanoseconds away: a stream may be quiet for
/// hours.
const LONGEST_PAUSE: i64 = 24 * 60 * 60 * 1_000_000_000;

/// What is added to `seq` and `time` (nanoseconds) at each lap.
#[derive(Debug, Clone, Copy)]
struct Span {
    seq: u64,
    time: i64,
}

#[derive(Debug)]
struct Prepared {
    bytes: Bytes,
    envelope: Envelope,
}

/// What of an envelope is moved on. Bytes that are no frame have neither.
#[derive(Debug, Default)]
pub(crate) struct Envelope {
    pub(crate) seq: Option<Item<u64>>,
    time: Option<Item<i64>>,
}

/// A value of the envelope and the bytes it stands in.
#[derive(Debug, Clone)]
pub(crate) struct Item<T> {
    pub(crate) value: T,
    pub(crate) place: Range<usize>,
}

impl Replay {
    /// Serves each frame once, byte for byte. Bytes that are no frame are served as they are.
    pub fn once(frames: impl IntoIterator<Item = Bytes>) -> Self {
        let frames = frames.into_iter().map(Prepared::new).collect();
        Self { frames, at: 0, lap: 0, repeat: None }
    }

    /// Serves the frames again and again: the first lap byte for byte, every later one with `seq` and `time`
    /// moved on so that they follow the lap before. An empty list ends at once.
    pub fn repeating(frames: impl IntoIterator<Item = Bytes>) -> Self {
        let mut replay = Self::once(frames);
        replay.repeat = Some(Span::of(&replay.frames));
        replay
    }
}

impl FrameSource for Replay {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Option<Option<u64>> {
        if self.at == self.frames.len() {
            self.repeat?;
            self.at = 0;
            self.lap += 1;
        }
        let frame = self.frames.get(self.at)?;
        self.at += 1;
        let moved = self.repeat.filter(|_| self.lap > 0);
        Some(match moved {
            None => {
                out.extend_from_slice(&frame.bytes);
                frame.envelope.seq.as_ref().map(|seq| seq.value)
            }
            Some(span) => frame.moved_into(span, self.lap, out),
        })
    }
}

impl Span {
    /// One lap: from the least to the greatest value, and one mean step from the last frame to the first of the next.
    fn of(frames: &[Prepared]) -> Self {
        let bounds = |values: &mut dyn Iterator<Item = i64>| {
            values.fold(None, |bounds: Option<(i64, i64)>, value| match bounds {
                None => Some((value, value)),
                Some((least, most)) => Some((least.min(value), most.max(value))),
            })
        };
        let extent =
            |bounds: Option<(i64, i64)>| bounds.map_or(0, |(least, most)| most.saturating_sub(least));
        let seqs = &mut frames
            .iter()
            .filter_map(|frame| frame.envelope.seq.as_ref())
            .map(|seq| seq.value.cast_signed());
        let times: Vec<i64> =
            frames.iter().filter_map(|frame| frame.envelope.time.as_ref()).map(|time| time.value).collect();
        let likely = times.iter().enumerate().filter(|(at, _)| !is_absurd(&times, *at));
        let time = extent(bounds(&mut likely.map(|(_, time)| *time)));
        let step = time / i64::try_from(frames.len().max(1)).unwrap_or(i64::MAX);
        Self {
            seq: extent(bounds(seqs)).unsigned_abs() + 1,
            time: time::whole_millis(time.saturating_add(step)).max(time::MILLISECOND),
        }
    }
}

/// Whether a time is one that its neighbours know nothing of: by such a span later laps would be at the end
/// of all times.
fn is_absurd(times: &[i64], at: usize) -> bool {
    let time = times[at];
    let mut neighbours =
        [at.checked_sub(1), at.checked_add(1)].into_iter().flatten().filter_map(|at| times.get(at));
    let most = if neighbours.clone().count() > 1 { BELIEVED_AHEAD } else { LONGEST_PAUSE };
    let is_ahead = |other: &i64| time.saturating_sub(*other) > most;
    let is_behind = |other: &i64| other.saturating_sub(time) > most;
    times.len() > 2 && (neighbours.clone().all(is_ahead) || neighbours.all(is_behind))
}

impl Prepared {
    fn new(bytes: Bytes) -> Self {
        let envelope = Envelope::read(&bytes).unwrap_or_default();
        Self { bytes, envelope }
    }

    /// Appends the frame as lap number `lap` sends it; gives its new sequence number.
    fn moved_into(&self, span: Span, lap: u64, out: &mut Vec<u8>) -> Option<u64> {
        let seq = self.envelope.seq.as_ref().map(|seq| {
            let value = seq.value.wrapping_add(span.seq.wrapping_mul(lap));
            let mut encoder = Encoder::new();
            encoder.unsigned(value);
            (value, &seq.place, encoder)
        });
        let time = self.envelope.time.as_ref().map(|time| {
            let value = time.value.saturating_add(span.time.saturating_mul(lap.cast_signed()));
            let mut encoder = Encoder::new();
            encoder.text(&time::text(value));
            (&time.place, encoder)
        });
        let mut edits = [
            seq.as_ref().map(|(_, place, encoder)| (*place, encoder)),
            time.as_ref().map(|(place, encoder)| (*place, encoder)),
        ];
        edits.sort_by_key(|edit| edit.map_or(0, |(place, _)| place.start));
        let mut kept = 0;
        for (place, encoder) in edits.into_iter().flatten() {
            out.extend_from_slice(self.bytes.get(kept..place.start).unwrap_or_default());
            out.extend_from_slice(encoder.as_bytes());
            kept = place.end;
        }
        out.extend_from_slice(self.bytes.get(kept..).unwrap_or_default());
        seq.map(|(value, ..)| value)
    }
}

impl Envelope {
    /// `None` where the bytes are no frame.
    pub(crate) fn read(frame: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(frame);
        cursor.skip().ok()?;
        let mut envelope = Self::default();
        let mut keys = MapKeys::new(cursor.read_map().ok()?);
        while let Some(key) = keys.next(&mut cursor).ok()? {
            let start = cursor.position();
            match (key, cursor.kind().ok()?) {
                ("seq", Kind::Unsigned) => {
                    let value = cursor.read_u64().ok()?;
                    envelope.seq = Some(Item { value, place: start..cursor.position() });
                }
                ("time", Kind::Text) => {
                    let value = parse_time(cursor.read_text().ok()?);
                    envelope.time = value.map(|value| Item { value, place: start..cursor.position() });
                }
                _ => cursor.skip().ok()?,
            }
        }
        Some(envelope)
    }
}
