//! JSON lines: an object a line. A value that is not of its column's type is null and counted, one that is in
//! no column counted; a line that is no object is an error.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Fields, Schema};

use super::letters::opened;
use super::projection::Projection;
use super::unit::{Batches, Read};
use super::{FileError, INFERRED_ROWS};
use crate::columns::Names;
use crate::tables::{Builder, For, Fraction, Value, read_row, rows_at_once, seen, unknown};

/// A line that is longer is no row: what one line may take of memory.
const LONGEST_LINE: u64 = 64 << 20;
/// Lines of so many bytes are a batch, however few: with one more they are far from what a column of text holds.
const BATCH_BYTES: usize = 16 << 20;

/// A file of JSON lines.
pub(super) struct JsonFile {
    path: PathBuf,
    fields: Fields,
    known: Arc<Names>,
}

impl JsonFile {
    /// Finds its columns and their types by its first rows.
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let rows = Lines::open(path, For::Types)?.take(INFERRED_ROWS).collect::<Result<Vec<_>, _>>()?;
        let values: Vec<Value<'_>> = rows.iter().map(Value::of_json).collect();
        let fields = seen(&values);
        Ok(Self { path: path.to_owned(), known: Arc::new(Names::of(&fields)), fields })
    }

    /// Its columns.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Reads what is wanted of it.
    pub(super) fn read(&self, wanted: &Projection, rows: usize) -> Result<Batches, FileError> {
        let fields = wanted.fields.iter().filter(|field| self.known.get(field.name(), 0).is_some()).cloned();
        let schema = Arc::new(Schema::new(fields.collect::<Fields>()));
        let rows = rows_at_once(schema.fields().len(), rows);
        let mut lines = Lines::open(&self.path, For::Values)?;
        let (path, known) = (self.path.clone(), Arc::clone(&self.known));
        Ok(Box::new(std::iter::from_fn(move || {
            let mut columns: Vec<Builder> =
                schema.fields().iter().map(|field| Builder::new(field.data_type())).collect();
            let (mut misfits, mut unknown, mut count, mut bytes) = (0, 0, 0, 0);
            while count < rows && bytes < BATCH_BYTES {
                let row = match lines.next() {
                    None => break,
                    Some(Err(error)) => return Some(Err(error)),
                    Some(Ok(row)) => row,
                };
                for (column, field) in columns.iter_mut().zip(schema.fields()) {
                    let value = row.get(field.name()).map_or(Value::Null, Value::of_json);
                    misfits += column.push(&value, Fraction::IsNone);
                }
                unknown += self::unknown(&Value::of_json(&row), &known);
                count += 1;
                bytes += lines.bytes.len();
            }
            if count == 0 {
                return None;
            }
            let columns = columns.iter_mut().map(Builder::finish).collect::<Result<Vec<_>, _>>();
            let options = RecordBatchOptions::new().with_row_count(Some(count));
            let batch = columns.and_then(|columns| {
                RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
            });
            Some(batch.map_or_else(
                |error| Err(FileError::damaged(&path, "", error)),
                |batch| Ok(Read { batch, misfits, unknown }),
            ))
        })))
    }
}

/// The rows of a file; empty lines are left out.
struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    of: For,
    line: u64,
    bytes: Vec<u8>,
}

impl Lines {
    fn open(path: &Path, of: For) -> Result<Self, FileError> {
        let file = BufReader::new(opened(path)?);
        Ok(Self { path: path.to_owned(), file, of, line: 0, bytes: Vec::new() })
    }

    fn row(&mut self) -> Result<Option<serde_json::Value>, FileError> {
        loop {
            self.bytes.clear();
            self.line += 1;
            let read = self
                .file
                .by_ref()
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut self.bytes)
                .map_err(FileError::io(&self.path))?;
            if read == 0 {
                return Ok(None);
            }
            let wrong = |reason: String| FileError::Line { path: self.path.clone(), line: self.line, reason };
            if read as u64 == LONGEST_LINE && !self.bytes.ends_with(b"\n") {
                return Err(wrong(format!("it is longer than {} MiB", LONGEST_LINE >> 20)));
            }
            if self.bytes.trim_ascii().is_empty() {
                continue;
            }
            return read_row(&self.bytes, self.of).map(Some).map_err(wrong);
        }
    }
}

impl Iterator for Lines {
    type Item = Result<serde_json::Value, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.row().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_batches_of_few() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.jsonl");
        let line = format!("{{\"x\": 1, \"text\": \"{}\"}}\n", "y".repeat(1 << 20));
        std::fs::write(&path, line.repeat(40)).unwrap();
        let file = JsonFile::open(&path).unwrap();
        let wanted = Projection::whole(["text"], file.fields());
        let rows = file.read(&wanted, 16_384).unwrap().map(|read| read.unwrap().batch.num_rows());
        assert_eq!(rows.collect::<Vec<_>>(), [16, 16, 8]);
    }
    #[test]
    fn rows_of_ever_new_keys_are_batches_of_few() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wide.jsonl");
        let row = |row: usize| -> String {
            let fields = (0..512).map(|field| format!("\"f{row}_{field}\": 1"));
            format!("{{{}}}\n", fields.collect::<Vec<_>>().join(", "))
        };
        std::fs::write(&path, (0..128).map(row).collect::<String>()).unwrap();
        let file = JsonFile::open(&path).unwrap();
        assert_eq!(file.fields().len(), 1 << 16);
        let rows = |wanted: &Projection| {
            let batches = file.read(wanted, 16_384).unwrap().map(Result::unwrap);
            batches.map(|read| (read.batch.num_rows(), read.unknown)).collect::<Vec<_>>()
        };
        assert_eq!(rows(&Projection::whole(["f0_0"], file.fields())), [(128, 0)]);
        let all = Projection::whole(file.fields().iter().map(|field| field.name().as_str()), file.fields());
        assert_eq!(rows(&all), [(16, 0); 8]);
    }
}
