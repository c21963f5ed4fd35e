//! The decoder: one frame at a time, all of it or nothing.

mod labels;
mod other;
mod record;

pub use record::StandingRecord;

use super::column::Full;
use super::op::RawOp;
use super::stream::{Own, Point, PointOp, Stream};
use super::{Clock, ColumnsError, StreamColumns, StreamKind, Wanted};
use crate::car::Car;
use crate::cbor::Cursor;
use crate::cid::Cid;
use crate::clock::{BELIEVED, EventClock};
use crate::frame::{self, FrameError, Kind};
use crate::message::envelope::Envelope;
use crate::message::usual;
use crate::message::{Action, MAX_OPS, Path};
use crate::syntax::{Tid, Times, parse_time};

/// Bytes of records that are read of one frame at most, for each wanted stream: the limit of a frame, since a
/// commit may name one record often.
const MAX_RECORD_BYTES: usize = 5_000_000;

/// Ordinals from one frame to the next; a commit has fewer operations.
const ORDINALS: u64 = 256;

/// Reads frames into columns: of a stream of repositories or, where [`StreamKind::Labels`] is wanted, of one
/// of labels. Other decoders ignore labels.
#[derive(Debug)]
pub struct Decoder {
    streams: Vec<Stream>,
    /// The messages that each stream is made of, if not of operations.
    messages: Vec<Option<Kind>>,
    clock: Clock,
    needs_did: bool,
    needs_rev: bool,
    /// Frames come over a connection: when they arrived is known.
    is_connected: bool,
    position: Position,
    counters: Counters,
    times: Times,
    /// Operations of the frame at hand that are wanted.
    hits: Vec<Hit>,
}

/// Where a decoder stands in its source: what it has to know to go on after a restart. Plain data, to be kept
/// with the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The event clock.
    pub clock: EventClock,
    /// Frames released since the start of the source. One with more than 256 labels counts as one for each
    /// 256 begun, so that each has an ordinal of its own.
    pub frames: u64,
    /// The newest arrival, UTC nanoseconds; none before the first frame.
    pub arrival: Option<i64>,
}

/// What became of frames and operations. Of a refused frame only the refusal is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Frames with an event: commits, syncs, identities, accounts, and the older kinds; labels where they are wanted.
    pub frames: u64,
    /// Frames without: remarks, errors, unknown kinds; labels where they are not wanted.
    pub ignored: u64,
    /// Frames that were refused.
    pub refused: u64,
    /// Operations of commits.
    pub ops: u64,
    /// Operations that no stream wanted.
    pub unwanted: u64,
    /// Points read.
    pub rows: u64,
    /// Points left out, since they failed a test.
    pub filtered: u64,
    /// Values of another type than their field's: null.
    pub misfits: u64,
    /// Points whose record was not among the blocks: null.
    pub no_record: u64,
    /// Points whose record is not strict DAG-CBOR: null.
    pub bad_record: u64,
    /// Frames and labels, and points by another clock, whose time was too far ahead to be believed; they have
    /// the event clock's, but for a label by [`Clock::CreatedAt`] whose time is not beyond its arrival.
    pub ahead: u64,
    /// Points that have no time by the chosen clock, and were given their frame's; those of frames whose
    /// `time`, and labels whose `cts`, is no time, or none that nanoseconds in 64 bits can hold, and were
    /// given the event clock's.
    pub untimed: u64,
    /// Labels that are not about an account or its records: their key is null.
    pub no_subject: u64,
}

/// A frame that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// What it was.
    pub kind: Kind,
    /// Its number, where it has one.
    pub seq: Option<u64>,
    /// Its own time, UTC nanoseconds, where it has one.
    pub source_time: Option<i64>,
    /// Points that it gave.
    pub rows: u32,
}

/// A wanted operation: places are offsets in the frame or its blocks.
#[derive(Debug, Clone, Copy)]
struct Hit {
    stream: usize,
    op: usize,
    path: (usize, usize),
    /// Length of the path's collection.
    collection: usize,
    cid: Option<Cid>,
    /// The last bytes of the CID, if its record is read: they tell most blocks apart.
    wanted: Option<u64>,
    record: Option<(usize, usize)>,
}

/// Operations of a commit.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    ops: u64,
    unwanted: u64,
}

/// Where the points of a frame stand.
#[derive(Debug, Clone, Copy)]
struct Release {
    seq: i64,
    /// None where it is no time, or none that 64 bits hold.
    source_time: Option<i64>,
    time: i64,
    ordinal: u64,
    /// No time by another clock is believed that is later.
    most: i64,
}

