//! A piece of a file that is read by itself: a row group of Parquet, else the whole file.

use arrow_array::RecordBatch;

use super::FileError;
use super::caught::caught;

/// Between which times the rows of a unit stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// Nothing tells.
    Unknown,
    /// No row has a time.
    Empty,
    /// From the first to the last time, both of them there, in UTC nanoseconds.
    Within(i64, i64),
}

/// A piece of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    /// Place of its file among the files.
    pub(super) file: usize,
    /// Its place in the file.
    pub(super) at: usize,
    pub(super) range: Range,
    /// Bytes of it in the file.
    pub(super) bytes: u64,
}

/// Rows as a file has them: what they have of the columns that were asked for, by name.
pub(super) struct Read {
    pub(super) batch: RecordBatch,
    /// Values that did not fit their column, and are null.
    pub(super) misfits: u64,
    /// Values that are in no column, wanted or not.
    pub(super) unknown: u64,
}

impl Read {
    /// All of it is there.
    pub(super) fn whole(batch: RecordBatch) -> Self {
        Self { batch, misfits: 0, unknown: 0 }
    }
}

/// The batches of a unit, in order.
pub(super) type Batches = Box<dyn Iterator<Item = Result<Read, FileError>> + Send>;

/// The same batches, but a panic of the library that reads them is an error: it may be given anything.
pub(super) fn guarded(
    batches: impl Iterator<Item = Result<Read, FileError>> + Send + 'static,
    damaged: impl Fn() -> FileError + Send + 'static,
) -> Batches {
    let mut batches = Some(batches);
    Box::new(std::iter::from_fn(move || {
        let mut reading = batches.take()?;
        let read = caught(|| {
            let next = reading.next();
            (next, reading)
        });
        match read {
            Some((next, reading)) => {
                if matches!(next, Some(Ok(_))) {
                    batches = Some(reading);
                }
                next
            }
            None => Some(Err(damaged())),
        }
    }))
}
