//! Columns with other values in the place of those that a format has not, however deep they stand.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BooleanArray, GenericListArray, MapArray, OffsetSizeTrait, RecordBatch,
    RecordBatchOptions, StructArray,
};
use arrow_buffer::{ArrowNativeType, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema};
use arrow_select::filter::filter;

/// What a format makes of values.
pub(super) trait Form {
    /// Others in the place of values that are made of no others, null where it has none; nothing where all of
    /// their type stay as they are.
    ///
    /// # Errors
    /// Values that are not of their type.
    fn values(&self, values: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError>;

    /// Others in the place of the keys of maps; nothing where all of their type stay as they are.
    ///
    /// # Errors
    /// As of [`values`](Self::values).
    fn keys(&self, keys: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError> {
        let _ = keys;
        Ok(None)
    }
}

/// The batch in a form, and how many of its values that has not: they are null, keys of maps left out with
/// what they stand for.
///
/// # Errors
/// Columns that are not of their types.
pub(super) fn rewritten(batch: &RecordBatch, form: &dyn Form) -> Result<(RecordBatch, u64), ArrowError> {
    let mut lost = 0;
    let schema = batch.schema();
    let mut fields: Vec<FieldRef> = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let (field, column) = part(field, column, form, &mut lost)?;
        fields.push(field);
        columns.push(column);
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
    Ok((RecordBatch::try_new_with_options(Arc::new(schema), columns, &rows)?, lost))
}

/// A column of a batch or a record, with its field.
fn part(
    field: &FieldRef,
    values: &ArrayRef,
    form: &dyn Form,
    lost: &mut u64,
) -> Result<(FieldRef, ArrayRef), ArrowError> {
    Ok(match column(values, form, lost)? {
        None => (Arc::clone(field), Arc::clone(values)),
        Some(values) => (of_values(field, &values), values),
    })
}

/// A field for other values, of which some may be null now.
fn of_values(field: &FieldRef, values: &ArrayRef) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(values.data_type().clone()).with_nullable(true))
}

fn column(values: &ArrayRef, form: &dyn Form, lost: &mut u64) -> Result<Option<ArrayRef>, ArrowError> {
    match values.data_type() {
        DataType::List(item) => of_lists(item, values.as_list::<i32>(), form, lost),
        DataType::LargeList(item) => of_lists(item, values.as_list::<i64>(), form, lost),
        DataType::Map(entry, sorted) => of_maps(entry, *sorted, values.as_map(), form, lost),
        DataType::Struct(fields) if !fields.is_empty() => {
            let records = values.as_struct();
            let parts = fields.iter().zip(records.columns());
            let parts: Vec<_> =
                parts.map(|(field, values)| part(field, values, form, lost)).collect::<Result<_, _>>()?;
            if parts.iter().zip(records.columns()).all(|((_, new), old)| Arc::ptr_eq(new, old)) {
                return Ok(None);
            }
            let (fields, columns): (Vec<FieldRef>, _) = parts.into_iter().unzip();
            Ok(Some(Arc::new(StructArray::try_new(fields.into(), columns, records.nulls().cloned())?)))
        }
        _ => {
            let new = form.values(values)?;
            if let Some(new) = &new {
                *lost += new.null_count().saturating_sub(values.null_count()) as u64;
            }
            Ok(new)
        }
    }
}

fn of_lists<O: OffsetSizeTrait>(
    item: &FieldRef,
    lists: &GenericListArray<O>,
    form: &dyn Form,
    lost: &mut u64,
) -> Result<Option<ArrayRef>, ArrowError> {
    let offsets = lists.offsets();
    let (first, last) = (offsets[0].as_usize(), offsets[lists.len()].as_usize());
    // What is before and behind them, of a longer column, is not theirs to count.
    let Some(items) = column(&lists.values().slice(first, last - first), form, lost)? else {
        return Ok(None);
    };
    let offsets = OffsetBuffer::from_lengths(offsets.lengths());
    let item = of_values(item, &items);
    Ok(Some(Arc::new(GenericListArray::<O>::try_new(item, offsets, items, lists.nulls().cloned())?)))
}

fn of_maps(
    entry: &FieldRef,
    sorted: bool,
    maps: &MapArray,
    form: &dyn Form,
    lost: &mut u64,
) -> Result<Option<ArrayRef>, ArrowError> {
    let offsets = maps.offsets();
    let (first, last) = (offsets[0].as_usize(), offsets[maps.len()].as_usize());
    let (keys, values) = (maps.keys().slice(first, last - first), maps.values().slice(first, last - first));
    let (new_keys, new_values) = (column(&keys, form, lost)?, column(&values, form, lost)?);
    let as_keys = form.keys(new_keys.as_ref().unwrap_or(&keys))?;
    let DataType::Struct(parts) = entry.data_type() else { return Ok(None) };
    let [key, value] = parts.as_ref() else { return Ok(None) };
    let Some(mut keys) = as_keys.or(new_keys).or_else(|| new_values.as_ref().map(|_| keys)) else {
        return Ok(None);
    };
    let value = new_values.as_ref().map_or_else(|| Arc::clone(value), |values| of_values(value, values));
    let mut values = new_values.unwrap_or(values);
    let mut lengths: Vec<usize> = offsets.lengths().collect();
    if keys.null_count() > 0 {
        // A key is never null.
        let known = BooleanArray::from_iter((0..keys.len()).map(|row| Some(keys.is_valid(row))));
        let mut at = 0;
        for length in &mut lengths {
            let end = at + *length;
            *length = (at..end).filter(|row| known.value(*row)).count();
            at = end;
        }
        (keys, values) = (filter(&keys, &known)?, filter(&values, &known)?);
    }
    let key = Arc::new(Field::clone(key).with_data_type(keys.data_type().clone()));
    let entries = StructArray::try_new([key, value].into_iter().collect(), vec![keys, values], None)?;
    let entry = Arc::new(Field::clone(entry).with_data_type(entries.data_type().clone()));
    let (offsets, nulls) = (OffsetBuffer::from_lengths(lengths), maps.nulls().cloned());
    Ok(Some(Arc::new(MapArray::try_new(entry, offsets, entries, nulls, sorted)?)))
}
