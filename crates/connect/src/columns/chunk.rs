//! Rows of a source before a query's scans: columns side by side, each row with its time and its place among
//! those of its time.

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{ArrowError, Fields};
use arrow_select::concat::concat;
use arrow_select::interleave::interleave;
use arrow_select::take::take;
use skytide_timestream::plan::Scan;
use skytide_timestream::rows::{Keys, Lane, Places, Rows};

use super::path;

/// Rows that came one after another.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    /// UTC nanoseconds of each row.
    pub(crate) time: ScalarBuffer<i64>,
    /// Its place among those of its time.
    pub(crate) ordinal: ScalarBuffer<u64>,
    /// One array a column.
    pub(crate) columns: Vec<ArrayRef>,
}

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    /// What a row is ordered by.
    pub(crate) fn place(&self, row: usize) -> (i64, u64) {
        (self.time[row], self.ordinal[row])
    }

    /// Whether each row stands after the one before.
    pub(crate) fn is_rising(&self) -> bool {
        is_rising(&self.time, &self.ordinal)
    }

    /// These rows, in this order.
    pub(crate) fn select(&self, rows: &[u32]) -> Result<Self, ArrowError> {
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

    /// The rows from `start` on, `len` of them; nothing is copied.
    pub(crate) fn slice(&self, start: usize, len: usize) -> Self {
        Self {
            time: self.time.slice(start, len),
            ordinal: self.ordinal.slice(start, len),
            columns: self.columns.iter().map(|column| column.slice(start, len)).collect(),
        }
    }

    /// What a scan wants of them: `fields` names their columns, `key` is the place of their key, `source` the
    /// number of the source.
    pub(crate) fn rows(
        &self,
        scan: &Scan,
        fields: &Fields,
        key: Option<usize>,
        source: u16,
    ) -> Result<Rows, ArrowError> {
        let at = |path: &[_]| path::at(fields, &self.columns, path, self.len());
        let columns = scan.columns.iter().map(|column| at(&column.path)).collect::<Result<Vec<_>, _>>()?;
        let key =
            key.filter(|_| scan.keyed).and_then(|key| self.columns.get(key)).map(Keys::of).transpose()?;
        let places = Places::new(self.time.clone(), Lane::One(1 + source), self.ordinal.clone());
        Ok(Rows { places, key, columns })
    }

    /// Bytes that they hold.
    pub(crate) fn memory(&self) -> usize {
        let columns: usize = self.columns.iter().map(|column| held(column.as_ref())).sum();
        columns + self.len() * 16
    }

    /// Rows chosen from several by chunk and row, in this order.
    pub(crate) fn picked(chunks: &[Self], picks: &[(usize, usize)]) -> Result<Self, ArrowError> {
        let columns = (0..chunks.first().map_or(0, |chunk| chunk.columns.len())).map(|column| {
            let pieces: Vec<&dyn Array> = chunks.iter().map(|chunk| chunk.columns[column].as_ref()).collect();
            interleave(&pieces, picks)
        });
        Ok(Self {
            time: picks.iter().map(|(chunk, row)| chunks[*chunk].time[*row]).collect(),
            ordinal: picks.iter().map(|(chunk, row)| chunks[*chunk].ordinal[*row]).collect(),
            columns: columns.collect::<Result<_, _>>()?,
        })
    }

    /// Several as one; none of none.
    pub(crate) fn joined(chunks: &[Self]) -> Result<Option<Self>, ArrowError> {
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

/// Whether each place stands at or after the one before. Times alone are looked at first, without a branch a row.
pub(crate) fn is_rising(time: &[i64], ordinal: &[u64]) -> bool {
    let (mut falls, mut repeats) = (false, false);
    for pair in time.windows(2) {
        falls |= pair[0] > pair[1];
        repeats |= pair[0] == pair[1];
    }
    let in_place = |row: usize| time[row - 1] < time[row] || ordinal[row - 1] <= ordinal[row];
    !falls && (!repeats || (1..time.len()).all(in_place))
}

/// Bytes of the rows of an array, of a slice only its own.
fn held(values: &dyn Array) -> usize {
    let data = values.to_data();
    data.get_slice_memory_size().unwrap_or_else(|_| data.get_array_memory_size())
}
