//! Comma-separated values with a header; lists and records stand as JSON text in their field.

use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_csv::WriterBuilder;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::printable::{json_texts, printable};
use super::{Sink, SinkError};

/// Comma-separated values, a header first.
pub struct Csv<W: Write> {
    target: W,
    schema: SchemaRef,
    headed: bool,
    misfits: u64,
}

shown!(Csv<W: Write> { schema });

impl<W: Write> Csv<W> {
    /// Writes batches of `schema` ([`answer_schema`](skytide_timestream::engine::answer_schema)) to `target`; the
    /// header goes before the first row, or alone if there is none.
    pub fn new(target: W, schema: SchemaRef) -> Self {
        Self { target, schema, headed: false, misfits: 0 }
    }

    /// Writes on after rows that have a header.
    #[must_use]
    pub fn headed(self) -> Self {
        Self { headed: true, ..self }
    }

    /// Says whether there is a header.
    pub(super) fn set_headed(&mut self, headed: bool) {
        self.headed = headed;
    }

    fn put(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let (batch, lost) = printable(batch)?;
        self.misfits += lost;
        let flat = flatten(&batch)?;
        let mut bytes = Vec::new();
        let mut writer = WriterBuilder::new().with_header(!self.headed).build(&mut bytes);
        writer.write(&flat)?;
        drop(writer);
        self.headed = true;
        self.target.write_all(&bytes)?;
        Ok(self.target.flush()?)
    }
}

impl<W: Write> Sink for Csv<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.put(batch)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        if !self.headed {
            self.put(&RecordBatch::new_empty(Arc::clone(&self.schema)))?;
        }
        Ok(self.target.flush()?)
    }

    fn misfits(&self) -> u64 {
        self.misfits
    }
}

/// The batch with each nested column as text.
fn flatten(batch: &RecordBatch) -> Result<RecordBatch, SinkError> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if field.data_type().is_nested() {
            let texts = json_texts(field, column).map_err(|error| SinkError::json(batch, error))?;
            fields.push(Field::new(field.name(), DataType::Utf8, true));
            columns.push(texts);
        } else {
            fields.push(Field::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
