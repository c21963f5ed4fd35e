//! Which points are late, and what becomes of them (SEMANTICS 7.3).
//!
//! A [`Judge`] stands where the points of a source come in, and judges them one by one in the order of
//! arrival: by the newest time of the source, and by how far the query has gone without it. So what is late
//! depends on what came and in which order, never on batches. What becomes of it is the source's [`Late`];
//! points that are kept go to the query's [`Side`].

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray, UInt32Array};
use arrow_schema::{Field, Schema};
use skytide_runtime::{Reader, Writer};
use skytide_timestream::catalog::StreamDef;
use skytide_timestream::plan::{PathStep, Scan, ScanColumn};
use skytide_timestream::rows::Rows;

use crate::recovery::{SaveError, state};
use crate::sink::{Place, Sink, SinkError};
use crate::source::{SourceError, Status};

/// What becomes of the points of a source that are late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Late {
    /// They are dropped, and counted as `late`.
    #[default]
    Drop,
    /// They go to the [`Side`] of the query, and are counted as `late to the side`.
    Side,
    /// The first one stops the source with [`SourceError::Late`], once the points before it are handed on.
    Error,
}

impl Late {
    /// The policy of a name: `drop`, `side` or `error`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "drop" => Some(Self::Drop),
            "side" => Some(Self::Side),
            "error" => Some(Self::Error),
            _ => None,
        }
    }
}

/// Takes the late points of a query, from those of its sources that keep them: a stream of its own. Clones
/// are the same side.
///
/// A batch is of one stream, in the order of arrival. Its columns: `_time`, the point's (UTC nanoseconds);
/// `_key`; `_stream`, its stream's name; `_watermark`, up to which time all was taken to be here when the
/// point came; then all columns of the stream, whether or not the query reads them (but for one that has such
/// a name). Points that the query would filter out are among them.
#[derive(Clone)]
pub struct Side(Arc<Mutex<To>>);

/// Where late points go.
enum To {
    Function(Box<Take>),
    Sink(Box<dyn Sink + Send>),
}

/// Why a side cannot take points: what its function says.
pub type SideError = Box<dyn Error + Send + Sync>;

type Take = dyn FnMut(&RecordBatch) -> Result<(), SideError> + Send;

impl Side {
    /// Gives late points to a function, on the thread that runs the query, which waits for it.
    ///
    /// An error of the function ends the source of the points.
    #[must_use]
    pub fn new(take: impl FnMut(&RecordBatch) -> Result<(), SideError> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(To::Function(Box::new(take)))))
    }

    /// Writes late points to a sink, which is finished by [`finish`](Self::finish) alone. One with a
    /// [place](Sink::place) has each point once also where a run is [recovered](crate::recovery).
    #[must_use]
    pub fn sink(sink: impl Sink + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(To::Sink(Box::new(sink)))))
    }

    /// Ends what its sink writes: the run has ended well, and a file without a late point takes the place of
    /// an earlier one.
    ///
    /// # Errors
    /// As of [`Sink::finish`].
    pub fn finish(&self) -> Result<(), SinkError> {
        match &mut *self.lock() {
            To::Function(_) => Ok(()),
            To::Sink(sink) => sink.finish(),
        }
    }

    /// How many values of them [have no form](Sink::misfits) in what its sink writes.
    #[must_use]
    pub fn misfits(&self) -> u64 {
        match &*self.lock() {
            To::Function(_) => 0,
            To::Sink(sink) => sink.misfits(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, To> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, batch: &RecordBatch) -> Result<(), SideError> {
        match &mut *self.lock() {
            To::Function(take) => take(batch),
            To::Sink(sink) => sink.write(batch).map_err(Into::into),
        }
    }

    /// Where its points end, brought to the disk.
    fn place(&self) -> Result<Option<Place>, SinkError> {
        match &mut *self.lock() {
            To::Function(_) => Ok(None),
            To::Sink(sink) => sink.place(),
        }
    }

    /// Takes away what is after a place, where the points before are in the same kind of side.
    fn go_back(&self, place: Option<&Place>) -> Result<(), SideError> {
        match (place, self.place()?) {
            (None, None) => Ok(()),
            (None, Some(here)) => {
                let here = here.file.display();
                Err(format!("those before went to no file, and this run keeps them in {here}").into())
            }
            (Some(before), None) => {
                let before = before.file.display();
                Err(format!("those before are in {before}, and this run keeps them elsewhere").into())
            }
            (Some(_), Some(_)) => match &mut *self.lock() {
                To::Function(_) => Ok(()),
                To::Sink(sink) => Ok(sink.go_back(place)?),
            },
        }
    }
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Side")
    }
}

/// How far a query has gone: what comes before that is late, even where a source that was silent has told
/// nothing of the kind. Clones are the same.
#[derive(Debug, Clone)]
pub struct Passed(Arc<AtomicI64>);

impl Default for Passed {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MIN)))
    }
}

