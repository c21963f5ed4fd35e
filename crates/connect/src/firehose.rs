//! The firehose as a source: frames in, the columns that a plan's scans want out, nothing else decoded.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use skytide_atproto::columns::{
    Clock, Counters, Decoder, EqTest, EventClock, Literal, PathStep as ColumnStep, Position, Pushed,
    StreamColumns, Wanted, WantedStream,
};
use skytide_atproto::frame::{self, FrameError, Kind};
use skytide_firehose::{Batch, Cause, JetstreamPlace, Ledger};
use skytide_runtime::{BytesError, Epoch, Reader, Writer};
use skytide_timestream::engine::hash;
use skytide_timestream::plan::{Comparison, PathStep, Plan, Scan};
use skytide_timestream::rows::{Keys, Lane, Places, Rows};
use skytide_timestream::scalar::Scalar;

use crate::catalog::FirehoseCatalog;
use crate::frames::{Frames, Last};
use crate::recovery::{SaveError, StateError, state};
use crate::source::{Next, Saved, Source, SourceError, SourceState, Status};

/// So many frames make an epoch at most: enough that what an epoch costs is nothing beside them, few enough that the rows
/// of one stay in the cache.
const FRAMES_PER_EPOCH: usize = 4096;

/// A connection that has so many frames at once is busy: each wake of this thread costs more than the frames that it finds.
const BUSY: usize = 32;
/// Then so much time is left to it to gather more of them. The wait is part of what a row takes to be written: see
/// docs/performance.md.
const GATHERING: Duration = Duration::from_micros(400);
/// And again, as long as it is as busy each time, but no longer than this for one epoch: then it brings what lay waiting elsewhere, and
/// what an epoch costs counts for more than a few milliseconds do.
const GATHERING_AT_MOST: Duration = Duration::from_millis(6);

/// Reads frames and decodes what a plan wants of them.
pub struct FirehoseSource {
    intake: Intake,
    decoder: Decoder,
    lanes: Vec<u16>,
    clock: Clock,
    points: u64,
    /// What can be opened again, as it is told from other sources; else why it cannot be saved.
    identity: Result<String, SaveError>,
    /// What was done in earlier runs.
    earlier: Status,
}

/// Where frames stand after the points that were made of them last: all that it takes to go on after those.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mark {
    pub(crate) last: Last,
    pub(crate) position: Position,
    /// Frames and bytes decoded since the source was opened first.
    pub(crate) read: u64,
    pub(crate) bytes: u64,
    /// Whether recordings that come first are behind.
    pub(crate) is_live: bool,
    /// Whether a frame of the connection has told its time.
    pub(crate) has_begun: bool,
}

impl Mark {
    fn write(&self, bytes: &mut Writer) {
        let Position { clock, frames, arrival } = self.position;
        state::write_time(bytes, self.last.seq.map(u64::cast_signed));
        state::write_time(bytes, self.last.newest);
        state::write_time(bytes, clock.newest);
        bytes.number(clock.ahead.into());
        bytes.number(clock.lowest_ahead.cast_unsigned());
        bytes.number(frames);
        state::write_time(bytes, arrival);
        bytes.number(self.read);
        bytes.number(self.bytes);
        bytes.number(self.is_live.into());
        bytes.number(self.has_begun.into());
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, StateError> {
        let seq = state::read_time(bytes)?.map(i64::cast_unsigned);
        let last = Last { seq, newest: state::read_time(bytes)? };
        let newest = state::read_time(bytes)?;
        let ahead = u8::try_from(bytes.number()?).ok().filter(|ahead| *ahead < EventClock::CONVINCING);
        let ahead = ahead.ok_or(BytesError::Number)?;
        let lowest_ahead = bytes.number()?.cast_signed();
        let frames = state::read_count(bytes)?;
        let arrival = state::read_time(bytes)?;
        let clock = EventClock { newest, ahead, lowest_ahead };
        let position = Position { clock, frames, arrival };
        let (read, size) = (state::read_count(bytes)?, state::read_count(bytes)?);
        let (is_live, has_begun) = (state::read_flag(bytes)?, state::read_flag(bytes)?);
        Ok(Self { last, position, read, bytes: size, is_live, has_begun })
    }
}

/// Where a source of frames left off, and what it had done.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    pub(crate) mark: Mark,
    pub(crate) status: Status,
    /// Of a Jetstream.
    pub(crate) place: Option<JetstreamPlace>,
}

