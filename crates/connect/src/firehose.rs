//! The firehose as a source: frames in, the columns that a plan's scans want out, nothing else decoded.

mod intake;
mod mark;
mod wanting;

use std::collections::BTreeMap;
use std::time::Duration;

use skytide_atproto::columns::{Clock, Counters, Decoder, Position, StreamColumns};
use skytide_firehose::JetstreamPlace;
use skytide_runtime::Epoch;
use skytide_timestream::engine::{Mode, hash};
use skytide_timestream::plan::Plan;
use skytide_timestream::rows::{Keys, Lane, Places, Rows};

use crate::catalog::FirehoseCatalog;
use crate::frames::Frames;
use crate::recovery::SaveError;
use crate::source::{Next, Opened, Saved, Source, SourceError, Status};

pub(crate) use intake::{Decode, Filled, Intake};
pub(crate) use mark::{Mark, Standing};
pub(crate) use wanting::{Wanting, decoder};

/// Reads frames and decodes what a plan wants of them.
pub struct FirehoseSource {
    opened: Opened,
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

shown!(FirehoseSource { clock, points });

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
        let opened = Opened::of(&plan.scans);
        let (intake, earlier) = (Intake::new(frames), Status::default());
        Ok(Self { opened, intake, decoder, lanes, clock, points: 0, identity, earlier })
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
        self.intake.jetstream_place()
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

    fn begin(&mut self, plan: &Plan, _: Mode) -> Result<(), SourceError> {
        self.opened.begin(plan)
    }

    fn save(&self) -> Result<Saved, SaveError> {
        let identity = self.identity.as_ref().map_err(Clone::clone)?;
        let place = self.jetstream_place()?;
        Ok(Standing { mark: self.mark(), status: self.status(), place }.save(identity))
    }
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
        counters.bad_record,
        counters.ahead,
        counters.untimed,
        counters.no_subject,
    ];
    for (reason, count) in REASONS.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
        *dropped.entry(reason).or_default() += count;
    }
}

/// What a decoder counts.
pub(crate) const REASONS: [&str; 7] = [
    "undecodable",
    "misfitting values",
    "without their record",
    "with an undecodable record",
    "with a time too far ahead",
    "without a time by this clock",
    "labels of no account",
];

/// The points of a stream as the engine takes them.
pub(crate) fn rows(columns: StreamColumns, lane: u16) -> Rows {
    let places = Places::new(columns.time.into(), Lane::One(lane), columns.ordinal.into());
    let key = columns.key.map(|values| Keys { hashes: hash(values.as_ref()), values });
    Rows { places, key, columns: columns.columns }
}