impl Decoder {
    /// A decoder for what is wanted.
    ///
    /// # Errors
    /// If a value is wanted that its stream does not have.
    pub fn new(wanted: &Wanted) -> Result<Decoder, ColumnsError> {
        let streams = wanted
            .streams
            .iter()
            .enumerate()
            .map(|(at, stream)| Stream::new(stream, wanted.clock, at))
            .collect::<Result<Vec<_>, _>>()?;
        let messages = wanted.streams.iter().map(|stream| match stream.of {
            StreamKind::Records { .. } => None,
            StreamKind::Identities => Some(Kind::Identity),
            StreamKind::Accounts => Some(Kind::Account),
            StreamKind::Syncs => Some(Kind::Sync),
            StreamKind::Labels => Some(Kind::Labels),
        });
        Ok(Decoder {
            messages: messages.collect(),
            clock: wanted.clock,
            needs_did: streams.iter().any(Stream::needs_did),
            needs_rev: wanted.clock == Clock::Rev || streams.iter().any(|stream| stream.shows(Own::Rev)),
            streams,
            is_connected: false,
            position: Position::default(),
            counters: Counters::default(),
            times: Times::default(),
            hits: Vec::new(),
        })
    }

    /// Says that frames come over a connection from here on: a time is believed up to five minutes after its frame's
    /// arrival, however far ahead of the one before it is.
    pub fn connected(&mut self) {
        self.is_connected = true;
    }

    /// Where the decoder stands.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Goes on from where another decoder of the same source stood.
    pub fn set_position(&mut self, position: Position) {
        self.position = position;
    }