impl Standing {
    /// The state of a source that is told from others so.
    pub(crate) fn save(&self, identity: &str) -> Saved {
        let mut bytes = Writer::default();
        bytes.part(identity.as_bytes());
        self.mark.write(&mut bytes);
        state::write_status(&mut bytes, &self.status);
        bytes.part(&self.place.as_ref().map_or_else(Vec::new, JetstreamPlace::to_bytes));
        Saved::State(SourceState(bytes.into_bytes()))
    }

    /// Reads what [`Self::save`] wrote of the same source.
    pub(crate) fn read(bytes: &mut Reader<'_>, identity: &str) -> Result<Self, StateError> {
        state::expect(bytes, identity)?;
        let (mark, status) = (Mark::read(bytes)?, state::read_status(bytes)?);
        let place = match bytes.part()? {
            [] => None,
            place => Some(JetstreamPlace::from_bytes(place).ok_or(BytesError::Cut)?),
        };
        Ok(Self { mark, status, place })
    }
}

impl FirehoseSource {
    /// Reads what `plan` wants from `frames`, placing points by `clock`.
    ///
    /// # Errors
    /// A scan of something else than this catalog's streams, or of both repositories and labels
    /// ([`FirehoseCatalog::feed`]).
    pub fn new(
        plan: &Plan,
        catalog: &FirehoseCatalog,
        frames: Frames,
        clock: Clock,
    ) -> Result<Self, SourceError> {
        let Wanting { streams, lanes } = Wanting::of(plan, catalog)?;
        let decoder = decoder(streams, clock)?;
        let reason = "the program has opened its frames; a `Network` opens them by their address";
        let identity = Err(SaveError::never("a firehose", reason));
        let (intake, earlier) = (Intake::new(frames), Status::default());
        Ok(Self { intake, decoder, lanes, clock, points: 0, identity, earlier })
    }

    /// It can be opened again, and is told from others so.
    pub(crate) fn known_as(self, identity: String) -> Self {
        Self { identity: Ok(identity), ..self }
    }

    /// Goes on from where another decoder of the same frames stood.
    pub(crate) fn going_on(mut self, mark: Mark) -> Self {
        self.decoder.set_position(mark.position);
        self.intake.go_on(mark);
        self
    }

    /// Counts on from what was done in earlier runs.
    pub(crate) fn counting_on(self, earlier: Status) -> Self {
        Self { earlier, ..self }
    }

    /// Where it stands: all that was decoded has been given out.
    pub(crate) fn mark(&self) -> Mark {
        self.intake.mark(self.decoder.position())
    }

    /// Where a Jetstream stands there; none of another connection.
    pub(crate) fn jetstream_place(&self) -> Result<Option<JetstreamPlace>, SaveError> {
        let place = self.intake.frames.jetstream_place();
        // Events that wait for room are known to a Jetstream's connection already.
        if self.intake.failed.is_some() || (place.is_some() && !self.intake.is_decoded()) {
            return Err(SaveError::NotNow);
        }
        Ok(place)
    }

    /// The points decoded so far, as an epoch.
    fn epoch(&mut self) -> Epoch {
        let newest = self.newest();
        let scans = self.decoder.take().into_iter().zip(&self.lanes).map(|(columns, lane)| {
            self.points += columns.time.len() as u64;
            (!columns.time.is_empty()).then(|| rows(columns, *lane))
        });
        Epoch { scans: scans.collect(), watermark: newest.unwrap_or(i64::MIN) }
    }

    fn newest(&self) -> Option<i64> {
        newest(self.decoder.position(), self.clock)
    }
}

