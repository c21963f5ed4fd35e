//! The firehose as a source: frames in, the columns that a plan's scans want out, nothing else decoded.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use skytide_atproto::columns::{
    Clock, Decoder, EqTest, Literal, PathStep as ColumnStep, StreamColumns, Wanted, WantedStream,
};
use skytide_atproto::frame::{self, FrameError};
use skytide_firehose::{Batch, Cause, Ledger};
use skytide_runtime::Epoch;
use skytide_timestream::engine::hash;
use skytide_timestream::plan::{Comparison, PathStep, Plan, Scan};
use skytide_timestream::rows::{Keys, Lane, Places, Rows};
use skytide_timestream::scalar::Scalar;

use crate::catalog::FirehoseCatalog;
use crate::frames::Frames;
use crate::source::{Next, Source, SourceError, Status};

/// So many frames make an epoch at most: enough that what an epoch costs is nothing beside them, few enough that the rows
/// of one stay in the cache.
const FRAMES_PER_EPOCH: usize = 4096;

/// A connection that has so many frames at once is busy: each wake of this thread costs more than the frames that it finds.
const BUSY: usize = 8;
/// Then so much time is left to it to gather more of them. The wait is part of what a row takes to be written: see
/// docs/performance.md.
const GATHERING: Duration = Duration::from_micros(800);

/// Reads frames and decodes what a plan wants of them.
pub struct FirehoseSource {
    frames: Frames,
    decoder: Decoder,
    lanes: Vec<u16>,
    /// Frames for which the columns had no room, with their times of arrival.
    full: VecDeque<(Bytes, i64)>,
    /// Whether frames come over a connection by now.
    is_connected: bool,
    /// Where frames that do not decode are entered, of a subscription.
    ledger: Option<Ledger>,
    /// What ended the frames, to be said once their points are out.
    failed: Option<SourceError>,
    clock: Clock,
    points: u64,
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
        let decoder = decoder(plan, catalog, clock)?;
        let lanes = plan.scans.iter().map(|scan| 1 + scan.stream.source).collect();
        Ok(Self {
            frames,
            decoder,
            is_connected: false,
            ledger: None,
            lanes,
            full: VecDeque::new(),
            failed: None,
            clock,
            points: 0,
        })
    }

    /// Decodes the frames that there are, at most `max`.
    fn read(&mut self, max: usize, wait: Duration) -> Result<Batch, SourceError> {
        let (decoder, full, ledger) = (&mut self.decoder, &mut self.full, &self.ledger);
        self.frames.visit(max, wait, |frame, arrival| {
            let waits = !full.is_empty();
            match if waits { Err(FrameError::Full) } else { decoder.push(frame, arrival) } {
                Ok(_) => {}
                Err(FrameError::Full) => full.push_back((Bytes::copy_from_slice(frame), arrival)),
                // It is counted by the decoder; the rest of the stream goes on.
                Err(error) => note_refused(ledger.as_ref(), frame, arrival, &error),
            }
        })
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

    /// The newest event time by the chosen clock, where that clock runs forward.
    fn newest(&self) -> Option<i64> {
        match self.clock {
            Clock::Arrival => self.decoder.position().arrival,
            _ => self.decoder.position().clock.newest,
        }
    }
}

impl Source for FirehoseSource {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if !self.is_connected && self.frames.is_live() {
            self.is_connected = true;
            self.decoder.connected();
            self.ledger = self.frames.ledger();
        }
        // What did not fit into the last epoch's columns goes before anything else.
        while let Some((frame, arrival)) = self.full.pop_front() {
            match self.decoder.push(&frame, arrival) {
                Ok(_) => {}
                Err(FrameError::Full) if self.decoder.rows() > 0 => {
                    self.full.push_front((frame, arrival));
                    return Ok(Next::Epoch(self.epoch()));
                }
                Err(error) => note_refused(self.ledger.as_ref(), &frame, arrival, &error),
            }
        }
        let mut batch = self.read(FRAMES_PER_EPOCH, wait);
        if self.is_connected
            && let Ok(Batch::Received(frames @ BUSY..FRAMES_PER_EPOCH)) = batch
        {
            std::thread::sleep(GATHERING);
            // What ends the stream is told again when it is next asked, but for an error.
            if let Err(error) = self.read(FRAMES_PER_EPOCH - frames, Duration::ZERO) {
                batch = Err(error);
            }
        }
        match batch {
            Ok(Batch::Received(_)) => Ok(Next::Epoch(self.epoch())),
            // Points of frames that had to wait for room go out before the end is told.
            Ok(Batch::Idle | Batch::Ended) if self.decoder.rows() > 0 => Ok(Next::Epoch(self.epoch())),
            Ok(Batch::Idle) => Ok(Next::Idle),
            Ok(Batch::Ended) => Ok(Next::End),
            // What was decoded before it goes out first.
            Err(error) if self.decoder.rows() > 0 => {
                self.failed = Some(error);
                Ok(Next::Epoch(self.epoch()))
            }
            Err(error) => Err(error),
        }
    }

    fn status(&self) -> Status {
        let mut status = self.frames.status();
        status.points = self.points;
        status.newest = self.newest();
        let counters = self.decoder.counters();
        let reasons = [
            ("undecodable", counters.refused),
            ("misfitting values", counters.misfits),
            ("without their record", counters.no_record),
            ("with a time too far ahead", counters.ahead),
            ("without a time by this clock", counters.untimed),
            ("labels of no account", counters.no_subject),
        ];
        for (reason, count) in reasons.into_iter().filter(|(_, count)| *count > 0) {
            *status.dropped.entry(reason).or_default() += count;
        }
        status
    }
}

/// Enters a frame that only the decoder could tell to be damaged.
#[cold]
fn note_refused(ledger: Option<&Ledger>, frame: &[u8], arrival: i64, error: &FrameError) {
    if let Some(ledger) = ledger {
        let seq = frame::peek(frame).ok().and_then(|peek| peek.seq);
        ledger.enter(arrival, Cause::Quarantined { seq, reason: error.to_string() });
    }
}

/// What reads what a plan wants.
///
/// # Errors
/// A scan of something else than this catalog's streams, or of both repositories and labels.
pub(crate) fn decoder(plan: &Plan, catalog: &FirehoseCatalog, clock: Clock) -> Result<Decoder, SourceError> {
    catalog.feed(plan)?;
    let streams = plan.scans.iter().map(|scan| wanted(scan, catalog)).collect::<Result<_, _>>()?;
    Decoder::new(&Wanted { streams, clock })
        .map_err(|error| SourceError::Unfit(format!("the firehose does not have it: {error}")))
}

/// What the decoder must read for a scan.
fn wanted(scan: &Scan, catalog: &FirehoseCatalog) -> Result<WantedStream, SourceError> {
    let of = catalog.scanned(&scan.stream)?;
    let step = |step: &PathStep| match step {
        PathStep::Field(name) => ColumnStep::Field(name.clone()),
        PathStep::Index(index) => ColumnStep::Index(*index),
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
    let places = Places { time: columns.time.into(), lane: Lane::One(lane), ordinal: columns.ordinal.into() };
    let key = columns.key.map(|values| Keys { hashes: hash(values.as_ref()), values });
    Rows { places, key, columns: columns.columns }
}
