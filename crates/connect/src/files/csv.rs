//! CSV with a header: cells are read as text and made what their column is; one that is no such value is null
//! and counted.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_csv::ReaderBuilder;
use arrow_csv::reader::Decoder;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};

use super::letters::opened;
use super::projection::Projection;
use super::unit::{Batches, Read, guarded};
use super::{FileError, INFERRED_ROWS};
use crate::columns::{known, read};
use crate::tables::{Quotes, UNCLOSED, csv_format, csv_numbers, csv_types, rows_at_once};

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// A file of CSV, its header read.
pub(super) struct CsvFile {
    path: PathBuf,
    delimiter: u8,
    fields: Fields,
}

impl CsvFile {
    /// Reads its header, and finds the types of its columns by its first rows.
    pub(super) fn open(path: &Path, delimiter: u8) -> Result<Self, FileError> {
        let format = csv_format().with_delimiter(delimiter);
        let mut text = Text::open(path, delimiter)?;
        let (schema, _) =
            format.infer_schema(&mut text, Some(INFERRED_ROWS)).map_err(|error| text.wrong(&error))?;
        let mut text = Text::open(path, delimiter)?;
        let fields = csv_numbers(&csv_types(&schema.fields), format, Some(INFERRED_ROWS), &mut text)
            .map_err(|error| text.wrong(&error))?;
        Ok(Self { path: path.to_owned(), delimiter, fields })
    }

    /// Its columns.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Reads what is wanted of it.
    pub(super) fn read(&self, wanted: &Projection, rows: usize) -> Result<Batches, FileError> {
        let texts: Fields =
            self.fields.iter().map(|field| Field::new(field.name(), DataType::Utf8, true)).collect();
        let columns = wanted.places(&self.fields);
        let fields: Fields = columns.iter().map(|at| known(&self.fields[*at])).collect();
        let schema = Arc::new(Schema::new(fields));
        let mut decoder = ReaderBuilder::new(Arc::new(Schema::new(texts)))
            .with_format(csv_format().with_delimiter(self.delimiter))
            .with_projection(columns)
            .with_batch_size(rows_at_once(self.fields.len(), rows))
            .build_decoder();
        let mut text = BufReader::with_capacity(PIECE, Text::open(&self.path, self.delimiter)?);
        let batches = std::iter::from_fn(move || {
            let batch = decoded(&mut decoder, &mut text).transpose()?;
            let typed = batch.and_then(|batch| typed(&batch, &schema));
            Some(typed.map_err(|error| text.get_ref().wrong(&error)))
        });
        let path = self.path.clone();
        Ok(guarded(batches, move || FileError::damaged(&path, "", "it cannot be read as CSV")))
    }
}

/// The text of a file; that it ends within quotes is an error.
struct Text {
    path: PathBuf,
    file: File,
    quotes: Quotes,
    /// The line of the quote within which it has ended.
    unclosed: Option<u64>,
}

impl Text {
    fn open(path: &Path, delimiter: u8) -> Result<Self, FileError> {
        Ok(Self {
            path: path.to_owned(),
            file: opened(path)?,
            quotes: Quotes::new(delimiter),
            unclosed: None,
        })
    }

    /// What the library says, and what to do.
    fn wrong(&self, error: &ArrowError) -> FileError {
        if let Some(line) = self.unclosed {
            return FileError::Line { path: self.path.clone(), line, reason: UNCLOSED.to_owned() };
        }
        let said = error.to_string();
        if said.contains("incorrect number of fields") || said.contains("unequal lengths") {
            let hint = "a cell with a comma, a quote or a line break stands in double quotes";
            return FileError::damaged(&self.path, "", format!("{said}; {hint}"));
        }
        FileError::damaged(&self.path, "", said)
    }
}

impl io::Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.quotes.look(&buffer[..read]);
        if read == 0
            && let Some(line) = self.quotes.open()
        {
            self.unclosed = Some(line as u64);
            return Err(io::Error::other(UNCLOSED));
        }
        Ok(read)
    }
}

/// The next rows as texts.
fn decoded(decoder: &mut Decoder, text: &mut BufReader<Text>) -> Result<Option<RecordBatch>, ArrowError> {
    loop {
        let piece = text.fill_buf()?;
        let decoded = decoder.decode(piece)?;
        text.consume(decoded);
        if decoded == 0 || decoder.capacity() == 0 {
            return decoder.flush();
        }
    }
}

/// Texts as values of their columns.
fn typed(batch: &RecordBatch, schema: &Arc<Schema>) -> Result<Read, ArrowError> {
    let mut misfits = 0;
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (texts, field) in batch.columns().iter().zip(schema.fields()) {
        let fit = read(texts, field.data_type())?;
        misfits += fit.misfits;
        columns.push(fit.values);
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)?;
    Ok(Read { misfits, ..Read::whole(batch) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_many_columns_are_batches_of_few() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wide.csv");
        let names: Vec<_> = (0..20_000).map(|at| format!("c{at}")).collect();
        let row = format!("{}\n", vec!["1"; 20_000].join(","));
        std::fs::write(&path, format!("{}\n{}", names.join(","), row.repeat(120))).unwrap();
        let file = CsvFile::open(&path, b',').unwrap();
        let wanted = Projection::whole(["c7"], file.fields());
        let rows = file.read(&wanted, 16_384).unwrap().map(|read| read.unwrap().batch.num_rows());
        assert_eq!(rows.collect::<Vec<_>>(), [52, 52, 16]);
    }
}
