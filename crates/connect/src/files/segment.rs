//! One segment ([`order`](super::order)) of files, read a piece at a time.
//!
//! It is first looked at: its times alone are read. In order, it is streamed: the other columns are read
//! beside the times that are already there. Out of order, all of it goes through the [`Sorter`]. Text has no
//! columns that could be read alone: what fits is read once and sorted in memory (which finds it in order and
//! leaves it so), only what does not is looked at before. Segments know nothing of each other, so that
//! several can be read at once.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_schema::ArrowError;

use super::FileError;
use super::order::Segment;
use super::projection::Projection;
use super::set::{Definition, Files, Parts};
use super::shape::{Made, Shape, Times, first_number};
use super::sort::{ROWS, Sorted, Sorter};
use super::unit::{Batches, Read, Unit};
use crate::columns::Chunk;

/// What readers of one query have in common.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) files: Arc<Files>,
    pub(super) parts: Parts,
    pub(super) shape: Shape,
    pub(super) units: Arc<[Unit]>,
    /// Bytes of memory for rows that a segment sorts.
    pub(super) memory: usize,
}

/// What was met since it was last asked for.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Rows read.
    pub(super) rows: u64,
    /// Bytes of the units that are read whole.
    pub(super) bytes: u64,
    /// Rows without a time.
    pub(super) untimed: u64,
    /// The first value that is no time.
    pub(super) unread: Option<String>,
    /// Values that did not fit their column.
    pub(super) misfits: u64,
    /// Values of columns that were not found by the first rows.
    pub(super) unknown: u64,
    /// Bytes kept in files.
    pub(super) spilled: u64,
}

/// What a row is ordered by.
pub(super) type Place = (i64, u64);

/// Rows that are given out.
pub(super) struct Given {
    pub(super) chunk: Chunk,
    /// The place of the last row there was, also of those that nobody wants.
    pub(super) until: Option<Place>,
}

/// Reads one segment.
pub(super) struct SegmentReader {
    common: Reading,
    state: State,
    /// The place up to which all rows were given out.
    last: Option<Place>,
    counts: Counts,
}

enum State {
    /// All of it is read.
    Done,
    Looking(Look),
    Streaming(Streaming),
    Sorting(Box<Sorting>),
    /// The rows in order, and the newest time of all that were read.
    Giving(Sorted, Option<i64>),
}

/// A segment whose times are being read.
struct Look {
    segment: Segment,
    reading: Units,
    last: Option<Place>,
    /// The times so far, by unit; none where they are more than may be kept, or not kept.
    kept: Option<VecDeque<Vec<Times>>>,
    bytes: usize,
}

/// A segment that stands in order.
struct Streaming {
    reading: Units,
    /// The times of its units from the one being read on, if they were kept.
    kept: Option<VecDeque<Times>>,
}

/// A segment that is being sorted.
struct Sorting {
    reading: Units,
    sorter: Sorter,
    newest: Option<i64>,
}

/// The units of a segment, read one after another.
struct Units {
    units: VecDeque<usize>,
    wanted: Projection,
    open: Option<Batches>,
    /// Rows of the first unit that were read.
    rows: usize,
}

/// What [`Units`] gives.
enum Piece {
    /// Rows of the first unit; they begin at this row of it.
    Batch(Read, usize),
    /// The unit is read, and had so many rows.
    Unit(usize, usize),
    End,
}

impl Units {
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

impl SegmentReader {
    pub(super) fn new(common: Reading, segment: Segment) -> Self {
        let state = begin(&common, segment);
        Self { common, state, last: None, counts: Counts::default() }
    }