impl Source for FirehoseSource {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        Ok(match self.intake.fill(&mut self.decoder, wait)? {
            Filled::Points => Next::Epoch(self.epoch()),
            Filled::Idle => Next::Idle,
            Filled::End => Next::End,
        })
    }

    fn status(&self) -> Status {
        let mut status = self.intake.frames.status();
        // What waits for room is not behind it.
        (status.read, status.bytes) = self.intake.decoded();
        status.points = self.points;
        status.newest = self.newest();
        count_reasons(self.decoder.counters(), &mut status.dropped);
        status.add_earlier(&self.earlier);
        status
    }

    fn save(&self) -> Result<Saved, SaveError> {
        let identity = self.identity.as_ref().map_err(Clone::clone)?;
        let place = self.jetstream_place()?;
        Ok(Standing { mark: self.mark(), status: self.status(), place }.save(identity))
    }
}

/// What takes in frames.
pub(crate) trait Decode {
    /// Reads a frame that arrived at `arrival`.
    ///
    /// # Errors
    /// The frame is refused, or there is no room for it before the points are taken ([`FrameError::Full`]).
    fn push(&mut self, frame: &[u8], arrival: i64) -> Result<Pushed, FrameError>;

    /// Points that are ready to be taken.
    fn rows(&self) -> usize;

    /// The next frame is the first of a live connection.
    fn connected(&mut self);
}

impl Decode for Decoder {
    #[inline]
    fn push(&mut self, frame: &[u8], arrival: i64) -> Result<Pushed, FrameError> {
        Self::push(self, frame, arrival)
    }

    fn rows(&self) -> usize {
        Self::rows(self)
    }

    fn connected(&mut self) {
        Self::connected(self);
    }
}

/// Frames on their way into a decoder: none is lost where there was no room for it, or where the source ends or fails behind it.
pub(crate) struct Intake {
    pub(crate) frames: Frames,
    /// Frames for which there was no room, with their times of arrival.
    full: VecDeque<(Bytes, i64)>,
    /// Whether frames come over a connection by now.
    is_connected: bool,
    /// Whether a frame of the connection has told its time: the first one's is believed up to five minutes after its arrival.
    has_begun: bool,
    /// Where frames that do not decode are entered, of a subscription.
    ledger: Option<Ledger>,
    /// What ended the frames, to be said once their points are out.
    failed: Option<SourceError>,
    /// Of the frames decoded.
    last: Last,
    /// Whether a frame of the connection was decoded.
    is_live: bool,
    /// Frames and bytes that were decoded before these.
    before: (u64, u64),
    /// So long is gathered for one epoch at most.
    patience: Duration,
}

/// What has been taken in.
pub(crate) enum Filled {
    /// Frames: their points, if they had any, are ready to be taken.
    Points,
    /// Nothing for now.
    Idle,
    /// Everything there was.
    End,
}

impl Intake {
    pub(crate) fn new(frames: Frames) -> Self {
        Self {
            frames,
            full: VecDeque::new(),
            is_connected: false,
            has_begun: false,
            ledger: None,
            failed: None,
            last: Last::default(),
            is_live: false,
            before: (0, 0),
            patience: GATHERING_AT_MOST,
        }
    }

    /// Frames that come over a connection already go on where another one ended: it is not their first, once one has told its time.
    fn go_on(&mut self, mark: Mark) {
        self.has_begun = mark.has_begun;
        if self.has_begun && self.frames.is_live() {
            self.is_connected = true;
            self.ledger = self.frames.ledger();
        }
        self.last = mark.last;
        self.is_live = mark.is_live;
        self.before = (mark.read, mark.bytes);
    }

    /// Where the frames stand whose decoder stands there.
    pub(crate) fn mark(&self, position: Position) -> Mark {
        // What waits for room is not decoded yet: whoever goes on from here reads it anew.
        let (read, bytes) = self.decoded();
        Mark {
            last: self.last,
            position,
            read: self.before.0 + read,
            bytes: self.before.1 + bytes,
            is_live: self.is_live,
            has_begun: self.has_begun,
        }
    }

    /// Whether frames have numbers, so that others can go on after one.
    pub(crate) fn has_numbers(&self) -> bool {
        self.last.seq.is_some()
    }

    /// Whether the decoder has seen every frame that was read.
    pub(crate) fn is_decoded(&self) -> bool {
        self.full.is_empty()
    }

