//! CSV with a header: cells are read as text and made what their column is; one that is no such value is null and counted.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_csv::ReaderBuilder;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};

use super::projection::Projection;
use super::unit::{Batches, Read, guarded};
use super::{FileError, INFERRED_ROWS};
use crate::columns::fitted;
use crate::tables::{csv_format, csv_types, known};

/// Some programs begin text with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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
        let (schema, _) = format
            .infer_schema(text(path)?, Some(INFERRED_ROWS))
            .map_err(|error| FileError::damaged(path, "", wrong(&error)))?;
        Ok(Self { path: path.to_owned(), delimiter, fields: csv_types(&schema.fields) })
    }

    /// Its columns.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Reads what is wanted of it.
    pub(super) fn read(&self, wanted: &Projection, rows: usize) -> Result<Batches, FileError> {
        let texts: Fields =
            self.fields.iter().map(|field| Field::new(field.name(), DataType::Utf8, true)).collect();
        let columns = self.fields.iter().enumerate().filter(|(_, field)| wanted.wants_column(field.name()));
        let columns: Vec<usize> = columns.map(|(at, _)| at).collect();
        let fields: Fields = columns.iter().map(|at| known(&self.fields[*at])).collect();
        let schema = Arc::new(Schema::new(fields));
        let reader = ReaderBuilder::new(Arc::new(Schema::new(texts)))
            .with_format(csv_format().with_delimiter(self.delimiter))
            .with_projection(columns)
            .with_batch_size(rows)
            .build(text(&self.path)?)
            .map_err(|error| FileError::damaged(&self.path, "", wrong(&error)))?;
        let (path, path_too) = (self.path.clone(), self.path.clone());
        let batches = reader.map(move |batch| {
            let typed = batch.and_then(|batch| typed(&batch, &schema));
            typed.map_err(|error| FileError::damaged(&path, "", wrong(&error)))
        });
        Ok(guarded(batches, move || FileError::damaged(&path_too, "", "it cannot be read as CSV")))
    }
}

/// The file from its first letter on.
fn text(path: &Path) -> Result<BufReader<File>, FileError> {
    let mut file = BufReader::new(File::open(path).map_err(FileError::io(path))?);
    let mut head = Vec::with_capacity(BYTE_ORDER_MARK.len());
    (&mut file).take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut head).map_err(FileError::io(path))?;
    if head != BYTE_ORDER_MARK {
        file.seek(SeekFrom::Start(0)).map_err(FileError::io(path))?;
    }
    Ok(file)
}

/// Texts as values of their columns.
fn typed(batch: &RecordBatch, schema: &Arc<Schema>) -> Result<Read, ArrowError> {
    let mut misfits = 0;
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (texts, field) in batch.columns().iter().zip(schema.fields()) {
        let (column, lost) = fitted(texts, field.data_type())?;
        misfits += lost;
        columns.push(column);
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(Read { batch: RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)?, misfits })
}

/// What the library says, and what to do.
fn wrong(error: &ArrowError) -> String {
    let said = error.to_string();
    if said.contains("incorrect number of fields") || said.contains("unequal lengths") {
        return format!("{said}; a cell with a comma, a quote or a line break stands in double quotes");
    }
    said
}
