//! Files as a source of a query: rows in order of time, read a batch at a time.
//!
//! A segment ([`order`](super::order)) is first looked at: its times alone are read. In order, it is streamed: the other columns are
//! read beside the times that are already there. Out of order, all of it goes through the [`Sorter`]. Text has no
//! columns that could be read alone: what fits is read once and sorted in memory (which finds it in order and leaves it so), only what
//! does not is looked at before. Each call does a piece of this, so that whoever runs the query can stop at any time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_schema::ArrowError;
use skytide_runtime::Epoch;
use skytide_timestream::plan::Scan;

use super::FileError;
use super::order::{Segment, segments};
use super::projection::Projection;
use super::set::{Definition, Files, Parts};
use super::shape::{Made, Shape, Times, first_number};
use super::sort::{ROWS, Sorted, Sorter};
use super::unit::{Batches, Unit};
use crate::columns::Chunk;
use crate::source::{Next, Progress, Source, SourceError, Status};

/// Reads the scans of a plan from files.
///
/// Rows without a time are dropped and counted; values that do not fit their column are null and counted. The watermark of an
/// epoch is its newest time: nothing is late.
pub struct FileSource {
    files: Arc<Files>,
    parts: Parts,
    scans: Vec<Scan>,
    shape: Shape,
    /// Place of the key among the wanted columns.
    key: Option<usize>,
    units: Vec<Unit>,
    segments: VecDeque<Segment>,
    /// The first unit of the segment that is at hand.
    first: usize,
    state: State,
    /// The place up to which all rows were given out.
    last: Option<Place>,
    status: Status,
}

/// What a row is ordered by.
type Place = (i64, u64);

/// Rows that are given out.
struct Given {
    chunk: Chunk,
    /// The place of the last row there was, also of those that nobody wants.
    until: Option<Place>,
}

enum State {
    /// The next segment is to be begun.
    Between,
    Looking(Look),
    Streaming(Streaming),
    Sorting(Box<Sorting>),
    /// The rows in order, and the newest time of all that were read.
    Giving(Sorted, Option<i64>),
}

/// A segment whose times are being read.
struct Look {
    segment: Segment,
    reading: Reading,
    last: Option<Place>,
    /// The times so far, by unit; none where they are more than may be kept.
    kept: Option<VecDeque<Vec<Times>>>,
    bytes: usize,
}

/// A segment that stands in order.
struct Streaming {
    reading: Reading,
    /// The times of its units from the one being read on, if they were kept.
    kept: Option<VecDeque<Times>>,
}

/// A segment that is being sorted.
struct Sorting {
    reading: Reading,
    sorter: Sorter,
    newest: Option<i64>,
}

/// The units of a segment, read one after another.
struct Reading {
    units: VecDeque<usize>,
    wanted: Projection,
    open: Option<Batches>,
    /// Rows of the first unit that were read.
    rows: usize,
}

/// What [`Reading`] gives.
enum Piece {
    /// Rows of the first unit; they begin at this row of it.
    Batch(super::unit::Read, usize),
    /// The unit is read, and had so many rows.
    Unit(usize, usize),
    End,
}

impl Reading {
    fn new(segment: &Segment, wanted: &Projection) -> Self {
        Self { units: segment.iter().copied().collect(), wanted: wanted.clone(), open: None, rows: 0 }
    }

    /// The unit that is being read.
    fn unit(&self) -> usize {
        self.units.front().copied().unwrap_or(0)
    }

    fn next(&mut self, parts: &Parts, units: &[Unit]) -> Result<Piece, FileError> {
        let Some(number) = self.units.front().copied() else { return Ok(Piece::End) };
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(parts.read(&units[number], &self.wanted, ROWS)?),
        };
        // A batch without rows is none: that a unit has begun is told by its first row.
        let next = loop {
            match open.next().transpose()? {
                Some(read) if read.batch.num_rows() == 0 => {}
                next => break next,
            }
        };
        match next {
            Some(read) => {
                let row = self.rows;
                self.rows += read.batch.num_rows();
                Ok(Piece::Batch(read, row))
            }
            None => {
                self.open = None;
                self.units.pop_front();
                Ok(Piece::Unit(number, std::mem::take(&mut self.rows)))
            }
        }
    }
}

impl FileSource {
    /// Reads `scans`, which are of these files.
    pub(super) fn new(files: Arc<Files>, scans: Vec<Scan>) -> Self {
        let Definition { time, key, subsort, unit, .. } = files.definition();
        let shape = Shape::new(&scans, files.fields(), key, time, subsort.as_deref(), *unit);
        let key = shape.wanted.fields.find(key).map(|(at, _)| at);
        let parts = files.parts();
        let units = parts.units(time, *unit);
        let segments = segments(&units, subsort.is_some()).into();
        let total = units.iter().map(|unit| unit.bytes).sum();
        let status = Status { progress: Some(Progress { done: 0, total }), ..Status::default() };
        Self {
            files,
            parts,
            scans,
            shape,
            key,
            units,
            segments,
            first: 0,
            state: State::Between,
            last: None,
            status,
        }
    }

