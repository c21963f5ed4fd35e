//! A value inside a row as a column: the way that a plan's scan names it by.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StructArray, UInt32Array, make_array};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType, Fields};
use arrow_select::take::take;
use skytide_timestream::plan::PathStep;

use super::lengths;

/// The values at the end of a path that starts at a row.
pub(crate) fn at(
    fields: &Fields,
    columns: &[ArrayRef],
    path: &[PathStep],
    len: usize,
) -> Result<ArrayRef, ArrowError> {
    let Some((PathStep::Field(name), rest)) = path.split_first() else {
        let row = StructArray::try_new_with_length(fields.clone(), columns.to_vec(), None, len)?;
        return Ok(Arc::new(row));
    };
    let found = fields.find(name).and_then(|(at, _)| columns.get(at));
    let mut values = Arc::clone(found.ok_or_else(|| no_such(name))?);
    for step in rest {
        values = match step {
            PathStep::Field(name) => field(&values, name)?,
            PathStep::Index(index) => item(&values, *index)?,
            PathStep::Length => lengths(&values)?,
        };
    }
    Ok(values)
}

fn no_such(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("there is no field {name:?}"))
}

/// A field of structs; null where the struct is.
pub(super) fn field(values: &ArrayRef, name: &str) -> Result<ArrayRef, ArrowError> {
    let structs = values.as_struct_opt().ok_or_else(|| no_such(name))?;
    let column = structs.column_by_name(name).ok_or_else(|| no_such(name))?;
    if structs.null_count() == 0 || matches!(column.data_type(), DataType::Null) {
        return Ok(Arc::clone(column));
    }
    let nulls = NullBuffer::union(structs.nulls(), column.nulls());
    Ok(make_array(column.to_data().into_builder().nulls(nulls).build()?))
}

/// An item of lists, from 0; null where there is none.
fn item(values: &ArrayRef, index: usize) -> Result<ArrayRef, ArrowError> {
    let (items, places): (&ArrayRef, UInt32Array) = match values.data_type() {
        DataType::List(_) => {
            let lists = values.as_list::<i32>();
            let offsets = lists.offsets();
            let place = |row: usize| {
                let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
                (lists.is_valid(row) && index < end - start).then(|| (start + index) as u32)
            };
            (lists.values(), (0..lists.len()).map(place).collect())
        }
        DataType::LargeList(_) => {
            let lists = values.as_list::<i64>();
            let offsets = lists.offsets();
            let place = |row: usize| {
                let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
                let is_there = lists.is_valid(row) && index < end - start;
                is_there.then(|| u32::try_from(start + index).ok()).flatten()
            };
            (lists.values(), (0..lists.len()).map(place).collect())
        }
        DataType::FixedSizeList(_, size) => {
            let lists = values.as_fixed_size_list();
            let size = usize::try_from(*size).unwrap_or(0);
            let place =
                |row: usize| (lists.is_valid(row) && index < size).then(|| (row * size + index) as u32);
            (lists.values(), (0..lists.len()).map(place).collect())
        }
        other => return Err(ArrowError::SchemaError(format!("{other} has no items"))),
    };
    take(items, &places, None)
}
