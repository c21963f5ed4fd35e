//! Rows of several queries on one stdout: JSON lines, each with the name of its query.

use std::io::{self, Stdout};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use skytide_connect::sink::{Ndjson, Sink, SinkError};
use skytide_timestream::engine::EngineError;

use super::waiting::Waits;

/// What the name of the query is called in a row.
const QUERY: &str = "_query";

/// Writes rows with the name of their query. A batch is written at once: lines of queries that share stdout
/// do not mix.
pub(crate) struct Tagged {
    name: String,
    lines: Ndjson<Waits<Stdout>>,
}

impl Tagged {
    /// Writes rows of this schema to stdout.
    ///
    /// # Errors
    /// The answer has a field that is called as the query's name is in a row.
    pub(crate) fn new(name: &str, schema: &Schema) -> Result<Self, EngineError> {
        match schema.field_with_name(QUERY) {
            Ok(taken) => Err(EngineError::Taken(taken.name().clone())),
            Err(_) => Ok(Self { name: name.to_owned(), lines: Ndjson::new(Waits(io::stdout())) }),
        }
    }
}

impl Sink for Tagged {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let names: ArrayRef =
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&self.name, batch.num_rows())));
        let schema = batch.schema();
        let field = Arc::new(Field::new(QUERY, DataType::Utf8, false));
        let fields: Vec<_> = std::iter::once(field).chain(schema.fields().iter().cloned()).collect();
        let columns = std::iter::once(names).chain(batch.columns().iter().cloned()).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        // It goes out in parts, which are to stay together.
        let _whole = io::stdout().lock();
        self.lines.write(&batch)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.lines.finish()
    }

    fn misfits(&self) -> u64 {
        self.lines.misfits()
    }
}
