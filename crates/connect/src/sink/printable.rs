//! Batches as the text formats take them.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema};

/// The batch with the moments of named zones, as the engine's `UTC` or a file's `Europe/Berlin`, given in UTC: writing them by the
/// clocks of such a zone would need a table of all zones. Those of a zone that is an offset keep it.
///
/// # Errors
/// Columns that are not of their types.
pub fn printable(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let mut fields: Vec<FieldRef> = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        match offset(field.data_type()) {
            None => {
                fields.push(Arc::clone(field));
                columns.push(Arc::clone(column));
            }
            Some(data_type) => {
                columns.push(cast(column, &data_type)?);
                fields.push(Arc::new(Field::clone(field).with_data_type(data_type)));
            }
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The type with UTC as an offset for named zones; none if there are none in it.
fn offset(data_type: &DataType) -> Option<DataType> {
    let renamed = |field: &FieldRef| {
        let data_type = offset(field.data_type())?;
        Some(Arc::new(Field::clone(field).with_data_type(data_type)))
    };
    match data_type {
        DataType::Timestamp(unit, Some(zone)) if !zone.starts_with(['+', '-']) => {
            Some(DataType::Timestamp(*unit, Some("+00:00".into())))
        }
        DataType::List(item) => renamed(item).map(DataType::List),
        DataType::Map(entry, sorted) => renamed(entry).map(|entry| DataType::Map(entry, *sorted)),
        DataType::Struct(fields) => {
            let new: Vec<Option<FieldRef>> = fields.iter().map(renamed).collect();
            new.iter().any(Option::is_some).then(|| {
                let fields = fields.iter().zip(new).map(|(old, new)| new.unwrap_or_else(|| Arc::clone(old)));
                DataType::Struct(fields.collect())
            })
        }
        _ => None,
    }
}
