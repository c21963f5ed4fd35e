//! Rows that wait for their time.

use std::collections::HashSet;

use super::error::EngineError;
use super::merge::merge;
use super::parts::go_together;
use crate::held::Held;
use crate::rows::Rows;

/// Rows that wait for their time, as batches that are each in order and grow from the last to the first, so that there are few, but for
/// what is too much for one.
#[derive(Default)]
pub(super) struct Backlog {
    batches: Vec<Rows>,
}

impl Backlog {
    /// Holds rows, which are in order.
    pub(super) fn push(&mut self, rows: Rows) -> Result<(), EngineError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut rows = rows;
        let joins = |last: &Rows, rows: &Rows| last.len() / 2 <= rows.len() && go_together(last, rows);
        while let Some(last) = self.batches.pop_if(|last| joins(last, &rows)) {
            rows = merge(vec![last, rows])?;
        }
        self.batches.push(rows);
        Ok(())
    }

    /// Lets go of the rows whose time has come, each batch in order. If it has come for a time, it has for all before.
    pub(super) fn take(&mut self, has_come: impl Fn(i64) -> bool) -> Vec<Rows> {
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

    /// All that is held, each batch in order.
    pub(super) fn batches(&self) -> &[Rows] {
        &self.batches
    }

    /// What is held.
    pub(super) fn holds(&self) -> Held {
        let hashes =
            self.batches.iter().filter_map(|rows| rows.key.as_ref()).flat_map(|key| key.hashes.iter());
        Held {
            keys: hashes.collect::<HashSet<_>>().len(),
            points: self.batches.iter().map(Rows::len).sum(),
            bytes: self.batches.iter().map(Rows::memory).sum(),
        }
    }
}
