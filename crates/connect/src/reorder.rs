//! Puts points in the order of their times, for clocks that do not run forward: the author's claim, the
//! author's server.
//!
//! `once` reads everything and sorts it: nothing is late. `live` holds points until the newest time seen less
//! the lateness has passed theirs; a point that comes after its time was let go is [late](crate::late). What
//! is let go of at once may be all there is: it goes out in as many epochs as it takes, and nothing is read
//! before all of it is out.

use std::time::Duration;

use arrow_array::UInt32Array;
use skytide_runtime::{Epoch, Reader, Writer};
use skytide_timestream::engine::{Backlog, Mode};
use skytide_timestream::plan::{Plan, Scan};
use skytide_timestream::rows::Rows;

use crate::late::{Judge, Verdict};
use crate::recovery::{SaveError, state};
use crate::source::{EPOCH_BYTES, EPOCH_ROWS, Next, Saved, Source, SourceError, SourceState, Status};

/// A source whose points come in any order, put in order.
pub struct Reorder<S> {
    inner: S,
    mode: Mode,
    judge: Judge,
    /// By scan: points not yet let go.
    held: Vec<Backlog>,
    admitted: u64,
    /// What ended it, to be said once the points before are out.
    failed: Option<SourceError>,
    ended: bool,
}

shown!(Reorder<S: Sized> { mode, admitted, ended });

impl<S: Source> Reorder<S> {
    /// Orders the points of `inner`, which reads [the scans of the judge](Judge::scans); in live mode a point
    /// waits for the lateness of the judge.
    pub fn new(inner: S, mode: Mode, judge: Judge) -> Self {
        Self { inner, mode, judge, held: Vec::new(), admitted: 0, failed: None, ended: false }
    }

    /// The time up to which all points are here; none before the first.
    fn watermark(&self) -> Option<i64> {
        match self.mode {
            Mode::Once => None,
            Mode::Live => self.judge.watermark(),
        }
    }

    /// By scan: points not yet let go.
    #[cfg(test)]
    pub(crate) fn held(&self) -> &[Backlog] {
        &self.held
    }

    /// Goes on from what it saved when it read the scans that the plan wants, as `inner` does already.
    pub(crate) fn go_on(&mut self, bytes: &mut Reader<'_>, scans: &[Scan]) -> Result<(), SourceError> {
        self.judge.go_on(bytes)?;
        self.ended = state::read_flag(bytes)?;
        self.admitted = state::read_count(bytes)?;
        self.held = state::read_held(bytes, scans)?;
        Ok(())
    }