impl Passed {
    /// The time before which everything has gone out; none at first.
    #[must_use]
    pub fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|time| *time > i64::MIN)
    }

    pub(crate) fn reach(&self, time: i64) {
        self.0.fetch_max(time, Ordering::Relaxed);
    }
}

/// Judges the points of one source in one query as they arrive.
#[derive(Debug)]
pub struct Judge {
    policy: Late,
    lateness: i64,
    passed: Passed,
    newest: Option<i64>,
    late: u64,
    /// What is said of the source beside its stream's name.
    place: Option<String>,
    /// By scan, where the policy needs to know them.
    streams: Vec<Whole>,
    side: Option<Side>,
}

/// A stream as a plan reads it, and how its points are read whole.
#[derive(Debug)]
struct Whole {
    stream: Arc<StreamDef>,
    /// Number of columns that the plan reads, which stand first, and whether it reads the key.
    wanted: usize,
    keyed: bool,
    /// By field of the stream: its place among the columns.
    fields: Vec<usize>,
    /// Whether no scan before it is of the same stream.
    is_first: bool,
}

/// What late points are counted as: those that are gone, and those of the side.
pub(crate) const REASONS: [&str; 2] = ["late", "late to the side"];

/// What becomes of a point.
pub(crate) enum Verdict {
    Admitted,
    /// It came when all points before this time were taken to be here.
    Late(i64),
    /// It is late, and ends its source.
    Stops(SourceError),
}

impl Judge {
    /// Drops what is behind the newest point by more than `lateness`.
    #[must_use]
    pub fn new(lateness: Duration) -> Self {
        Self {
            policy: Late::Drop,
            lateness: i64::try_from(lateness.as_nanos()).unwrap_or(i64::MAX),
            passed: Passed::default(),
            newest: None,
            late: 0,
            place: None,
            streams: Vec::new(),
            side: None,
        }
    }

    /// Does with what is late in these scans what `policy` says.
    ///
    /// # Errors
    /// Late points are to go to the side, and there is none ([`Sources::late_to`](crate::sources::Sources::late_to)).
    pub fn by(mut self, policy: Late, scans: &[Scan], side: Option<&Side>) -> Result<Self, SourceError> {
        if policy == Late::Side && side.is_none() {
            let names: Vec<_> = scans.iter().map(|scan| format!("`{}`", scan.stream.name)).collect();
            let names = names.join(", ");
            return Err(SourceError::Unfit(format!(
                "nobody takes late points of {names}, which go to the side"
            )));
        }
        self.policy = policy;
        self.side = side.cloned();
        self.streams = (0..scans.len()).map(|at| Whole::of(scans, at)).collect();
        Ok(self)
    }

    /// Takes what is before this to be late, too.
    #[must_use]
    pub fn after(mut self, passed: &Passed) -> Self {
        self.passed = passed.clone();
        self
    }

    /// Calls the source so, in an error, beside its stream's name.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// The scans to read in place of those that it was made for: all points, since each tells what is late,
    /// whoever wants it; where late points are kept, all columns too.
    #[must_use]
    pub fn scans(&self, scans: &[Scan]) -> Vec<Scan> {
        let all = |scan: &Scan| match self.policy {
            Late::Side => whole(scan).0,
            Late::Drop | Late::Error => Scan { tests: Vec::new(), ..scan.clone() },
        };
        scans.iter().map(all).collect()
    }

    /// The newest time that it was told.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// Up to which time all points of the source are taken to be here, by what came; none before the first.
    pub(crate) fn watermark(&self) -> Option<i64> {
        self.newest.map(|newest| newest.saturating_sub(self.lateness))
    }

    /// Takes in the time of a point that is not late by what came before it.
    pub(crate) fn heard(&mut self, time: i64) {
        self.newest = self.newest.max(Some(time));
    }

    /// Judges the next point to arrive of a scan.
    pub(crate) fn judge(&mut self, scan: usize, time: i64) -> Verdict {
        let watermark = self.watermark().max(self.passed.get());
        self.heard(time);
        self.against(watermark, scan, time)
    }

    /// Judges a point of what was there at the start: only a query that has gone on without it makes it late.
    pub(crate) fn judge_old(&mut self, scan: usize, time: i64) -> Verdict {
        self.heard(time);
        self.against(self.passed.get(), scan, time)
    }

    /// Whether [`Self::judge_old`] admits a point and all after it.
    pub(crate) fn has_not_passed(&self, time: i64) -> bool {
        self.passed.get().is_none_or(|passed| time >= passed)
    }

    fn against(&mut self, watermark: Option<i64>, scan: usize, time: i64) -> Verdict {
        let Some(watermark) = watermark.filter(|watermark| time < *watermark) else {
            return Verdict::Admitted;
        };
        // A point of a stream that is read twice is late once.
        self.late += u64::from(self.streams.get(scan).is_none_or(|whole| whole.is_first));
        if self.policy != Late::Error {
            return Verdict::Late(watermark);
        }
        let name = self.streams.get(scan).map_or("?", |whole| whole.stream.name.as_str());
        let place = self.place.as_ref().map_or_else(String::new, |place| format!(" of {place}"));
        Verdict::Stops(SourceError::Late { stream: format!("`{name}`{place}"), time, watermark })
    }