    /// What became of frames and operations.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Number of points read and not yet taken.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.streams.iter().map(Stream::rows).sum()
    }

    /// The points read so far, one for each wanted stream; there are none after.
    pub fn take(&mut self) -> Vec<StreamColumns> {
        self.streams.iter_mut().map(Stream::take).collect()
    }

    /// Reads a frame that arrived at `arrival` (UTC nanoseconds).
    ///
    /// # Errors
    /// If the frame is refused: then all is as before, but for [`Counters::refused`]. [`FrameError::Full`] is not the
    /// frame's fault: it can be pushed again after [`take`](Decoder::take).
    pub fn push(&mut self, frame: &[u8], arrival: i64) -> Result<Pushed, FrameError> {
        let before = (self.position, self.counters);
        let pushed = self.read(frame, arrival);
        self.settle(before, pushed.as_ref().map(|pushed| pushed.rows));
        pushed
    }

    /// Keeps what was read, of so many points, or takes it all back.
    #[inline]
    fn settle(&mut self, before: (Position, Counters), read: Result<u32, &FrameError>) {
        match read {
            Ok(0) => {}
            Ok(_) => self.streams.iter_mut().for_each(|stream| stream.committed = stream.rows()),
            Err(error) => {
                (self.position, self.counters) = before;
                self.counters.refused += u64::from(*error != FrameError::Full);
                self.streams.iter_mut().for_each(|stream| stream.truncate(stream.committed));
            }
        }
    }

    fn read(&mut self, frame: &[u8], arrival: i64) -> Result<Pushed, FrameError> {
        let mut cursor = Cursor::new(frame);
        match frame::read_kind(&mut cursor)? {
            Kind::Commit => self.read_commit(frame, &mut cursor, arrival),
            kind => self.read_other(kind, frame, arrival),
        }
    }

    #[inline]
    fn read_commit(
        &mut self,
        frame: &[u8],
        cursor: &mut Cursor<'_>,
        arrival: i64,
    ) -> Result<Pushed, FrameError> {
        let mut found = Found::default();
        self.hits.clear();
        let usual = usual::read(frame, cursor.position(), |op, usual| {
            found.ops += 1;
            let path = (usual.path, usual.path_end - usual.path.len());
            let known = |cid: &[u8; Cid::LENGTH]| Cid::from_bytes(cid);
            let wanted = self.note(op, path, || Ok(usual.action), || usual.cid.map(known).transpose());
            found.unwanted += u64::from(!wanted.ok()?);
            Some(())
        });
        let envelope = match usual {
            Some(usual) => Envelope {
                seq: usual.seq,
                time: usual.time,
                rev: Cursor::at(frame, usual.rev),
                repo: Cursor::at(frame, usual.repo),
                blocks: usual.blocks,
            },
            None => {
                let envelope = Envelope::read(cursor, |ops| {
                    found = self.find_ops(ops)?;
                    Ok(())
                })?;
                frame::end(cursor)?;
                envelope
            }
        };
        self.counters.ops += found.ops;
        self.counters.unwanted += found.unwanted;
        let release = self.release(envelope.seq, envelope.time, arrival)?;
        let rows = if self.hits.is_empty() { 0 } else { self.read_ops(frame, &envelope, release)? };
        Ok(Pushed { kind: Kind::Commit, seq: Some(envelope.seq), source_time: release.source_time, rows })
    }

    /// Finds the operations that are wanted, whatever keys they have.
    fn find_ops(&mut self, cursor: &mut Cursor<'_>) -> Result<Found, FrameError> {
        self.hits.clear();
        let count = cursor.read_list()?;
        if count > MAX_OPS {
            return Err(FrameError::TooManyOps(count));
        }
        let mut found = Found { ops: count as u64, unwanted: 0 };
        for op in 0..count {
            let raw = RawOp::read(cursor)?;
            let wanted = self.note(op, (raw.path, raw.path_at), || raw.action(), || raw.cid())?;
            found.unwanted += u64::from(!wanted);
        }
        Ok(found)
    }

    /// Notes an operation for each stream that wants it; says whether one does. The path comes with its
    /// offset in the frame.
    #[inline]
    fn note<E>(
        &mut self,
        op: usize,
        (path, path_at): (&[u8], usize),
        action: impl Fn() -> Result<Action, E>,
        cid: impl Fn() -> Result<Option<Cid>, E>,
    ) -> Result<bool, E> {
        let mut wanted = false;
        for (stream, of) in self.streams.iter().enumerate() {
            let Some(ops) = of.ops.as_ref().filter(|ops| ops.holds(path)) else { continue };
            if action()? != ops.action {
                continue;
            }
            let cid = cid()?;
            let reads = ops.action != Action::Delete && !of.record.is_empty();
            self.hits.push(Hit {
                stream,
                op,
                path: (path_at, path_at + path.len()),
                collection: ops.collection.len(),
                cid,
                wanted: cid.filter(|_| reads).as_ref().and_then(tail),
                record: None,
            });
            wanted = true;
        }
        Ok(wanted)
    }

    /// The frame's place in the order of release.
    #[inline]
    fn release(&mut self, seq: u64, time: &[u8], arrival: i64) -> Result<Release, FrameError> {
        let seq = i64::try_from(seq).map_err(|_| FrameError::Seq)?;
        let source_time = self.times.parse(time);
        let newest_arrival = self.arrive(arrival);
        let event_time = match source_time {
            Some(time) => self.tell(time, arrival),
            None => self.position.clock.newest.ok_or(FrameError::Time)?,
        };
        let time = if self.clock == Clock::Arrival { newest_arrival } else { event_time };
        let most = most(time, source_time, arrival);
        Ok(Release { seq, source_time, time, ordinal: self.take_ordinals(1), most })
    }

    /// The event clock's time as of an event with this time of its own.
    #[inline]
    fn tell(&mut self, source_time: i64, arrival: i64) -> i64 {
        let (event_time, ahead) = self.position.clock.tell(source_time, self.known(arrival));
        self.counters.ahead += u64::from(ahead);
        event_time
    }

    /// The arrival of a frame, where it is that: a recording's frames arrived before they are read.
    #[inline]
    fn known(&self, arrival: i64) -> Option<i64> {
        self.is_connected.then_some(arrival)
    }

    /// The newest arrival as of a frame that arrived at `arrival`.
    #[inline]
    fn arrive(&mut self, arrival: i64) -> i64 {
        *self.position.arrival.insert(self.position.arrival.map_or(arrival, |before| before.max(arrival)))
    }

    /// The ordinal of a frame's first point, where the frame takes `frames` times the usual number.
    #[inline]
    fn take_ordinals(&mut self, frames: u64) -> u64 {
        let ordinal = self.position.frames.wrapping_mul(ORDINALS);
        self.position.frames += frames;
        self.counters.frames += 1;
        ordinal
    }

    /// Reads the wanted operations; gives the number of points.
    #[inline]
    fn read_ops(
        &mut self,
        frame: &[u8],
        envelope: &Envelope<'_>,
        release: Release,
    ) -> Result<u32, FrameError> {
        self.find_records(envelope.blocks)?;
        let did = if self.needs_did { Some({ envelope.repo }.read_text()?) } else { None };
        let rev = if self.needs_rev { Some({ envelope.rev }.read_text()?) } else { None };
        let mut rows = 0;
        for (at, hit) in self.hits.iter().enumerate() {
            let stream = &mut self.streams[hit.stream];
            let Some(action) = stream.ops.as_ref().map(|ops| ops.action) else { continue };
            if let Some((start, end)) = hit.record {
                stream.read_record(&envelope.blocks[start..end], &mut self.counters)?;
            } else {
                self.counters.no_record += u64::from(action != Action::Delete && !stream.record.is_empty());
            }
            let path = path(frame, hit)?;
            let mut point = Point {
                time: release.time,
                ordinal: release.ordinal + hit.op as u64,
                seq: Some(release.seq),
                source_time: release.source_time,
                did,
                rev,
                op: Some(PointOp { path, action, cid: hit.cid }),
                ..Point::default()
            };
            let own_time = match self.clock {
                Clock::FrameTime => release.source_time.map(|_| release.time),
                Clock::Arrival => Some(release.time),
                Clock::Rev => rev.and_then(rev_time),
                Clock::CreatedAt => stream.created_at().and_then(parse_time),
            };
            // A claim that is far ahead of the network's clock would make all who are honest late.
            let believed = own_time.filter(|time| *time <= release.most);
            if believed.is_none() && self.hits[..at].iter().all(|before| before.op != hit.op) {
                // Once, however often the stream is read.
                self.counters.ahead += u64::from(own_time.is_some());
                self.counters.untimed += u64::from(own_time.is_none());
            }
            let own_time = believed;
            point.time = own_time.unwrap_or(release.time);
            let kept = stream.end_row(&point)?;
            rows += u32::from(kept);
            self.counters.filtered += u64::from(!kept);
        }
        self.counters.rows += u64::from(rows);
        Ok(rows)
    }

    /// Finds the blocks of the records that are wanted. If there are any, all blocks are hopped through.
    #[inline]
    fn find_records(&mut self, blocks: &[u8]) -> Result<(), FrameError> {
        if self.hits.iter().all(|hit| hit.wanted.is_none()) {
            return Ok(());
        }
        let mut bytes = 0;
        for block in Car::parse(blocks)?.blocks() {
            let (cid, block) = block?;
            let tail = tail(&cid);
            for hit in &mut self.hits {
                if hit.wanted == tail && hit.cid == Some(cid) && hit.record.is_none() {
                    let end = offset_of(blocks, block) + block.len();
                    hit.record = Some((end - block.len(), end));
                    bytes += block.len();
                }
            }
        }
        if bytes > MAX_RECORD_BYTES * self.streams.len() {
            return Err(FrameError::RecordBytes(bytes));
        }
        Ok(())
    }
}

