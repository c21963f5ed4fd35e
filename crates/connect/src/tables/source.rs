//! A table as a source of a query: first what is there, in order; then, live, what is pushed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use skytide_runtime::Epoch;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Scan;

use super::table::{Bell, Definition, Reader, Table};
use crate::columns::Chunk;
use crate::source::{Next, Source, SourceError, Status};

/// Rows of an epoch, about.
const EPOCH_ROWS: usize = 16_384;

/// Reads the scans of a plan from a table.
///
/// What is there at the start is given in order, and none of it is late. Of what is pushed from then on each epoch is in order by
/// itself, and stands at or after the watermark of the one before; rows that would not are late, dropped and counted. The
/// watermark of an epoch is the newest time less the lateness.
pub struct TableSource {
    reader: Reader,
    scans: Vec<Scan>,
    mode: Mode,
    bell: Bell,
    lateness: i64,
    newest: Option<i64>,
    read: u64,
    late: u64,
    /// The newest time of all streams of its source at the start, until it is told.
    origin_newest: Option<i64>,
}

impl TableSource {
    /// Reads `scans`, which are of this table, from what is there now on. `bell` rings when something is pushed; `stalled` says
    /// that the query cannot go on since nobody takes its answer.
    ///
    /// # Errors
    /// What was pushed last could not be made columns.
    pub fn new(
        table: &Table,
        scans: Vec<Scan>,
        mode: Mode,
        bell: &Bell,
        stalled: &Arc<AtomicBool>,
    ) -> Result<Self, SourceError> {
        let reader = table.reader(bell, stalled).map_err(|error| SourceError::Unfit(error.to_string()))?;
        let lateness = i64::try_from(table.definition().lateness.as_nanos()).unwrap_or(i64::MAX);
        let origin_newest = Some(table.origin().newest()?).filter(|newest| *newest > i64::MIN);
        Ok(Self {
            origin_newest,
            reader,
            scans,
            mode,
            bell: bell.clone(),
            lateness,
            newest: None,
            read: 0,
            late: 0,
        })
    }

    /// What there is.
    fn look(&mut self) -> Result<Next, SourceError> {
        if !self.reader.is_past_start() {
            let most = if self.reader.is_unordered { usize::MAX } else { EPOCH_ROWS };
            let chunks = self.reader.take(most, self.reader.end)?;
            if let Some(chunk) = Chunk::joined(&chunks)? {
                return self.epoch(&chunk.sorted()?);
            }
        }
        if self.mode == Mode::Once {
            // Events of the source's other streams count too.
            let newest = self.origin_newest.take().filter(|newest| Some(*newest) > self.newest);
            return Ok(newest.map_or(Next::End, |watermark| {
                let scans = self.scans.iter().map(|_| None).collect();
                Next::Epoch(Epoch { scans, watermark })
            }));
        }
        let chunks = self.reader.take(EPOCH_ROWS, u64::MAX)?;
        match Chunk::joined(&chunks)? {
            Some(chunk) => {
                let chunk = self.admitted(chunk)?;
                self.epoch(&chunk)
            }
            None => Ok(Next::Idle),
        }
    }

    /// The rows that are not late, in order.
    fn admitted(&mut self, chunk: Chunk) -> Result<Chunk, SourceError> {
        let mut newest = self.newest;
        let mut admitted: Vec<u32> = (0..)
            .zip(chunk.time.iter())
            .filter(|(_, time)| {
                let is_late = newest.is_some_and(|newest| **time < newest.saturating_sub(self.lateness));
                newest = newest.max(Some(**time));
                !is_late
            })
            .map(|(row, _)| row)
            .collect();
        self.newest = newest;
        let late = chunk.len() - admitted.len();
        self.late += late as u64;
        self.read += late as u64;
        if late == 0 && chunk.is_rising() {
            return Ok(chunk);
        }
        admitted.sort_by_key(|row| chunk.place(*row as usize));
        Ok(chunk.select(&admitted)?)
    }

    /// Rows in order as an epoch.
    fn epoch(&mut self, chunk: &Chunk) -> Result<Next, SourceError> {
        self.read += chunk.len() as u64;
        self.newest = self.newest.max(chunk.time.last().copied());
        let Definition { fields, key, .. } = &self.reader.shared.definition;
        let key = fields.find(key).map(|(at, _)| at);
        let scans = self
            .scans
            .iter()
            .map(|scan| Ok(Some(chunk.rows(scan, fields, key, scan.stream.source)?)))
            .collect::<Result<_, SourceError>>()?;
        let watermark = match (self.newest, self.mode) {
            (None, _) => i64::MIN,
            (Some(newest), Mode::Once) => newest,
            (Some(newest), Mode::Live) => newest.saturating_sub(self.lateness),
        };
        Ok(Next::Epoch(Epoch { scans, watermark }))
    }
}

impl Source for TableSource {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        let seen = self.bell.count();
        match self.look()? {
            Next::Idle if !wait.is_zero() => {
                self.bell.wait(seen, wait);
                self.look()
            }
            next => Ok(next),
        }
    }

    fn status(&self) -> Status {
        let counts = Table::counts_of(&self.reader.shared);
        let mut status = Status {
            read: self.read,
            points: self.read - self.late,
            newest: self.newest,
            ..Status::default()
        };
        let reasons =
            [("late", self.late), ("misfitting values", counts.misfits), ("without a time", counts.untimed)];
        status.dropped.extend(reasons.into_iter().filter(|(_, count)| *count > 0));
        status
    }
}