    /// Does a piece of the work; gives rows if that made some. False when everything is done.
    fn step(&mut self) -> Result<Option<Option<Given>>, FileError> {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Between => match self.segments.pop_front() {
                None => return Ok(None),
                Some(segment) => {
                    self.first = segment.first().copied().unwrap_or(0);
                    self.state = self.begin(segment);
                }
            },
            State::Looking(look) => self.look(look)?,
            State::Streaming(streaming) => return self.stream(streaming).map(Some),
            State::Sorting(sorting) => self.sort(sorting)?,
            State::Giving(mut sorted, newest) => {
                let given = sorted.next(ROWS).map_err(|error| self.spill_error(error))?;
                let Some(chunk) = given.filter(|chunk| chunk.len() > 0) else {
                    // Nobody may have wanted the newest rows.
                    let until = self.last.max(newest.map(|newest| (newest, 0)));
                    return Ok(Some(Some(Given { chunk: self.shape.nothing(), until })));
                };
                // The statistics of a file are what its writer says.
                if self.last.is_some_and(|last| chunk.place(0) < last) {
                    return Err(self.disorder(self.first));
                }
                self.state = State::Giving(sorted, newest);
                let until = Some(chunk.place(chunk.len() - 1));
                return Ok(Some(Some(Given { chunk, until })));
            }
        }
        Ok(Some(None))
    }

    fn begin(&self, segment: Segment) -> State {
        let memory = self.files.definition().memory;
        let bytes: u64 = segment.iter().map(|unit| self.units[*unit].bytes).sum();
        let is_cheap = segment.iter().all(|unit| self.parts.has_columns(&self.units[*unit]));
        // As columns, text takes about as much as it does in the file.
        if !is_cheap && bytes < memory as u64 / 4 {
            return self.begin_sorting(&segment);
        }
        let reading = Reading::new(&segment, &self.shape.times);
        State::Looking(Look { segment, reading, last: None, kept: Some(VecDeque::new()), bytes: 0 })
    }

    fn begin_sorting(&self, segment: &Segment) -> State {
        let Definition { memory, spill, .. } = self.files.definition();
        let sorter = Sorter::new(&self.shape.wanted.fields, *memory, spill);
        let reading = Reading::new(segment, &self.shape.timed);
        State::Sorting(Box::new(Sorting { reading, sorter, newest: None }))
    }

    /// Reads times on, and decides when they are read or found out of order.
    fn look(&mut self, mut look: Look) -> Result<(), FileError> {
        let unit = look.reading.unit();
        match look.reading.next(&self.parts, &self.units)? {
            Piece::Batch(read, row) => {
                let times = self.shape.times(&read.batch, first_number(unit) + row as u64);
                let times = times.map_err(|error| self.damaged(unit, &error))?;
                let Some(last) = times.rise(look.last) else {
                    self.state = self.begin_sorting(&look.segment);
                    return Ok(());
                };
                look.last = last;
                look.bytes += times.len() * 16;
                if look.bytes > self.files.definition().memory / 4 {
                    look.kept = None;
                }
                if let Some(kept) = &mut look.kept {
                    match kept.back_mut().filter(|_| row > 0) {
                        Some(unit) => unit.push(times),
                        None => kept.push_back(vec![times]),
                    }
                }
                self.state = State::Looking(look);
            }
            Piece::Unit(_, rows) => {
                if rows == 0
                    && let Some(kept) = &mut look.kept
                {
                    kept.push_back(Vec::new());
                }
                self.state = State::Looking(look);
            }
            Piece::End => {
                let kept = look.kept.map(|units| units.iter().map(|unit| Times::joined(unit)).collect());
                let wanted = if kept.is_some() { &self.shape.wanted } else { &self.shape.timed };
                let reading = Reading::new(&look.segment, wanted);
                self.state = State::Streaming(Streaming { reading, kept });
            }
        }
        Ok(())
    }

    /// The next rows of a segment that stands in order.
    fn stream(&mut self, mut streaming: Streaming) -> Result<Option<Given>, FileError> {
        let unit = streaming.reading.unit();
        let piece = streaming.reading.next(&self.parts, &self.units)?;
        let made = match piece {
            Piece::End => return Ok(None),
            Piece::Unit(unit, rows) => {
                self.count_unit(unit);
                // As many times as there were rows, or they are not theirs.
                let times = streaming.kept.as_mut().and_then(VecDeque::pop_front);
                if times.is_some_and(|times| times.len() != rows) {
                    return Err(self.disorder(unit));
                }
                None
            }
            Piece::Batch(read, row) => {
                let len = read.batch.num_rows();
                let times = match streaming.kept.as_ref().and_then(VecDeque::front) {
                    Some(times) if row + len <= times.len() => Ok(times.slice(row, len)),
                    Some(_) => return Err(self.disorder(unit)),
                    None => self.shape.times(&read.batch, first_number(unit) + row as u64),
                };
                let times = times.map_err(|error| self.damaged(unit, &error))?;
                // The statistics of a file are what its writer says.
                let Some(until) = times.rise(self.last) else { return Err(self.disorder(unit)) };
                Some(Given { chunk: self.chunk(unit, &read, &times)?, until })
            }
        };
        self.state = State::Streaming(streaming);
        Ok(made)
    }

    /// Does a piece of the sorting.
    fn sort(&mut self, mut sorting: Box<Sorting>) -> Result<(), FileError> {
        let before = sorting.sorter.spilled();
        let is_done = self.sort_on(&mut sorting)?;
        self.status.spilled += sorting.sorter.spilled() - before;
        self.state = if is_done {
            State::Giving(sorting.sorter.finish(), sorting.newest)
        } else {
            State::Sorting(sorting)
        };
        Ok(())
    }

    /// Reads on what is to be sorted, if nothing else is to be done first; tells whether all of it is there.
    fn sort_on(&mut self, sorting: &mut Sorting) -> Result<bool, FileError> {
        if sorting.sorter.work().map_err(|error| self.spill_error(error))? {
            return Ok(false);
        }
        let unit = sorting.reading.unit();
        match sorting.reading.next(&self.parts, &self.units)? {
            Piece::Batch(read, row) => {
                let times = self.shape.times(&read.batch, first_number(unit) + row as u64);
                let times = times.map_err(|error| self.damaged(unit, &error))?;
                sorting.newest = sorting.newest.max(times.newest());
                let chunk = self.chunk(unit, &read, &times)?;
                sorting.sorter.push(chunk).map_err(|error| self.spill_error(error))?;
            }
            Piece::Unit(unit, _) => self.count_unit(unit),
            Piece::End => {
                return sorting.sorter.flush().map(|rest| !rest).map_err(|error| self.spill_error(error));
            }
        }
        Ok(false)
    }

    /// The rows of a batch that have a time and are wanted; those without a time are counted.
    fn chunk(&mut self, unit: usize, read: &super::unit::Read, times: &Times) -> Result<Chunk, FileError> {
        let made = self.shape.chunk(&read.batch, times);
        let Made { chunk, untimed, misfits } = made.map_err(|error| self.damaged(unit, &error))?;
        self.status.read += read.batch.num_rows() as u64;
        for (reason, count) in [("without a time", untimed), ("misfitting values", misfits + read.misfits)] {
            if count > 0 {
                *self.status.dropped.entry(reason).or_default() += count;
            }
        }
        Ok(chunk)
    }

    fn count_unit(&mut self, unit: usize) {
        let bytes = self.units[unit].bytes;
        self.status.bytes += bytes;
        if let Some(progress) = &mut self.status.progress {
            progress.done += bytes;
        }
    }

    /// Rows in order as an epoch, of which `newest` is the newest time.
    fn epoch(&mut self, chunk: &Chunk, newest: i64) -> Result<Next, SourceError> {
        let fields = &self.shape.wanted.fields;
        let rows = |scan: &Scan| chunk.rows(scan, fields, self.key, scan.stream.source);
        let scans = self
            .scans
            .iter()
            .map(|scan| (chunk.len() > 0).then(|| rows(scan)).transpose())
            .collect::<Result<_, ArrowError>>()?;
        self.status.newest = self.status.newest.max(Some(newest));
        self.status.points += chunk.len() as u64;
        Ok(Next::Epoch(Epoch { scans, watermark: newest }))
    }

    fn damaged(&self, unit: usize, error: &ArrowError) -> FileError {
        let (path, place) = self.parts.place(&self.units[unit]);
        FileError::damaged(path, place, error)
    }

    fn disorder(&self, unit: usize) -> FileError {
        let (path, place) = self.parts.place(&self.units[unit]);
        FileError::Disorder { path: path.to_owned(), place }
    }

    fn spill_error(&self, source: ArrowError) -> FileError {
        FileError::Spill { folder: self.files.definition().spill.clone(), source }
    }
}

impl Source for FileSource {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        let begun = Instant::now();
        loop {
            match self.step()? {
                None => return Ok(Next::End),
                Some(Some(Given { chunk, until: Some(until) }))
                    if Some(until) != self.last || chunk.len() > 0 =>
                {
                    self.last = Some(until);
                    return self.epoch(&chunk, until.0);
                }
                Some(_) => {}
            }
            if begun.elapsed() >= wait {
                return Ok(Next::Idle);
            }
        }
    }

    fn status(&self) -> Status {
        self.status.clone()
    }
}