    /// What was met since this was last called.
    pub(super) fn counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// Does a piece of the work; gives rows if that made some. None when everything is done.
    pub(super) fn step(&mut self) -> Result<Option<Option<Given>>, FileError> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Done => return Ok(None),
            State::Looking(look) => self.look(look)?,
            State::Streaming(streaming) => return self.stream(streaming).map(Some),
            State::Sorting(sorting) => self.sort(sorting)?,
            State::Giving(mut sorted, newest) => {
                let given = sorted.next(ROWS).map_err(|error| self.spill_error(error))?;
                let Some(chunk) = given.filter(|chunk| chunk.len() > 0) else {
                    // Nobody may have wanted the newest rows.
                    let until = self.last.max(newest.map(|newest| (newest, 0)));
                    return Ok(Some(Some(Given { chunk: self.common.shape.nothing(), until })));
                };
                self.state = State::Giving(sorted, newest);
                self.last = Some(chunk.place(chunk.len() - 1));
                return Ok(Some(Some(Given { chunk, until: self.last })));
            }
        }
        Ok(Some(None))
    }

    /// Reads times on, and decides when they are read or found out of order.
    fn look(&mut self, mut look: Look) -> Result<(), FileError> {
        let unit = look.reading.unit();
        match look.reading.next(&self.common.parts, &self.common.units)? {
            Piece::Batch(read, row) => {
                let times = self.common.shape.times(&read.batch, first_number(unit) + row as u64);
                let times = times.map_err(|error| self.damaged(unit, &error))?;
                let Some(last) = times.rise(look.last) else {
                    self.state = begin_sorting(&self.common, &look.segment);
                    return Ok(());
                };
                look.last = last;
                look.bytes += times.len() * 16;
                if look.bytes > self.common.memory / 4 {
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
                let wanted =
                    if kept.is_some() { &self.common.shape.wanted } else { &self.common.shape.timed };
                let reading = Units::new(&look.segment, wanted);
                self.state = State::Streaming(Streaming { reading, kept });
            }
        }
        Ok(())
    }

    /// The next rows of a segment that stands in order.
    fn stream(&mut self, mut streaming: Streaming) -> Result<Option<Given>, FileError> {
        let unit = streaming.reading.unit();
        let piece = streaming.reading.next(&self.common.parts, &self.common.units)?;
        let made = match piece {
            Piece::End => return Ok(None),
            Piece::Unit(unit, rows) => {
                self.counts.bytes += self.common.units[unit].bytes;
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
                    None => self.common.shape.times(&read.batch, first_number(unit) + row as u64),
                };
                let times = times.map_err(|error| self.damaged(unit, &error))?;
                // The statistics of a file are what its writer says.
                let Some(until) = times.rise(self.last) else { return Err(self.disorder(unit)) };
                self.last = until;
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
        self.counts.spilled += sorting.sorter.spilled() - before;
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
        match sorting.reading.next(&self.common.parts, &self.common.units)? {
            Piece::Batch(read, row) => {
                let times = self.common.shape.times(&read.batch, first_number(unit) + row as u64);
                let times = times.map_err(|error| self.damaged(unit, &error))?;
                sorting.newest = sorting.newest.max(times.newest());
                let chunk = self.chunk(unit, &read, &times)?;
                sorting.sorter.push(chunk).map_err(|error| self.spill_error(error))?;
            }
            Piece::Unit(unit, _) => self.counts.bytes += self.common.units[unit].bytes,
            Piece::End => {
                return sorting.sorter.flush().map(|rest| !rest).map_err(|error| self.spill_error(error));
            }
        }
        Ok(false)
    }

    /// The rows of a batch that have a time and are wanted; those without a time are counted.
    fn chunk(&mut self, unit: usize, read: &Read, times: &Times) -> Result<Chunk, FileError> {
        let made = self.common.shape.chunk(&read.batch, times);
        let Made { chunk, untimed, misfits } = made.map_err(|error| self.damaged(unit, &error))?;
        self.counts.rows += read.batch.num_rows() as u64;
        self.counts.untimed += untimed;
        if untimed > 0 && self.counts.unread.is_none() {
            self.counts.unread.clone_from(&times.unread);
        }
        self.counts.misfits += misfits + read.misfits;
        self.counts.unknown += read.unknown;
        Ok(chunk)
    }

    fn damaged(&self, unit: usize, error: &ArrowError) -> FileError {
        let (path, place) = self.common.parts.place(&self.common.units[unit]);
        FileError::damaged(path, place, error)
    }

    fn disorder(&self, unit: usize) -> FileError {
        self.common.disorder(unit)
    }

    fn spill_error(&self, source: ArrowError) -> FileError {
        FileError::Spill { folder: self.common.files.definition().spill.clone(), source }
    }
}

fn begin(common: &Reading, segment: Segment) -> State {
    let bytes: u64 = segment.iter().map(|unit| common.units[*unit].bytes).sum();
    let is_cheap = segment.iter().all(|unit| common.parts.has_columns(&common.units[*unit]));
    // As columns, text takes about as much as it does in the file.
    if !is_cheap && bytes < common.memory as u64 / 4 {
        return begin_sorting(common, &segment);
    }
    let reading = Units::new(&segment, &common.shape.times);
    // Text is whatever stands there when it is read again: its rows go by the times that they have then.
    let kept = is_cheap.then(VecDeque::new);
    State::Looking(Look { segment, reading, last: None, kept, bytes: 0 })
}

fn begin_sorting(common: &Reading, segment: &Segment) -> State {
    let Definition { spill, .. } = common.files.definition();
    let sorter = Sorter::new(&common.shape.made, common.memory, spill);
    let reading = Units::new(segment, &common.shape.timed);
    State::Sorting(Box::new(Sorting { reading, sorter, newest: None }))
}

impl Reading {
    /// Rows stand elsewhere than a unit's statistics say.
    pub(super) fn disorder(&self, unit: usize) -> FileError {
        let (path, place) = self.parts.place(&self.units[unit]);
        FileError::Disorder { path: path.to_owned(), place }
    }
}
