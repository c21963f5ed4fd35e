//! Puts points in the order of their times, for clocks that do not run forward: the author's claim, the author's server.
//!
//! `once` reads everything and sorts it: nothing is late. `live` holds points until the newest time seen less the lateness
//! has passed theirs; a point that comes after its time was let go is late, dropped and counted (SEMANTICS 7.3). The
//! decisions depend on the order of arrival alone, not on how points came in batches.

use std::time::Duration;

use arrow_array::UInt32Array;
use skytide_runtime::Epoch;
use skytide_timestream::engine::{Mode, merge};
use skytide_timestream::rows::Rows;

use crate::source::{Next, Source, SourceError, Status};

/// A source whose points come in any order, put in order.
pub struct Reorder<S> {
    inner: S,
    mode: Mode,
    lateness: i64,
    /// By scan: points not yet let go, each batch in order.
    held: Vec<Vec<Rows>>,
    newest: Option<i64>,
    late: u64,
    ended: bool,
}

impl<S: Source> Reorder<S> {
    /// Orders the points of `inner`; in live mode a point waits for `lateness`.
    pub fn new(inner: S, mode: Mode, lateness: Duration) -> Self {
        let lateness = i64::try_from(lateness.as_nanos()).unwrap_or(i64::MAX);
        Self { inner, mode, lateness, held: Vec::new(), newest: None, late: 0, ended: false }
    }

    /// The time up to which all points are here; none before the first.
    fn watermark(&self) -> Option<i64> {
        match self.mode {
            Mode::Once => None,
            Mode::Live => self.newest.map(|newest| newest.saturating_sub(self.lateness)),
        }
    }

    fn admit(&mut self, epoch: Epoch) -> Result<(), SourceError> {
        self.held.resize_with(epoch.scans.len().max(self.held.len()), Vec::new);
        let scans = epoch.scans;
        let mut kept: Vec<Vec<u32>> = scans.iter().map(|_| Vec::new()).collect();
        for (scan, row) in by_arrival(&scans) {
            let Some(rows) = &scans[scan] else { continue };
            let time = rows.places.time[row as usize];
            self.newest = Some(self.newest.map_or(time, |newest| newest.max(time)));
            if self.watermark().is_some_and(|watermark| time < watermark) {
                self.late += 1;
            } else {
                kept[scan].push(row);
            }
        }
        for ((held, rows), mut kept) in self.held.iter_mut().zip(scans).zip(kept) {
            let Some(rows) = rows.filter(|_| !kept.is_empty()) else { continue };
            kept.sort_by_key(|row| rows.places.at(*row as usize));
            held.push(rows.select(&UInt32Array::from(kept))?);
        }
        Ok(())
    }

    /// All held points up to and including a time, in order; all points where there is none.
    fn release(&mut self, until: Option<i64>) -> Result<Epoch, SourceError> {
        let mut scans = Vec::with_capacity(self.held.len());
        for held in &mut self.held {
            if held.is_empty() {
                scans.push(None);
                continue;
            }
            let rows = merge(std::mem::take(held))?;
            let times = &rows.places.time;
            let end = until.map_or(times.len(), |until| times.partition_point(|time| *time <= until));
            if end < rows.len() {
                held.push(rows.slice(end, rows.len() - end));
            }
            scans.push((end > 0).then(|| rows.slice(0, end)));
        }
        Ok(Epoch { scans, watermark: until.or(self.newest).unwrap_or(i64::MIN) })
    }
}

impl<S: Source> Source for Reorder<S> {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        if self.ended {
            return Ok(Next::End);
        }
        match self.inner.next(wait)? {
            Next::Idle => Ok(Next::Idle),
            Next::Epoch(epoch) => {
                self.admit(epoch)?;
                let scans = self.held.iter().map(|_| None).collect();
                Ok(Next::Epoch(match self.watermark() {
                    Some(watermark) => self.release(Some(watermark))?,
                    None => Epoch { scans, watermark: i64::MIN },
                }))
            }
            Next::End => {
                self.ended = true;
                Ok(Next::Epoch(self.release(None)?))
            }
        }
    }

    fn status(&self) -> Status {
        let mut status = self.inner.status();
        if self.late > 0 {
            status.dropped.insert("late", self.late);
        }
        status.points = status.points.saturating_sub(self.late);
        status.newest = self.newest;
        status
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