    /// Goes on with the frames of another connection, and gives those before. All that were read are decoded.
    pub(crate) fn replace(&mut self, frames: Frames) -> Frames {
        let (read, bytes) = self.decoded();
        self.before = (self.before.0 + read, self.before.1 + bytes);
        self.ledger = frames.ledger();
        std::mem::replace(&mut self.frames, frames)
    }

    /// How many frames and bytes the decoder has seen.
    pub(crate) fn decoded(&self) -> (u64, u64) {
        let (frames, bytes) = self.frames.read();
        let waiting: u64 = self.full.iter().map(|(frame, _)| frame.len() as u64).sum();
        (frames - self.full.len() as u64, bytes - waiting)
    }

    /// Shows the decoder the frames that there are, at most `max`.
    fn read(&mut self, decoder: &mut impl Decode, max: usize, wait: Duration) -> Result<Batch, SourceError> {
        let (full, ledger, last) = (&mut self.full, &self.ledger, &mut self.last);
        let (is_live, is_connected) = (&mut self.is_live, self.is_connected);
        let has_begun = &mut self.has_begun;
        self.frames.visit(max, wait, |frame, arrival| {
            let waits = !full.is_empty();
            let (seq, time) = match if waits { Err(FrameError::Full) } else { decoder.push(frame, arrival) } {
                Ok(pushed) => {
                    *has_begun |= is_connected && tells_time(&pushed);
                    (pushed.seq, pushed.source_time)
                }
                Err(FrameError::Full) => return full.push_back((Bytes::copy_from_slice(frame), arrival)),
                // It is counted by the decoder; the rest of the stream goes on.
                Err(error) => note_refused(ledger.as_ref(), frame, arrival, &error),
            };
            last.pass(seq, time, arrival);
            *is_live = is_connected;
        })
    }

    /// Reads on for the same epoch where it has found many frames, as long as there are as many again.
    fn gather(&mut self, decoder: &mut impl Decode, mut found: usize) -> Result<Batch, SourceError> {
        let (mut frames, begun) = (found, Instant::now());
        while found >= BUSY
            && frames < FRAMES_PER_EPOCH
            && self.full.is_empty()
            && begun.elapsed() < self.patience
        {
            std::thread::sleep(GATHERING);
            // What ends the stream is told again when it is next asked, but for an error.
            found = match self.read(decoder, FRAMES_PER_EPOCH - frames, Duration::ZERO)? {
                Batch::Received(found) => found,
                Batch::Idle | Batch::Ended => 0,
            };
            frames += found;
        }
        Ok(Batch::Received(frames))
    }

    /// Shows the decoder the frames that found no room, as far as there is room now.
    pub(crate) fn decode_waiting(&mut self, decoder: &mut impl Decode) {
        while let Some((frame, arrival)) = self.full.pop_front() {
            let (seq, time) = match decoder.push(&frame, arrival) {
                Ok(pushed) => {
                    self.has_begun |= self.is_connected && tells_time(&pushed);
                    (pushed.seq, pushed.source_time)
                }
                Err(FrameError::Full) if decoder.rows() > 0 => {
                    self.full.push_front((frame, arrival));
                    return;
                }
                Err(error) => note_refused(self.ledger.as_ref(), &frame, arrival, &error),
            };
            self.last.pass(seq, time, arrival);
            self.is_live = self.is_connected;
        }
    }

    /// Has frames wait as if they had been read and there had been no room for them.
    #[cfg(test)]
    pub(crate) fn waiting_for(frames: Frames, full: Vec<Bytes>) -> Self {
        let bytes = full.iter().map(|frame| frame.len() as u64).sum();
        let this = Self::new(frames.having_read(full.len() as u64, bytes));
        Self { full: full.into_iter().map(|frame| (frame, 0)).collect(), ..this }
    }

