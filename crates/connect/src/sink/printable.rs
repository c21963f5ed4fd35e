//! Batches as the text formats take them.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema};

/// The batch with the zone of each timestamp given as an offset: writing a zone by its name, as the engine's `UTC`, would need a
/// table of all zones.
///
/// # Errors
/// None for timestamps in UTC; a zone that is not to be had for others.
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

/// The type with UTC as an offset; none if there is no UTC in it.
fn offset(data_type: &DataType) -> Option<DataType> {
    let renamed = |field: &FieldRef| {
        let data_type = offset(field.data_type())?;
        Some(Arc::new(Field::clone(field).with_data_type(data_type)))
    };
    match data_type {
        DataType::Timestamp(unit, Some(zone)) if &**zone == "UTC" => {
            Some(DataType::Timestamp(*unit, Some("+00:00".into())))
        }
        DataType::List(item) => renamed(item).map(DataType::List),
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
