//! What a table holds: chunks of rows side by side, each with its place and number.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::concat::concat;
use arrow_select::take::take;

/// Rows that came one after another.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    /// UTC nanoseconds of each row.
    pub(super) time: Arc<[i64]>,
    /// Its place among those of its time.
    pub(super) ordinal: Arc<[u64]>,
    /// One array a column of the table.
    pub(super) columns: Vec<ArrayRef>,
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        self.time.len()
    }

    /// What a row is ordered by.
    pub(super) fn place(&self, row: usize) -> (i64, u64) {
        (self.time[row], self.ordinal[row])
    }

    /// Whether each row stands after the one before.
    pub(super) fn is_rising(&self) -> bool {
        (1..self.len()).all(|row| self.place(row - 1) <= self.place(row))
    }

    /// These rows, in this order.
    pub(super) fn select(&self, rows: &[u32]) -> Result<Self, ArrowError> {
        let indices = UInt32Array::from(rows.to_vec());
        Ok(Self {
            time: rows.iter().map(|row| self.time[*row as usize]).collect(),
            ordinal: rows.iter().map(|row| self.ordinal[*row as usize]).collect(),
            columns: self
                .columns
                .iter()
                .map(|column| take(column, &indices, None))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The rows from `start` on.
    pub(super) fn tail(&self, start: usize) -> Self {
        let len = self.len() - start;
        Self {
            time: self.time[start..].into(),
            ordinal: self.ordinal[start..].into(),
            columns: self.columns.iter().map(|column| column.slice(start, len)).collect(),
        }
    }

    /// The first rows.
    pub(super) fn head(&self, len: usize) -> Self {
        Self {
            time: self.time[..len].into(),
            ordinal: self.ordinal[..len].into(),
            columns: self.columns.iter().map(|column| column.slice(0, len)).collect(),
        }
    }

    /// All rows in the order of their places.
    pub(super) fn sorted(self) -> Result<Self, ArrowError> {
        if self.is_rising() {
            return Ok(self);
        }
        let mut rows: Vec<u32> = (0..).take(self.len()).collect();
        rows.sort_by_key(|row| self.place(*row as usize));
        self.select(&rows)
    }

    /// Several as one; none of none.
    pub(super) fn joined(chunks: &[Self]) -> Result<Option<Self>, ArrowError> {
        let [first, rest @ ..] = chunks else { return Ok(None) };
        if rest.is_empty() {
            return Ok(Some(first.clone()));
        }
        let columns = (0..first.columns.len()).map(|column| {
            let pieces: Vec<&dyn Array> = chunks.iter().map(|chunk| chunk.columns[column].as_ref()).collect();
            concat(&pieces)
        });
        Ok(Some(Self {
            time: chunks.iter().flat_map(|chunk| chunk.time.iter().copied()).collect(),
            ordinal: chunks.iter().flat_map(|chunk| chunk.ordinal.iter().copied()).collect(),
            columns: columns.collect::<Result<_, _>>()?,
        }))
    }
}
