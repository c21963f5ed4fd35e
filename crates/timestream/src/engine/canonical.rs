//! Values as keys: what is one key has one form, of all that are equal.
//!
//! Only floats have several forms of one value: `-0.0` is `0.0`, and every NaN is one; in records, lists and
//! maps, too.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray,
};
use arrow_schema::{ArrowError, DataType};

/// The keys that values are; values without floats are not copied.
///
/// # Errors
/// Records or lists whose parts do not fit together.
pub fn canonical(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match values.data_type() {
        DataType::Float32 => {
            let form = |value: f32| if value.is_nan() { f32::NAN } else { value + 0.0 };
            Arc::new(values.as_primitive::<Float32Type>().unary::<_, Float32Type>(form))
        }
        DataType::Float64 => {
            let form = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 };
            Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(form))
        }
        nested if !has_floats(nested) => Arc::clone(values),
        DataType::Struct(fields) => {
            let records = values.as_struct();
            let columns = records.columns().iter().map(canonical).collect::<Result<_, _>>()?;
            let nulls = records.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, records.len())?)
        }
        DataType::List(_) => of_lists(values.as_list::<i32>())?,
        DataType::LargeList(_) => of_lists(values.as_list::<i64>())?,
        DataType::FixedSizeList(item, size) => {
            let lists = values.as_fixed_size_list();
            let items = canonical(lists.values())?;
            Arc::new(FixedSizeListArray::try_new(Arc::clone(item), *size, items, lists.nulls().cloned())?)
        }
        DataType::Map(entry, is_sorted) => {
            let maps = values.as_map();
            let entries = canonical(&(Arc::new(maps.entries().clone()) as ArrayRef))?;
            let (offsets, nulls) = (maps.offsets().clone(), maps.nulls().cloned());
            let entries = entries.as_struct().clone();
            Arc::new(MapArray::try_new(Arc::clone(entry), offsets, entries, nulls, *is_sorted)?)
        }
        _ => Arc::clone(values),
    })
}

fn of_lists<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Result<ArrayRef, ArrowError> {
    let (DataType::List(item) | DataType::LargeList(item)) = lists.data_type() else {
        return Ok(Arc::new(lists.clone()));
    };
    let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
    let items = canonical(lists.values())?;
    Ok(Arc::new(GenericListArray::try_new(Arc::clone(item), offsets, items, nulls)?))
}

/// Whether values of a type are floats, or hold some.
fn has_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float32 | DataType::Float64 => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_floats(field.data_type())),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            has_floats(item.data_type())
        }
        DataType::Map(entry, _) => has_floats(entry.data_type()),
        _ => false,
    }
}