impl From<Full> for FrameError {
    #[cold]
    fn from(_: Full) -> Self {
        FrameError::Full
    }
}

/// The latest time by another clock that is believed of a frame that is given this time and has one of its own:
/// five minutes after either. In a recording, where frames lie far apart, the event clock stands still, and the own one
/// tells more; it counts as far as it is not beyond its arrival, which was before the frame is read.
#[inline]
fn most(time: i64, source_time: Option<i64>, arrival: i64) -> i64 {
    let own = source_time.filter(|own| *own <= arrival.saturating_add(BELIEVED));
    own.map_or(time, |own| own.max(time)).saturating_add(BELIEVED)
}

/// The path of a wanted operation, of which the collection is known to be followed by a slash or by nothing.
#[inline]
fn path<'a>(frame: &'a [u8], hit: &Hit) -> Result<Path<'a>, FrameError> {
    let (start, end) = hit.path;
    let text = frame.get(start..end).and_then(|text| std::str::from_utf8(text).ok());
    let parts = text.and_then(|text| Some((text.get(..hit.collection)?, text.get(hit.collection + 1..)?)));
    match parts {
        Some((collection, rkey)) if !rkey.is_empty() && !rkey.bytes().any(|byte| byte == b'/') => {
            Ok(Path { collection, rkey })
        }
        _ => Err(FrameError::Path { at: start }),
    }
}

/// The last bytes of a CID.
#[inline]
fn tail(cid: &Cid) -> Option<u64> {
    cid.as_bytes().last_chunk().map(|tail| u64::from_le_bytes(*tail))
}

/// Where `part` starts in `whole`.
#[inline]
fn offset_of(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// The time in a revision, UTC nanoseconds.
fn rev_time(rev: &str) -> Option<i64> {
    let micros = rev.parse::<Tid>().ok()?.micros();
    i64::try_from(micros).ok()?.checked_mul(1000)
}
