//! Values in another type, and constants.
//!
//! Moments and lengths of time are read and written as [`times`] has it; all else by Arrow's kernel. A moment
//! is its count of nanoseconds in UTC whatever zone its type names, so the kernel sees it without one.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DurationNanosecondArray, Float64Array, Int64Array, ListArray, MapArray,
    NullArray, StringArray, TimestampNanosecondArray, UInt64Array, new_empty_array, new_null_array,
};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::super::{Call, Column, EvalError};
use super::named;
use crate::engine::array::{carried, retyped};
use crate::scalar::Scalar;
use crate::{times, types};

/// The argument in the call's type; what does not fit is null and counted (SEMANTICS 2.6). Floats lose their
/// fraction.
///
/// # Errors
/// No value of the one type is ever one of the other.
pub fn cast(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || {
        let values = call.array(0)?;
        if values.data_type() == call.data_type {
            return Ok(values);
        }
        let result = converted(&values, call.data_type)?;
        let lost = nulls(&result).saturating_sub(nulls(&values));
        call.warnings.casts.set(call.warnings.casts.get() + lost as u64);
        Ok(result)
    };
    named("cast", run())
}

/// How many values are null, items of lists among them.
fn nulls(values: &dyn Array) -> usize {
    let items = values.as_list_opt::<i32>().into_iter().flat_map(ListArray::iter).flatten();
    values.logical_null_count() + items.map(|items| nulls(&items)).sum::<usize>()
}

/// Whether values of a type are ever values of another: whether [`cast()`] takes them, which a column of none
/// of them tells. What Arrow says by types alone holds more than it does.
#[must_use]
pub fn can_cast(from: &DataType, to: &DataType) -> bool {
    converted(&new_empty_array(from), to).is_ok()
}

/// A constant as an array of one value.
///
/// # Errors
/// It cannot be of the type.
pub fn literal(scalar: &Scalar, data_type: &DataType) -> Result<ArrayRef, EvalError> {
    let value: ArrayRef = match scalar {
        Scalar::Null if data_type.is_null() => Arc::new(NullArray::new(1)),
        Scalar::Null => return Ok(new_null_array(data_type, 1)),
        Scalar::Bool(value) => Arc::new(BooleanArray::from(vec![*value])),
        Scalar::Int(value) => Arc::new(Int64Array::from(vec![*value])),
        Scalar::UInt(value) => Arc::new(UInt64Array::from(vec![*value])),
        Scalar::Float(value) => Arc::new(Float64Array::from(vec![*value])),
        Scalar::Text(value) => Arc::new(StringArray::from(vec![value.as_str()])),
        Scalar::Duration(value) => Arc::new(DurationNanosecondArray::from(vec![*value])),
        Scalar::Timestamp(value) => {
            Arc::new(TimestampNanosecondArray::from(vec![*value]).with_timezone("UTC"))
        }
    };
    let fits = |result: ArrayRef| {
        if result.is_valid(0) {
            return Ok(result);
        }
        Err(ArrowError::CastError(format!("{scalar:?} is not of type {data_type}")))
    };
    converted(&value, data_type).and_then(fits).map_err(|source| EvalError { function: "literal", source })
}

