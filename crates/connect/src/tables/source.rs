//! A table as a source of a query: first what is there, in order; then, live, what is pushed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow_schema::{ArrowError, Fields};
use skytide_runtime::Epoch;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Scan;

use super::bell::Bell;
use super::definition::Definition;
use super::reader::Reader;
use super::table::Table;
use crate::columns::Chunk;
use crate::late::{Judge, Passed, Side, Verdict};
use crate::recovery::SaveError;
use crate::source::{EPOCH_BYTES, EPOCH_ROWS, Next, Saved, Source, SourceError, Status};

/// Reads the scans of a plan from a table.
///
/// What is there at the start is given in order, an epoch at a time; it is late only where the query has gone
/// on without it. Of what is pushed from then on each epoch is in order by itself, and stands at or after the
/// watermark of the one before; rows that would not are [late](crate::late). The watermark of an epoch is the
/// newest time less the lateness.
pub struct TableSource {
    reader: Reader,
    scans: Vec<Scan>,
    mode: Mode,
    bell: Bell,
    judge: Judge,
    /// How late rows are read, all columns of them.
    whole: Vec<Scan>,
    read: u64,
    points: u64,
    /// What was there at the start, where it was not in order.
    sorted: Option<Sorted>,
    /// What ended it, to be said once the rows before are out.
    failed: Option<SourceError>,
    /// The newest time of all streams of its source at the start, until it is told.
    origin_newest: Option<i64>,
    /// Number of the row after the last to be read, once it is closed.
    closed_at: Option<u64>,
}

shown!(TableSource { mode, read, points });

impl TableSource {
    /// Reads `scans`, which are of this table, from what is there now on. `bell` rings when something is
    /// pushed; `stalled` says that the query cannot go on since nobody takes its answer; `passed` says how
    /// far it has gone; `side` takes late rows, if they are kept.
    ///
    /// # Errors
    /// What was pushed last could not be made columns, or late rows are to be kept and there is no side.
    pub fn new(
        table: &Table,
        scans: Vec<Scan>,
        mode: Mode,
        bell: &Bell,
        stalled: &Arc<AtomicBool>,
        passed: &Passed,
        side: Option<&Side>,
    ) -> Result<Self, SourceError> {
        let Definition { lateness, late, .. } = table.definition();
        let mut judge = Judge::new(*lateness).after(passed);
        if mode == Mode::Live {
            judge = judge.by(*late, &scans, side)?;
        }
        let reader = table.reader(bell, stalled).map_err(|error| SourceError::Unfit(error.to_string()))?;
        let origin_newest = Some(table.origin().newest()?).filter(|newest| *newest > i64::MIN);
        Ok(Self {
            origin_newest,
            reader,
            whole: judge.scans(&scans),
            scans,
            mode,
            bell: bell.clone(),
            judge,
            read: 0,
            points: 0,
            sorted: None,
            failed: None,
            closed_at: None,
        })
    }

