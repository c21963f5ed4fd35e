//! Columns in the types that the engine takes: one form of text and bytes, everything nullable, what does not fit null and counted.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, ArrayRef, make_array, new_null_array};
use arrow_cast::{CastOptions, can_cast_types, cast, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, TimeUnit};
use skytide_timestream::types;

use super::times;

/// A field as the engine has it: text, bytes and lists in one form each, all of it nullable.
pub(crate) fn plain(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Dictionary(_, values) => {
            plain(&Field::new("", values.as_ref().clone(), true)).data_type().clone()
        }
        DataType::RunEndEncoded(_, values) => plain(values).data_type().clone(),
        text if types::is_text(text) => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Float16 => DataType::Float32,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => types::list(plain(item).data_type().clone()),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| plain(field)).collect()),
        DataType::Map(entry, sorted) => match entry.data_type() {
            DataType::Struct(parts) => match parts.as_ref() {
                // Each format names the parts of its entries as it likes.
                [key, value] => {
                    let part = |part: &FieldRef| plain(part).data_type().clone();
                    match types::map(part(key), part(value)) {
                        DataType::Map(entry, _) => DataType::Map(entry, *sorted),
                        other => other,
                    }
                }
                _ => field.data_type().clone(),
            },
            _ => field.data_type().clone(),
        },
        other => other.clone(),
    };
    Field::new(field.name(), data_type, true)
}

/// Values in a column's type, and how many of them did not fit and are null.
pub(crate) fn fitted(values: &ArrayRef, to: &DataType) -> Result<(ArrayRef, u64), ArrowError> {
    if values.data_type() == to {
        return Ok((Arc::clone(values), 0));
    }
    let before = values.logical_null_count();
    let is_told = types::is_text(values.data_type())
        || matches!(values.data_type(), DataType::Date32 | DataType::Date64);
    if let (true, DataType::Timestamp(unit, _)) = (is_told, to) {
        let moments = cast(&moments(values)?, &DataType::Timestamp(*unit, None))?;
        let lost = moments.null_count().saturating_sub(before);
        let zoned = moments.to_data().into_builder().data_type(to.clone()).build()?;
        return Ok((make_array(zoned), lost as u64));
    }
    if !can_cast_types(values.data_type(), to) {
        return Ok((new_null_array(to, values.len()), (values.len() - before) as u64));
    }
    let fitted = cast_with_options(values, to, &CastOptions { safe: true, ..CastOptions::default() })?;
    let lost = fitted.logical_null_count().saturating_sub(before);
    Ok((fitted, lost as u64))
}

/// The moments that texts tell, as they are read in a query, and where dates begin: nanoseconds without a zone.
fn moments(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let nanos = times::nanos(values, TimeUnit::Nanosecond)?;
    Ok(Arc::new(nanos.reinterpret_cast::<TimestampNanosecondType>()))
}

/// Numbers that order as the values do; null first.
pub(crate) fn ordinals(values: &ArrayRef) -> Result<Vec<u64>, ArrowError> {
    if values.data_type().is_unsigned_integer() {
        let wide = fitted(values, &DataType::UInt64)?.0;
        return Ok(wide.as_primitive::<UInt64Type>().iter().map(Option::unwrap_or_default).collect());
    }
    let wide = fitted(values, &DataType::Int64)?.0;
    let ordered = |value: Option<i64>| value.map_or(0, |value| value.cast_unsigned() ^ (1 << 63));
    Ok(wide.as_primitive::<Int64Type>().iter().map(ordered).collect())
}
