//! The firehose as a source: frames in, the columns that a plan's scans want out, nothing else decoded.

use std::time::Duration;

use bytes::Bytes;
use skytide_atproto::columns::{
    Clock, Decoder, EqTest, Literal, PathStep as ColumnStep, StreamColumns, Wanted, WantedStream,
};
use skytide_atproto::frame::FrameError;
use skytide_firehose::Batch;
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

/// Reads frames and decodes what a plan wants of them.
pub struct FirehoseSource {
    frames: Frames,
    decoder: Decoder,
    lanes: Vec<u16>,
    /// Frames read, the first `decoded` of which have been decoded.
    batch: Vec<Bytes>,
    decoded: usize,
    /// When they came, UTC nanoseconds.
    arrival: i64,
    clock: Clock,
    /// Connections that the decoder knows of.
    connections: u64,
    points: u64,
}

impl FirehoseSource {
    /// Reads what `plan` wants from `frames`, placing points by `clock`.
    ///
    /// # Errors
    /// A scan of something else than this catalog's streams.
    pub fn new(
        plan: &Plan,
        catalog: &FirehoseCatalog,
        frames: Frames,
        clock: Clock,
    ) -> Result<Self, SourceError> {
        let streams = plan.scans.iter().map(|scan| wanted(scan, catalog)).collect::<Result<_, _>>()?;
        let decoder = Decoder::new(&Wanted { streams, clock })
            .map_err(|error| SourceError::Unfit(format!("the firehose does not have it: {error}")))?;
        let lanes = plan.scans.iter().map(|scan| 1 + scan.stream.source).collect();
        Ok(Self {
            frames,
            decoder,
            lanes,
            batch: Vec::new(),
            decoded: 0,
            arrival: 0,
            clock,
            connections: 0,
            points: 0,
        })
    }

    /// Decodes frames that are at hand into an epoch, all of them where they fit.
    fn decode(&mut self) -> Epoch {
        let mut taken = 0;
        for frame in &self.batch[self.decoded..] {
            match self.decoder.push(frame, self.arrival) {
                // Columns have a limit of 2 GiB: these go first.
                Err(FrameError::Full) if self.decoder.rows() > 0 => break,
                // What is refused is counted by the decoder; the rest of the stream goes on.
                Ok(_) | Err(_) => taken += 1,
            }
        }
        self.decoded += taken;
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
        if self.decoded < self.batch.len() {
            return Ok(Next::Epoch(self.decode()));
        }
        self.batch.clear();
        self.decoded = 0;
        let (batch, arrival) = self.frames.next_batch(&mut self.batch, FRAMES_PER_EPOCH, wait)?;
        self.arrival = arrival;
        if self.frames.connections() > self.connections {
            self.connections = self.frames.connections();
            self.decoder.connected();
        }
        Ok(match batch {
            Batch::Received(_) => Next::Epoch(self.decode()),
            Batch::Idle => Next::Idle,
            Batch::Ended => Next::End,
        })
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
        ];
        for (reason, count) in reasons.into_iter().filter(|(_, count)| *count > 0) {
            *status.dropped.entry(reason).or_default() += count;
        }
        status
    }
}

/// What the decoder must read for a scan.
fn wanted(scan: &Scan, catalog: &FirehoseCatalog) -> Result<WantedStream, SourceError> {
    let name = &scan.stream.name;
    let of = catalog
        .kind(&scan.stream)
        .ok_or_else(|| SourceError::Unfit(format!("the firehose has no stream {name:?}")))?;
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
fn rows(columns: StreamColumns, lane: u16) -> Rows {
    let places = Places { time: columns.time.into(), lane: Lane::One(lane), ordinal: columns.ordinal.into() };
    let key = columns.key.map(|values| Keys { hashes: hash(values.as_ref()), values });
    Rows { places, key, columns: columns.columns }
}