    /// What there is.
    fn look(&mut self) -> Result<Next, SourceError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.reader.is_unordered && !self.reader.is_past_start() {
            let chunks = self.reader.take(usize::MAX, usize::MAX, self.reader.end)?;
            self.sorted = Some(Sorted::new(chunks));
        }
        let old = match &mut self.sorted {
            Some(sorted) => sorted.next()?,
            None if self.reader.is_past_start() => None,
            None => Chunk::joined(&self.reader.take(EPOCH_ROWS, EPOCH_BYTES, self.reader.end)?)?,
        };
        if let Some(mut chunk) = old {
            if chunk.time.first().is_some_and(|first| !self.judge.has_not_passed(*first)) {
                chunk = self.admitted(chunk, Judge::judge_old)?;
            }
            return self.epoch(&chunk);
        }
        self.sorted = None;
        if self.mode == Mode::Once {
            // Events of the source's other streams count too.
            let newest = self.origin_newest.take().filter(|newest| Some(*newest) > self.judge.newest());
            return Ok(newest.map_or(Next::End, |watermark| {
                let scans = self.scans.iter().map(|_| None).collect();
                Next::Epoch(Epoch { scans, watermark })
            }));
        }
        // Asked first: what is pushed before an end is there then.
        let ended = self.reader.ended();
        let chunks = self.reader.take(EPOCH_ROWS, EPOCH_BYTES, self.closed_at.unwrap_or(u64::MAX))?;
        match Chunk::joined(&chunks)? {
            Some(chunk) => {
                let chunk = self.admitted(chunk, Judge::judge)?;
                self.epoch(&chunk)
            }
            None if self.closed_at.is_some() => Ok(Next::End),
            None => match ended {
                Some(Some(error)) => Err(SourceError::Pipe(error)),
                Some(None) => Ok(Next::End),
                None => Ok(Next::Idle),
            },
        }
    }

    /// The rows that are not late, in order.
    fn admitted(
        &mut self,
        chunk: Chunk,
        judge: fn(&mut Judge, usize, i64) -> Verdict,
    ) -> Result<Chunk, SourceError> {
        let (mut admitted, mut late) = (Vec::with_capacity(chunk.len()), Vec::new());
        for (row, time) in (0..).zip(chunk.time.iter()) {
            match judge(&mut self.judge, 0, *time) {
                Verdict::Admitted => admitted.push(row),
                Verdict::Late(watermark) => late.push((row, watermark)),
                Verdict::Stops(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        self.read += (chunk.len() - admitted.len()) as u64;
        if !late.is_empty() {
            self.keep(&chunk, &late)?;
        }
        if admitted.len() == chunk.len() && chunk.is_rising() {
            return Ok(chunk);
        }
        admitted.sort_by_key(|row| chunk.place(*row as usize));
        Ok(chunk.select(&admitted)?)
    }

    /// Gives late rows to the side, if that is where they go.
    fn keep(&mut self, chunk: &Chunk, late: &[(u32, i64)]) -> Result<(), SourceError> {
        let (fields, key) = self.columns();
        for (at, scan) in self.whole.iter().enumerate() {
            let rows = chunk.rows(scan, fields, key, scan.stream.source)?;
            if let Err(error) = self.judge.keep(at, &rows, late) {
                self.failed = Some(error);
                break;
            }
        }
        Ok(())
    }

    /// The table's columns, and the place of the key.
    fn columns(&self) -> (&Fields, Option<usize>) {
        let Definition { fields, key, .. } = &self.reader.shared.definition;
        (fields, fields.find(key).map(|(at, _)| at))
    }

    /// Rows in order as an epoch.
    fn epoch(&mut self, chunk: &Chunk) -> Result<Next, SourceError> {
        self.read += chunk.len() as u64;
        self.points += chunk.len() as u64;
        if let Some(last) = chunk.time.last() {
            self.judge.heard(*last);
        }
        let (fields, key) = self.columns();
        let scans = self
            .scans
            .iter()
            .map(|scan| Ok(Some(chunk.rows(scan, fields, key, scan.stream.source)?)))
            .collect::<Result<_, SourceError>>()?;
        let watermark = match self.mode {
            Mode::Once => self.judge.newest(),
            Mode::Live => self.judge.watermark(),
        };
        Ok(Next::Epoch(Epoch { scans, watermark: watermark.unwrap_or(i64::MIN) }))
    }
}

/// Rows that did not come in order, given in order.
struct Sorted {
    chunks: Vec<Chunk>,
    /// Chunk and row of each that is left to give, the last one first.
    left: Vec<(usize, usize)>,
    /// Rows given at once.
    most: usize,
}

impl Sorted {
    fn new(chunks: Vec<Chunk>) -> Self {
        let rows = chunks.iter().enumerate();
        let rows = rows.flat_map(|(at, chunk)| (0..chunk.len()).map(move |row| (chunk.place(row), at, row)));
        let mut order: Vec<_> = rows.collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        let a_row = chunks.iter().map(Chunk::memory).sum::<usize>() / order.len().max(1);
        let left = order.into_iter().map(|(_, chunk, row)| (chunk, row)).collect();
        Self { chunks, left, most: (EPOCH_BYTES / a_row.max(1)).clamp(1, EPOCH_ROWS) }
    }

    /// The next rows; none after the last.
    fn next(&mut self) -> Result<Option<Chunk>, ArrowError> {
        let mut picks = self.left.split_off(self.left.len().saturating_sub(self.most));
        picks.reverse();
        if picks.is_empty() { Ok(None) } else { Chunk::picked(&self.chunks, &picks).map(Some) }
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
            points: self.points,
            newest: self.judge.newest(),
            unread: Table::unread_of(&self.reader.shared),
            ..Status::default()
        };
        self.judge.report(&mut status);
        let reasons = [
            ("misfitting values", counts.misfits),
            ("without a time", counts.untimed),
            ("values of unknown columns", counts.unknown),
        ];
        status.dropped.extend(reasons.into_iter().filter(|(_, count)| *count > 0));
        status
    }

    fn close(&mut self) -> bool {
        // Over what is there, where it ends is known already, and may be far away.
        if self.mode == Mode::Live && self.closed_at.is_none() {
            self.closed_at = Some(self.reader.last());
        }
        self.closed_at.is_some()
    }

    fn save(&self) -> Result<Saved, SaveError> {
        let name = self.scans.first().map_or("?", |scan| scan.stream.name.as_str());
        Err(SaveError::never(format!("table `{name}`"), "rows that a program pushed are gone with it"))
    }
}