    fn admit(&mut self, epoch: Epoch) -> Result<(), SourceError> {
        self.held.resize_with(epoch.scans.len().max(self.held.len()), Backlog::of_source);
        let scans = epoch.scans;
        let mut kept: Vec<Vec<u32>> = scans.iter().map(|_| Vec::new()).collect();
        let mut late: Vec<Vec<(u32, i64)>> = scans.iter().map(|_| Vec::new()).collect();
        for (scan, row) in by_arrival(&scans) {
            let Some(rows) = &scans[scan] else { continue };
            let time = rows.places.time[row as usize];
            let verdict = match self.mode {
                Mode::Once => self.judge.judge_old(scan, time),
                Mode::Live => self.judge.judge(scan, time),
            };
            match verdict {
                Verdict::Admitted => kept[scan].push(row),
                Verdict::Late(watermark) => late[scan].push((row, watermark)),
                Verdict::Stops(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        for (scan, (rows, mut kept)) in scans.into_iter().zip(kept).enumerate() {
            let Some(rows) = rows else { continue };
            if let Err(error) = self.judge.keep(scan, &rows, &late[scan]) {
                self.failed = Some(error);
            }
            if !kept.is_empty() {
                let rows = self.judge.cut(scan, rows);
                self.admitted += kept.len() as u64;
                kept.sort_by_key(|row| rows.places.at(*row as usize));
                let rows = rows.select(&UInt32Array::from(kept))?;
                match self.mode {
                    Mode::Once => self.held[scan].put(rows),
                    Mode::Live => self.held[scan].push(rows)?,
                }
            }
        }
        Ok(())
    }

    /// Tells of a time whether all points up to it are here: of each at the end.
    fn has_come(&self) -> impl Fn(i64) -> bool + use<S> {
        let (ended, watermark) = (self.ended, self.watermark());
        move |time| ended || watermark.is_some_and(|watermark| time <= watermark)
    }

    /// Whether points are held that are to go out.
    fn is_complete(&self) -> bool {
        let mut firsts = self.held.iter().flat_map(Backlog::batches).map(|rows| rows.places.time[0]);
        (self.ended || self.watermark().is_some()) && firsts.any(self.has_come())
    }

    /// The held points that are to go out, in order, or the first of them.
    fn release(&mut self) -> Result<Epoch, SourceError> {
        let has_come = self.has_come();
        let part = Backlog::part(&self.held, &has_come, EPOCH_ROWS, EPOCH_BYTES);
        let mut scans = Vec::with_capacity(self.held.len());
        for held in &mut self.held {
            scans.push(held.take_merged(|time| part.map_or_else(|| has_come(time), |end| time < end))?);
        }
        let reached = if self.ended { self.judge.newest() } else { self.watermark() };
        Ok(Epoch { scans, watermark: part.or(reached).unwrap_or(i64::MIN) })
    }
}

impl<S: Source> Source for Reorder<S> {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        if self.is_complete() {
            return Ok(Next::Epoch(self.release()?));
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.ended {
            return Ok(Next::End);
        }
        match self.inner.next(wait) {
            Ok(Next::Idle) => return Ok(Next::Idle),
            Ok(Next::Epoch(epoch)) => self.admit(epoch)?,
            Ok(Next::End) => self.ended = true,
            Err(error) => self.failed = Some(error),
        }
        // Nothing follows what ended it: what was read before goes out.
        self.ended |= self.failed.is_some();
        if self.ended && self.held.is_empty() {
            return self.failed.take().map_or(Ok(Next::End), Err);
        }
        if self.ended {
            self.held.iter_mut().try_for_each(Backlog::gather)?;
        } else if self.watermark().is_none() {
            let scans = self.held.iter().map(|_| None).collect();
            return Ok(Next::Epoch(Epoch { scans, watermark: i64::MIN }));
        }
        Ok(Next::Epoch(self.release()?))
    }

    fn status(&self) -> Status {
        let mut status = self.inner.status();
        self.judge.report(&mut status);
        status.points = self.admitted;
        status.newest = self.judge.newest();
        status
    }

    /// What is sorted as a whole may be read live, too; what lets points go on the way leaves late ones out,
    /// which once there are none.
    fn begin(&mut self, _: &Plan, mode: Mode) -> Result<(), SourceError> {
        if mode == Mode::Live || self.mode == Mode::Once {
            return Ok(());
        }
        Err(SourceError::OtherMode { mode })
    }

    fn save(&self) -> Result<Saved, SaveError> {
        if self.failed.is_some() {
            return Err(SaveError::NotNow);
        }
        let Saved::State(SourceState(inner)) = self.inner.save()? else {
            return Err(SaveError::never("a source whose points are put in order", "it is read as a whole"));
        };
        let mut bytes = Writer::from(inner);
        self.judge.save(&mut bytes)?;
        bytes.number(self.ended.into());
        bytes.number(self.admitted);
        state::write_held(&mut bytes, &self.held)?;
        Ok(Saved::State(SourceState(bytes.into_bytes())))
    }
}

/// All rows of the scans of one source, as (scan, row), in the order in which they came.
fn by_arrival(scans: &[Option<Rows>]) -> Vec<(usize, u32)> {
    let mut rows: Vec<(u64, usize, u32)> = Vec::new();
    for (scan, batch) in scans.iter().enumerate() {
        let ordinals = batch.iter().flat_map(|batch| batch.places.ordinal.iter());
        rows.extend((0u32..).zip(ordinals).map(|(row, ordinal)| (*ordinal, scan, row)));
    }
    rows.sort_unstable();
    rows.into_iter().map(|(_, scan, row)| (scan, row)).collect()
}
