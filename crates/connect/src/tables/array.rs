//! What an array holds at a row, as a value.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type,
    IntervalMonthDayNanoType, UInt64Type,
};
use arrow_array::{Array, downcast_primitive_array};
use arrow_buffer::ArrowNativeType as _;
use arrow_schema::{DataType, IntervalUnit};
use skytide_timestream::times::nanos_of;

use super::value::Value;
use crate::columns::times::nanos_counted;

impl<'a> Value<'a> {
    /// What an array holds at a row. Text and bytes are in the engine's one form, as are lists; of those in
    /// others, and of moments and lengths of time that are no nanoseconds of 64 bits, nothing is told.
    pub(crate) fn of_array(values: &'a dyn Array, row: usize) -> Self {
        if values.is_null(row) {
            return Self::Null;
        }
        let nanos = |by: i64, of: fn(i64) -> Self| {
            count(values, row).and_then(|count| count.checked_mul(by)).map_or(Self::Other, of)
        };
        let digits = |digits: String| Self::Decimal(Cow::Owned(digits));
        let data_type = values.data_type();
        match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool(values.as_boolean().value(row)),
            DataType::UInt64 => {
                let value = values.as_primitive::<UInt64Type>().value(row);
                i64::try_from(value).map_or(Self::UInt(value), Self::Int)
            }
            whole if whole.is_integer() => count(values, row).map_or(Self::Other, Self::Int),
            DataType::Float32 => Self::Float(values.as_primitive::<Float32Type>().value(row).into()),
            DataType::Float64 => Self::Float(values.as_primitive::<Float64Type>().value(row)),
            DataType::Decimal32(..) => digits(values.as_primitive::<Decimal32Type>().value_as_string(row)),
            DataType::Decimal64(..) => digits(values.as_primitive::<Decimal64Type>().value_as_string(row)),
            DataType::Decimal128(..) => digits(values.as_primitive::<Decimal128Type>().value_as_string(row)),
            DataType::Decimal256(..) => digits(values.as_primitive::<Decimal256Type>().value_as_string(row)),
            DataType::Utf8 => Self::Text(Cow::Borrowed(values.as_string::<i32>().value(row))),
            DataType::Binary => Self::Bytes(Cow::Borrowed(values.as_binary::<i32>().value(row))),
            DataType::FixedSizeBinary(_) => {
                Self::Bytes(Cow::Borrowed(values.as_fixed_size_binary().value(row)))
            }
            DataType::Duration(unit) => nanos(nanos_of(*unit), Self::Duration),
            DataType::Time32(unit) | DataType::Time64(unit) => nanos(nanos_of(*unit), Self::TimeOfDay),
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let interval = values.as_primitive::<IntervalMonthDayNanoType>().value(row);
                let parts = [interval.months.into(), interval.days.into(), interval.nanoseconds];
                Self::List(parts.map(Self::Int).to_vec())
            }
            DataType::List(_) => {
                let lists = values.as_list::<i32>();
                Self::List(
                    within(lists.offsets(), row).map(|item| Self::of_array(lists.values(), item)).collect(),
                )
            }
            DataType::Map(..) => {
                let maps = values.as_map();
                let pair = |entry| {
                    Self::List(vec![Self::of_array(maps.keys(), entry), Self::of_array(maps.values(), entry)])
                };
                Self::List(within(maps.offsets(), row).map(pair).collect())
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().zip(values.as_struct().columns());
                let field = |(field, column): (&'a arrow_schema::FieldRef, &'a arrow_array::ArrayRef)| {
                    (Cow::Borrowed(field.name().as_str()), Self::of_array(column, row))
                };
                Self::Record(columns.map(field).collect())
            }
            moment => match nanos_counted(moment) {
                Some(by) => nanos(by, Self::Time),
                None => Self::Other,
            },
        }
    }
}

/// A whole number of whatever width, and what a moment, a date or a length of time counts.
fn count(values: &dyn Array, row: usize) -> Option<i64> {
    downcast_primitive_array!(
        values => values.value(row).to_i64(),
        _ => None,
    )
}

/// Where the items of a row stand.
fn within(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let at = |row: usize| offsets.get(row).map_or(0, |offset| offset.as_usize());
    at(row)..at(row + 1)
}
