//! Rows that wait for their time.

use std::collections::HashSet;

use super::error::EngineError;
use super::merge::{Ties, merge_with};
use super::parts::{go_together, merged_with, time_within};
use crate::held::Held;
use crate::rows::Rows;

/// Rows that wait for their time, as batches that are each in order and grow from the last to the first, so
/// that there are few, but for what is too much for one.
///
/// Each row is copied as often as what is held doubles, not whenever others come: what a lateness of days
/// holds costs little beside what it lets go of.
#[derive(Debug, Default)]
pub struct Backlog {
    batches: Vec<Rows>,
    ties: Ties,
}

impl Backlog {
    /// Of a source's rows, of which those at one place stand as they were given: a program may order rows by
    /// numbers of its own, of which some are equal.
    #[must_use]
    pub fn of_source() -> Self {
        Self { batches: Vec::new(), ties: Ties::AsTheyCame }
    }

    /// Holds rows, which are in order.
    ///
    /// # Errors
    /// They differ in their columns from those that are held.
    pub fn push(&mut self, rows: Rows) -> Result<(), EngineError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut rows = rows;
        let joins = |last: &Rows, rows: &Rows| last.len() / 2 <= rows.len() && go_together(last, rows);
        while let Some(last) = self.batches.pop_if(|last| joins(last, &rows)) {
            rows = merge_with(vec![last, rows], self.ties)?;
        }
        self.batches.push(rows);
        Ok(())
    }

    /// Holds rows, which are in order, beside the others: where none is let go of before all are
    /// [gathered](Self::gather).
    pub fn put(&mut self, rows: Rows) {
        if !rows.is_empty() {
            self.batches.push(rows);
        }
    }

    /// Makes few batches of many, as they are where each is [pushed](Self::push).
    ///
    /// # Errors
    /// They differ in their columns.
    pub fn gather(&mut self) -> Result<(), EngineError> {
        self.batches = merged_with(std::mem::take(&mut self.batches), self.ties)?;
        Ok(())
    }

    /// The time before which about so many rows and bytes at most are held, all these together, of those
    /// whose time has come: what is let go of at once. None where no more are. If it has come for a time, it
    /// has for all before; rows of one time stay together.
    pub fn part<'a>(
        held: impl IntoIterator<Item = &'a Self>,
        has_come: impl Fn(i64) -> bool,
        rows: usize,
        bytes: usize,
    ) -> Option<i64> {
        let batches: Vec<&Rows> = held.into_iter().flat_map(|held| &held.batches).collect();
        time_within(&batches, has_come, rows, bytes)
    }

    /// Lets go of the rows whose time has come, each batch in order. If it has come for a time, it has for
    /// all before.
    #[must_use]
    pub fn take(&mut self, has_come: impl Fn(i64) -> bool) -> Vec<Rows> {
        let mut taken = Vec::new();
        for batch in &mut self.batches {
            let end = batch.places.time.partition_point(|time| has_come(*time));
            if end > 0 {
                taken.push(batch.slice(0, end));
                *batch = batch.slice(end, batch.len() - end);
            }
        }
        self.batches.retain(|batch| !batch.is_empty());
        taken
    }

    /// Lets go of the rows whose time has come, in order; none where it has for none.
    ///
    /// # Errors
    /// They hold more than 2 GiB of one text column.
    pub fn take_merged(&mut self, has_come: impl Fn(i64) -> bool) -> Result<Option<Rows>, EngineError> {
        let taken = self.take(has_come);
        if taken.is_empty() { Ok(None) } else { merge_with(taken, self.ties).map(Some) }
    }

    /// Bytes of the rows that are held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.batches.iter().map(Rows::bytes).sum()
    }

    /// All that is held, each batch in order.
    #[must_use]
    pub fn batches(&self) -> &[Rows] {
        &self.batches
    }

    /// Number of rows that are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batches.iter().map(Rows::len).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// What is held.
    pub(super) fn holds(&self) -> Held {
        let hashes =
            self.batches.iter().filter_map(|rows| rows.key.as_ref()).flat_map(|key| key.hashes.iter());
        Held {
            keys: hashes.collect::<HashSet<_>>().len(),
            points: self.len(),
            bytes: self.batches.iter().map(Rows::memory).sum(),
        }
    }
}
