//! Files as a source of a query: rows in order of time, read a batch at a time.
//!
//! Segments ([`order`](super::order)) stand one after another, and each is read by a [`SegmentReader`]: on
//! the query's own thread, where each call does a piece of it, so that whoever runs the query can stop at any
//! time; or several on threads of their own, ahead of the query, where it is told to use more than one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow_schema::ArrowError;
use jiff::Timestamp;
use skytide_runtime::Epoch;
use skytide_timestream::plan::Scan;

use super::FileError;
use super::ahead::{Ahead, Found};
use super::order::{Segment, segments};
use super::segment::{Counts, Given, Place, Reading, SegmentReader};
use super::set::{Definition, Files};
use super::shape::Shape;
use crate::columns::Chunk;
use crate::recovery::{SaveError, StateError};
use crate::source::{Next, Progress, Saved, Source, SourceError, Status};

/// Reads the scans of a plan from files.
///
/// Rows without a time are dropped and counted; values that do not fit their column are null and counted. The
/// watermark of an epoch is its newest time: nothing is late.
pub struct FileSource {
    reading: Reading,
    scans: Vec<Scan>,
    /// Place of the key among the wanted columns.
    key: Option<usize>,
    /// Those that nobody reads yet.
    segments: VecDeque<Segment>,
    /// The first unit of each segment that is at hand, and who reads it.
    open: VecDeque<(usize, Reader)>,
    /// The place up to which all rows were given out.
    last: Option<Place>,
    /// Rows that are left out: they were given in an earlier run.
    skip: u64,
    /// When the files were written last.
    written: Option<SystemTime>,
    status: Status,
}

shown!(FileSource { status });

/// Who reads a segment.
enum Reader {
    Here(Box<SegmentReader>),
    Ahead(Ahead),
}

impl FileSource {
    /// Reads `scans`, which are of these files.
    pub(super) fn new(files: Arc<Files>, scans: Vec<Scan>) -> Self {
        let Definition { paths, time, key, subsort, unit, memory, readers, .. } = files.definition();
        let written = paths.iter().filter_map(|path| path.metadata().ok()?.modified().ok()).max();
        let shape = Shape::new(&scans, files.fields(), key, time, subsort.as_deref(), *unit);
        let key = shape.wanted.fields.find(key).map(|(at, _)| at);
        let parts = files.parts();
        let units = parts.units(time, *unit);
        let segments = segments(&units, subsort.is_some()).into();
        let total = units.iter().map(|unit| unit.bytes).sum();
        let status = Status { progress: Some(Progress { done: 0, total }), ..Status::default() };
        let memory = memory / readers.max(&1);
        let reading = Reading { parts, shape, units: units.into(), memory, files };
        Self { reading, scans, key, segments, open: VecDeque::new(), last: None, skip: 0, written, status }
    }

    /// Leaves out the first `given` rows, of files that were `of` this when they were read before.
    pub(crate) fn after(mut self, of: &str, given: u64) -> Result<Self, StateError> {
        let here = self.identity();
        if of != here {
            return Err(StateError::Other { found: of.to_owned(), expected: here });
        }
        self.skip = given;
        Ok(self)
    }

    /// What tells the files from others.
    fn identity(&self) -> String {
        let Definition { name, paths, time, key, subsort, unit, .. } = self.reading.files.definition();
        let bytes = self.status.progress.map_or(0, |progress| progress.total);
        let subsort = subsort.as_ref().map_or_else(String::new, |subsort| format!(", `{subsort}`"));
        let order = format!("time `{time}` ({unit:?}){subsort}, key `{key}`");
        let written = self.written.and_then(|written| Timestamp::try_from(written).ok());
        let written = written.map_or_else(String::new, |written| format!(", written {written}"));
        format!("`{name}` of {} files with {bytes} bytes to read{written}, {order}", paths.len())
    }