    /// The side, if late points go there.
    fn kept(&self) -> Option<&Side> {
        self.side.as_ref().filter(|_| self.policy == Late::Side)
    }

    /// Gives late rows of a scan, read by [`Self::scans`], with their watermarks to the side, if that is
    /// where they go.
    pub(crate) fn keep(&self, scan: usize, rows: &Rows, late: &[(u32, i64)]) -> Result<(), SourceError> {
        let whole = self.streams.get(scan).filter(|whole| whole.is_first && !late.is_empty());
        let (Some(side), Some(whole)) = (self.kept(), whole) else { return Ok(()) };
        let places: UInt32Array = late.iter().map(|(row, _)| *row).collect();
        let watermarks = late.iter().map(|(_, watermark)| *watermark).collect();
        side.take(&whole.batch(&rows.select(&places)?, watermarks)?).map_err(SourceError::Side)
    }

    /// Rows of a scan, read by [`Self::scans`], as the plan wants them.
    pub(crate) fn cut(&self, scan: usize, mut rows: Rows) -> Rows {
        if let Some(whole) = self.streams.get(scan) {
            rows.columns.truncate(whole.wanted);
            rows.key = rows.key.filter(|_| whole.keyed);
        }
        rows
    }

    /// Writes what later decisions depend on, and where the late points of the side end.
    pub(crate) fn save(&self, bytes: &mut Writer) -> Result<(), SaveError> {
        state::write_time(bytes, self.newest);
        bytes.number(self.late);
        let place = self.kept().map(Side::place).transpose()?.flatten();
        state::write_place(bytes, place.as_ref());
        Ok(())
    }

    /// Goes on from what [`Self::save`] wrote.
    pub(crate) fn go_on(&mut self, bytes: &mut Reader<'_>) -> Result<(), SourceError> {
        self.newest = state::read_time(bytes)?;
        self.late = state::read_count(bytes)?;
        let place = state::read_place(bytes)?;
        self.kept().map_or(Ok(()), |side| side.go_back(place.as_ref())).map_err(SourceError::Side)
    }

    /// Adds what was late to what a source has done.
    pub(crate) fn report(&self, status: &mut Status) {
        if self.late > 0 {
            let reason = REASONS[usize::from(self.policy == Late::Side)];
            *status.dropped.entry(reason).or_default() += self.late;
        }
    }
}

impl Whole {
    fn of(scans: &[Scan], at: usize) -> Self {
        let scan = &scans[at];
        Self {
            stream: Arc::clone(&scan.stream),
            wanted: scan.columns.len(),
            keyed: scan.keyed,
            fields: whole(scan).1,
            is_first: scans[..at].iter().all(|before| before.stream.name != scan.stream.name),
        }
    }

    /// Points of the stream as a batch of the side.
    fn batch(&self, rows: &Rows, watermarks: Vec<i64>) -> Result<RecordBatch, SourceError> {
        let missing =
            |what: &str| SourceError::Unfit(format!("late points of `{}` have no {what}", self.stream.name));
        let key = rows.key.as_ref().ok_or_else(|| missing("key"))?;
        let moments =
            |nanos| Arc::new(TimestampNanosecondArray::new(nanos, None).with_timezone("UTC")) as ArrayRef;
        let names = StringArray::from_iter_values(std::iter::repeat_n(&self.stream.name, rows.len()));
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("_time", moments(rows.places.time.clone())),
            ("_key", Arc::clone(&key.values)),
            ("_stream", Arc::new(names)),
            ("_watermark", moments(watermarks.into())),
        ];
        let own = columns.len();
        for (field, place) in self.stream.fields.iter().zip(&self.fields) {
            let column = rows.columns.get(*place).ok_or_else(|| missing(field.name()))?;
            if columns[..own].iter().all(|(name, _)| name != field.name()) {
                columns.push((field.name(), Arc::clone(column)));
            }
        }
        let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), true);
        let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
    }
}

/// A scan of all columns of all points of its stream, those of the scan first; and by field of the stream the
/// place of its column.
fn whole(scan: &Scan) -> (Scan, Vec<usize>) {
    // Points that the query has no use for are late all the same.
    let mut all = Scan { keyed: true, tests: Vec::new(), ..scan.clone() };
    let mut places = Vec::with_capacity(scan.stream.fields.len());
    for field in &scan.stream.fields {
        let path = [PathStep::Field(field.name().clone())];
        let known = scan.columns.iter().position(|column| column.path == path);
        places.push(known.unwrap_or(all.columns.len()));
        if known.is_none() {
            all.columns.push(ScanColumn { path: path.to_vec(), data_type: field.data_type().clone() });
        }
    }
    (all, places)
}