/// The values in another type; null where one does not fit.
pub(super) fn converted(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let kernel = |values: &ArrayRef, to: &DataType| {
        cast_with_options(values, to, &CastOptions { safe: true, ..CastOptions::default() })
    };
    let from = values.data_type();
    let nanos = |parse: fn(&str) -> Option<i64>| -> Result<Int64Array, ArrowError> {
        let texts = kernel(values, &DataType::Utf8)?;
        Ok(texts.as_string::<i32>().iter().map(|text| text.and_then(parse)).collect())
    };
    let texts = |unit: TimeUnit, text: fn(i128) -> Option<String>| -> Result<ArrayRef, ArrowError> {
        let nanos = |count: i64| i128::from(count) * i128::from(times::nanos_of(unit));
        let counts = carried::<Int64Type>(values)?;
        let texts: StringArray = counts.iter().map(|count| text(nanos(count?))).collect();
        kernel(&(Arc::new(texts) as ArrayRef), to)
    };
    match (from, to) {
        _ if from == to => Ok(Arc::clone(values)),
        (_, DataType::Timestamp(unit, zone)) if types::is_text(from) => {
            let nanos = retyped(nanos(times::parse_timestamp)?, &types::timestamp())?;
            converted(&nanos, &DataType::Timestamp(*unit, zone.clone()))
        }
        (_, DataType::Duration(_)) if types::is_text(from) => {
            kernel(&retyped(nanos(times::parse_duration)?, &types::duration())?, to)
        }
        (DataType::Timestamp(unit, _), _) if types::is_text(to) => texts(*unit, times::far_timestamp_text),
        (DataType::Duration(unit), _) if types::is_text(to) => texts(*unit, times::far_duration_text),
        // A number of a moment or a length of time is that of its nanoseconds, in whichever unit it is kept.
        (DataType::Timestamp(unit, _), _) if to.is_numeric() && *unit != TimeUnit::Nanosecond => {
            converted(&converted(values, &types::timestamp())?, to)
        }
        (DataType::Duration(unit), _) if to.is_numeric() && *unit != TimeUnit::Nanosecond => {
            converted(&converted(values, &types::duration())?, to)
        }
        // That of a date is of its days since 1970, that of a time of day of its nanoseconds since midnight.
        (DataType::Date32 | DataType::Date64, _) if to.is_numeric() => {
            kernel(&(Arc::new(days(values)?) as ArrayRef), to)
        }
        (DataType::Time32(_), _) if to.is_numeric() => {
            converted(&kernel(values, &DataType::Time64(TimeUnit::Nanosecond))?, to)
        }
        (DataType::Time64(unit), _) if to.is_numeric() => {
            let per = times::nanos_of(*unit);
            let nanos = carried::<Int64Type>(values)?.unary_opt::<_, Int64Type>(|time| time.checked_mul(per));
            kernel(&(Arc::new(nanos) as ArrayRef), to)
        }
        (DataType::Date64, _) if types::is_text(to) => {
            let days = days(values)?.unary_opt::<_, Date32Type>(|day| i32::try_from(day).ok());
            kernel(&(Arc::new(days) as ArrayRef), to)
        }
        // The kernel does not see what is beyond the other unit.
        (DataType::Date64, DataType::Timestamp(..)) => {
            let midnight = DataType::Timestamp(TimeUnit::Millisecond, None);
            converted(&retyped(carried::<Int64Type>(values)?, &midnight)?, to)
        }
        (DataType::Timestamp(unit, Some(_)), _) => {
            let plain = retyped(carried::<Int64Type>(values)?, &DataType::Timestamp(*unit, None))?;
            converted(&plain, to)
        }
        (_, DataType::Timestamp(unit, Some(_))) => {
            let plain = kernel(values, &DataType::Timestamp(*unit, None))?;
            retyped(carried::<Int64Type>(&plain)?, to)
        }
        // The digits are read, as those of a text: the kernel divides, which does not always give the nearest.
        (_, DataType::Float64) if from.is_decimal() && !divides_exactly(from) => {
            kernel(&kernel(values, &DataType::Utf8)?, to)
        }
        (_, DataType::Float32) if from.is_decimal() => {
            let floats = kernel(&kernel(values, &DataType::Utf8)?, to)?;
            let finite = |value: f32| value.is_finite().then_some(value);
            Ok(Arc::new(floats.as_primitive::<Float32Type>().unary_opt::<_, Float32Type>(finite)))
        }
        (DataType::Float64, DataType::Float32) => {
            // The kernel makes what is too large infinite.
            let narrow = |value: f64| {
                let narrowed = value as f32;
                (narrowed.is_finite() || !value.is_finite()).then_some(narrowed)
            };
            Ok(Arc::new(values.as_primitive::<Float64Type>().unary_opt::<_, Float32Type>(narrow)))
        }
        (DataType::Map(from, _), DataType::Map(entry, is_sorted)) if from == entry => {
            let (_, offsets, entries, nulls, _) = values.as_map().clone().into_parts();
            Ok(Arc::new(MapArray::try_new(Arc::clone(entry), offsets, entries, nulls, *is_sorted)?))
        }
        (DataType::List(_), DataType::List(item)) => {
            let (_, offsets, items, nulls) = values.as_list::<i32>().clone().into_parts();
            let items = converted(&items, item.data_type())?;
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, nulls)?))
        }
        _ => kernel(values, to),
    }
}

/// Whether a decimal is a quotient of two whole numbers that are floats themselves, of 53 bits and a power of
/// ten: then it is the nearest float.
fn divides_exactly(decimal: &DataType) -> bool {
    matches!(
        decimal,
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale)
        | DataType::Decimal256(digits, scale)
            if *digits <= 15 && (0..=22).contains(scale)
    )
}

/// The days since 1970 of dates, in whichever unit they are kept.
fn days(dates: &ArrayRef) -> Result<Int64Array, ArrowError> {
    const MILLIS: i64 = 86_400_000;
    if *dates.data_type() == DataType::Date64 {
        return Ok(carried::<Int64Type>(dates)?.unary(|millis| millis.div_euclid(MILLIS)));
    }
    Ok(carried::<Int32Type>(dates)?.unary(i64::from))
}