    /// Shows the decoder what there is, waiting at most `wait` for the first frame.
    pub(crate) fn fill(&mut self, decoder: &mut impl Decode, wait: Duration) -> Result<Filled, SourceError> {
        if !self.is_connected && self.frames.is_live() {
            self.is_connected = true;
            decoder.connected();
            self.ledger = self.frames.ledger();
        }
        // What found no room goes before anything else.
        self.decode_waiting(decoder);
        if !self.is_decoded() {
            return Ok(Filled::Points);
        }
        if let Some(error) = self.failed.take() {
            if decoder.rows() == 0 {
                return Err(error);
            }
            self.failed = Some(error);
            return Ok(Filled::Points);
        }
        let mut batch = self.read(decoder, FRAMES_PER_EPOCH, wait);
        if self.is_connected
            && let Ok(Batch::Received(found)) = batch
        {
            batch = self.gather(decoder, found);
        }
        match batch {
            Ok(Batch::Received(_)) => Ok(Filled::Points),
            // Points of frames that had to wait for room go out before the end is told.
            Ok(Batch::Idle | Batch::Ended) if decoder.rows() > 0 || !self.full.is_empty() => {
                Ok(Filled::Points)
            }
            Ok(Batch::Idle) => Ok(Filled::Idle),
            Ok(Batch::Ended) => Ok(Filled::End),
            // What was decoded before it goes out first.
            Err(error) if decoder.rows() > 0 || !self.full.is_empty() => {
                self.failed = Some(error);
                Ok(Filled::Points)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a frame that was read has a time, by which the event clock goes: those of labels are in the labels.
#[inline]
fn tells_time(pushed: &Pushed) -> bool {
    pushed.source_time.is_some() || pushed.kind == Kind::Labels
}

/// The newest event time by the chosen clock, where that clock runs forward.
pub(crate) fn newest(position: Position, clock: Clock) -> Option<i64> {
    match clock {
        Clock::Arrival => position.arrival,
        _ => position.clock.newest,
    }
}

/// Adds what a decoder did not hand on, or not as it came.
pub(crate) fn count_reasons(counters: &Counters, dropped: &mut BTreeMap<&'static str, u64>) {
    let counts = [
        counters.refused,
        counters.misfits,
        counters.no_record,
        counters.ahead,
        counters.untimed,
        counters.no_subject,
    ];
    for (reason, count) in REASONS.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
        *dropped.entry(reason).or_default() += count;
    }
}

/// What a decoder counts.
pub(crate) const REASONS: [&str; 6] = [
    "undecodable",
    "misfitting values",
    "without their record",
    "with a time too far ahead",
    "without a time by this clock",
    "labels of no account",
];

/// What a plan reads of a firehose, by scan.
pub(crate) struct Wanting {
    pub(crate) streams: Vec<WantedStream>,
    /// The lane of each scan's points.
    pub(crate) lanes: Vec<u16>,
}

impl Wanting {
    pub(crate) fn of(plan: &Plan, catalog: &FirehoseCatalog) -> Result<Self, SourceError> {
        catalog.feed(plan)?;
        Ok(Self {
            streams: plan.scans.iter().map(|scan| wanted(scan, catalog)).collect::<Result<_, _>>()?,
            lanes: plan.scans.iter().map(|scan| 1 + scan.stream.source).collect(),
        })
    }
}

/// A decoder of what is wanted.
pub(crate) fn decoder(streams: Vec<WantedStream>, clock: Clock) -> Result<Decoder, SourceError> {
    Decoder::new(&Wanted { streams, clock })
        .map_err(|error| SourceError::Unfit(format!("the firehose does not have it: {error}")))
}

/// Enters a frame that only the decoder could tell to be damaged, and gives its number and time.
#[cold]
fn note_refused(
    ledger: Option<&Ledger>,
    frame: &[u8],
    arrival: i64,
    error: &FrameError,
) -> (Option<u64>, Option<i64>) {
    let (seq, time) = frame::peek(frame).map_or((None, None), |peek| (peek.seq, peek.time));
    if let Some(ledger) = ledger {
        ledger.enter(arrival, Cause::Quarantined { seq, reason: error.to_string() });
    }
    (seq, time)
}

/// What the decoder must read for a scan.
fn wanted(scan: &Scan, catalog: &FirehoseCatalog) -> Result<WantedStream, SourceError> {
    let of = catalog.scanned(&scan.stream)?;
    let step = |step: &PathStep| match step {
        PathStep::Field(name) => ColumnStep::Field(name.clone()),
        PathStep::Index(index) => ColumnStep::Index(*index),
        PathStep::Length => ColumnStep::Length,
    };
    let columns = scan.columns.iter().map(|column| column.path.iter().map(step).collect()).collect();
    // The decoder drops by equality, the region tests everything anyway.
    let tests = scan.tests.iter().filter(|test| test.comparison == Comparison::Eq).filter_map(|test| {
        let literal = match &test.literal {
            Scalar::Text(text) => Literal::Text(text.clone()),
            Scalar::Int(int) => Literal::Int(*int),
            Scalar::Bool(bool) => Literal::Bool(*bool),
            _ => return None,
        };
        Some(EqTest { column: test.column, literal })
    });
    Ok(WantedStream { of, keyed: scan.keyed, columns, tests: tests.collect() })
}

/// The points of a stream as the engine takes them.
pub(crate) fn rows(columns: StreamColumns, lane: u16) -> Rows {
    let places = Places::new(columns.time.into(), Lane::One(lane), columns.ordinal.into());
    let key = columns.key.map(|values| Keys { hashes: hash(values.as_ref()), values });
    Rows { places, key, columns: columns.columns }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::supply::Supply;

    /// Has so many frames each time that it is asked.
    struct Pulses(VecDeque<usize>, Bytes);

    impl Supply for Pulses {
        fn visit(
            &mut self,
            max: usize,
            _: Duration,
            show: &mut dyn FnMut(&[u8]),
        ) -> Result<Batch, SourceError> {
            Ok(match self.0.pop_front() {
                Some(0) => Batch::Idle,
                Some(frames) => {
                    let frames = frames.min(max);
                    (0..frames).for_each(|_| show(&self.1));
                    Batch::Received(frames)
                }
                None => Batch::Ended,
            })
        }
    }

    /// How many frames each of the epochs has that a connection with these pulses gives, if so long may be gathered for each.
    fn epochs(pulses: impl IntoIterator<Item = usize>, patience: Duration) -> Vec<u64> {
        let frame = skytide_sim::Network::new(skytide_sim::Config::default()).next().unwrap().bytes;
        let mut intake = Intake::new(Frames::held(Box::new(Pulses(pulses.into_iter().collect(), frame))));
        (intake.is_connected, intake.patience) = (true, patience);
        let mut decoder = decoder(Vec::new(), Clock::FrameTime).unwrap();
        let (mut epochs, mut before) = (Vec::new(), 0);
        while !matches!(intake.fill(&mut decoder, Duration::ZERO).unwrap(), Filled::End) {
            let (read, _) = intake.frames.read();
            epochs.push(read - std::mem::replace(&mut before, read));
        }
        epochs
    }

    #[test]
    fn the_first_time_is_the_first_one_whoever_goes_on_before_it() {
        let frames = skytide_sim::Network::new(skytide_sim::Config::default()).take(2);
        let frames: Vec<Bytes> = frames.map(|frame| frame.bytes).collect();
        let begun = |frame: Bytes| {
            let mut intake = Intake::new(Frames::held(Box::new(Pulses([1].into(), frame))));
            intake.is_connected = true;
            let mut decoder = decoder(Vec::new(), Clock::FrameTime).unwrap();
            intake.fill(&mut decoder, Duration::ZERO).unwrap();
            let mark = intake.mark(decoder.position());
            assert!(mark.is_live && mark.read == 1);
            mark.has_begun
        };
        assert!(!begun(Bytes::from_static(b"refused")));
        assert!(begun(frames[0].clone()));
    }

    #[test]
    fn a_busy_connection_gathers_until_it_is_not() {
        let long = Duration::from_secs(600);
        assert_eq!(epochs([BUSY - 1, 5], long), [31, 5], "a quiet one is not kept waiting");
        assert_eq!(epochs([BUSY, 40, 5, 50, 0, 7], long), [77, 50, 7]);
        assert_eq!(epochs([50, 50], long), [100], "its end is told after what it gave");
        assert_eq!(epochs([3000, 3000], long), [4096]);
        // It may be as busy for ever; sleeping takes at least its time.
        assert_eq!(epochs([BUSY; 4], Duration::ZERO), [BUSY as u64; 4]);
        assert!(epochs([BUSY; 4], GATHERING).into_iter().all(|frames| frames <= 2 * BUSY as u64));
    }
}