    /// Sets readers to the next segments, as many as may be read at once.
    fn begin(&mut self) -> Result<(), FileError> {
        let readers = self.reading.files.definition().readers;
        while self.open.len() < readers.max(1)
            && let Some(segment) = self.segments.pop_front()
        {
            let first = segment.first().copied().unwrap_or(0);
            let reader = SegmentReader::new(self.reading.clone(), segment);
            let reader = if readers == 0 {
                Reader::Here(Box::new(reader))
            } else {
                Reader::Ahead(Ahead::start(reader, self.reading.files.definition())?)
            };
            self.open.push_back((first, reader));
        }
        Ok(())
    }

    /// Does a piece of the work, or waits for it; gives rows if that made some. None when everything is done.
    fn step(&mut self, wait: Duration) -> Result<Option<Option<Given>>, FileError> {
        self.begin()?;
        let Some((_, reader)) = self.open.front_mut() else { return Ok(None) };
        let (found, counts) = match reader {
            Reader::Here(reader) => (reader.step()?, reader.counts()),
            Reader::Ahead(ahead) => match ahead.next(wait)? {
                Found::Nothing => return Ok(Some(None)),
                Found::Rows(given, counts) => (Some(Some(given)), counts),
                Found::End(counts) => (None, counts),
            },
        };
        self.count(&counts);
        if found.is_none() {
            self.open.pop_front();
        }
        Ok(Some(found.flatten()))
    }

    fn count(&mut self, counts: &Counts) {
        self.status.read += counts.rows;
        self.status.bytes += counts.bytes;
        self.status.spilled += counts.spilled;
        if let Some(progress) = &mut self.status.progress {
            progress.done += counts.bytes;
        }
        if self.status.unread.is_none() {
            self.status.unread.clone_from(&counts.unread);
        }
        let reasons = [
            ("misfitting values", counts.misfits),
            ("without a time", counts.untimed),
            ("values of unknown columns", counts.unknown),
        ];
        for (reason, count) in reasons {
            if count > 0 {
                *self.status.dropped.entry(reason).or_default() += count;
            }
        }
    }

    /// Rows in order as an epoch, of which `newest` is the newest time.
    fn epoch(&mut self, chunk: &Chunk, newest: i64) -> Result<Next, SourceError> {
        self.status.points += chunk.len() as u64;
        let given = usize::try_from(self.skip).unwrap_or(usize::MAX).min(chunk.len());
        self.skip -= given as u64;
        let chunk = &chunk.slice(given, chunk.len() - given);
        let fields = &self.reading.shape.made;
        let rows = |scan: &Scan| chunk.rows(scan, fields, self.key, scan.stream.source);
        let scans = self
            .scans
            .iter()
            .map(|scan| (chunk.len() > 0).then(|| rows(scan)).transpose())
            .collect::<Result<_, ArrowError>>()?;
        self.status.newest = self.status.newest.max(Some(newest));
        Ok(Next::Epoch(Epoch { scans, watermark: newest }))
    }
}

impl Source for FileSource {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        let begun = Instant::now();
        loop {
            match self.step(wait.saturating_sub(begun.elapsed()))? {
                None if self.skip > 0 => return Err(StateError::Shrunk { missing: self.skip }.into()),
                None => return Ok(Next::End),
                Some(Some(Given { chunk, until })) => {
                    // The statistics of a file are what its writer says.
                    if chunk.len() > 0 && self.last.is_some_and(|last| chunk.place(0) < last) {
                        let first = self.open.front().map_or(0, |(first, _)| *first);
                        return Err(self.reading.disorder(first).into());
                    }
                    let before = self.last;
                    self.last = before.max(until);
                    if let Some((newest, _)) = self.last
                        && (self.last > before || chunk.len() > 0)
                    {
                        return self.epoch(&chunk, newest);
                    }
                }
                Some(None) => {}
            }
            if begun.elapsed() >= wait {
                return Ok(Next::Idle);
            }
        }
    }

    fn status(&self) -> Status {
        self.status.clone()
    }

    fn save(&self) -> Result<Saved, SaveError> {
        // Of what is left out nothing has been given yet, and all of it before.
        Ok(Saved::Again { of: self.identity(), given: self.status.points + self.skip })
    }
}
