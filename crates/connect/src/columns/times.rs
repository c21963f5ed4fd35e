//! The time of each row, from whatever its time column holds.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Int64Array, make_array};
use arrow_cast::cast;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DECIMAL128_MAX_PRECISION, DataType, TimeUnit};
use skytide_timestream::{times, types};

/// So many letters of a text that is no time are shown.
const UNREAD_LETTERS: usize = 40;

/// Nanoseconds of a day.
pub(crate) const NANOS_A_DAY: i64 = 86_400_000_000_000;

/// Whether a column of this type can hold the time of rows.
pub(crate) fn is_time(data_type: &DataType) -> bool {
    types::is_number(data_type) || data_type.is_decimal() || types::is_text(data_type) || is_moment(data_type)
}

/// Whether values are moments or dates.
pub(crate) fn is_moment(data_type: &DataType) -> bool {
    nanos_counted(data_type).is_some()
}

/// How many nanoseconds a moment or a date counts by; none of other types.
pub(crate) fn nanos_counted(data_type: &DataType) -> Option<i64> {
    match data_type {
        DataType::Timestamp(unit, _) => Some(times::nanos_of(*unit)),
        DataType::Date64 => Some(times::nanos_of(TimeUnit::Millisecond)),
        DataType::Date32 => Some(NANOS_A_DAY),
        _ => None,
    }
}

/// Moments and dates as another type of those: a moment is the same in whatever zone, and of a larger unit
/// the one that it is in. Null where the type has none so far away.
pub(crate) fn moments(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let (Some(by), Some(to_by)) = (nanos_counted(values.data_type()), nanos_counted(to)) else {
        return Err(ArrowError::CastError(format!("{} and {to} are not both moments", values.data_type())));
    };
    if by == to_by {
        return renamed(values, to.clone());
    }
    let counts = match values.data_type() {
        DataType::Date32 => cast(&renamed(values, DataType::Int32)?, &DataType::Int64)?,
        _ => renamed(values, DataType::Int64)?,
    };
    let counts = counts.as_primitive::<Int64Type>();
    let counts: ArrayRef = Arc::new(if by > to_by {
        counts.unary_opt::<_, Int64Type>(|count| count.checked_mul(by / to_by))
    } else {
        counts.unary::<_, Int64Type>(|count| count.div_euclid(to_by / by))
    });
    match to {
        DataType::Date32 => renamed(&cast(&counts, &DataType::Int32)?, DataType::Date32),
        other => renamed(&counts, other.clone()),
    }
}

/// The same bits by the name of another type.
fn renamed(values: &ArrayRef, to: DataType) -> Result<ArrayRef, ArrowError> {
    Ok(make_array(values.to_data().into_builder().data_type(to).build()?))
}

/// UTC nanoseconds of each row: of moments and dates as they are, of numbers as so many units since 1970, of
/// text as it is read in a query. Null where there is none, or none that fits 64 bits.
pub(crate) fn nanos(values: &ArrayRef, unit: TimeUnit) -> Result<Int64Array, ArrowError> {
    let data_type = values.data_type();
    let to = |to: &DataType| cast(values, to);
    let per = times::nanos_of(unit);
    Ok(match data_type {
        other if is_moment(other) => {
            let moments = moments(values, &DataType::Timestamp(TimeUnit::Nanosecond, None))?;
            renamed(&moments, DataType::Int64)?.as_primitive::<Int64Type>().clone()
        }
        DataType::UInt64 => values
            .as_primitive::<UInt64Type>()
            .iter()
            .map(|count| i64::try_from(count?).ok()?.checked_mul(per))
            .collect(),
        other if other.is_integer() => {
            let counts = to(&DataType::Int64)?;
            counts.as_primitive::<Int64Type>().iter().map(|count| count?.checked_mul(per)).collect()
        }
        other if other.is_floating() => {
            let counts = to(&DataType::Float64)?;
            counts.as_primitive::<Float64Type>().iter().map(|count| scaled(count?, per)).collect()
        }
        &DataType::Decimal32(_, places)
        | &DataType::Decimal64(_, places)
        | &DataType::Decimal128(_, places)
        | &DataType::Decimal256(_, places) => {
            // More of them are beyond a nanosecond.
            let places = places.clamp(0, 18);
            let counts = to(&DataType::Decimal128(DECIMAL128_MAX_PRECISION, places))?;
            let one = 10_i128.pow(places.unsigned_abs().into());
            let nanos = |count: i128| i64::try_from(count.checked_mul(per.into())?.div_euclid(one)).ok();
            counts.as_primitive::<Decimal128Type>().iter().map(|count| nanos(count?)).collect()
        }
        other if types::is_text(other) => {
            let texts = to(&DataType::Utf8)?;
            texts.as_string::<i32>().iter().map(|text| times::parse_timestamp(text?)).collect()
        }
        _ => Int64Array::new_null(values.len()),
    })
}

/// The first value of which no time was made, as text, of a long one its begin; a null is none.
pub(crate) fn first_unread(values: &ArrayRef, times: &Int64Array) -> Option<String> {
    let row = (0..values.len()).find(|row| times.is_null(*row) && values.is_valid(*row))?;
    let options = FormatOptions::default();
    let text = ArrayFormatter::try_new(values.as_ref(), &options).ok()?.value(row).try_to_string().ok()?;
    Some(text.chars().take(UNREAD_LETTERS).collect())
}

/// A count of units as nanoseconds. The whole part is exact; of the fraction as much is kept as a float of
/// that size holds.
fn scaled(count: f64, per: i64) -> Option<i64> {
    if !count.is_finite() || count.abs() > 9.2e18 {
        return None;
    }
    let whole = (count.floor() as i64).checked_mul(per)?;
    whole.checked_add(((count - count.floor()) * per as f64).round() as i64)
}

#[cfg(test)]
mod tests {
    use arrow_array::{
        Date64Array, Decimal128Array, Float64Array, StringArray, TimestampMillisecondArray, UInt64Array,
    };

    use super::*;

    #[test]
    fn times_are_read_from_every_kind_of_column() {
        let second = 1_000_000_000;
        let read = |values: ArrayRef, unit| nanos(&values, unit).unwrap().iter().collect::<Vec<_>>();
        assert_eq!(
            read(Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MAX)])), TimeUnit::Second),
            [Some(second), None, None]
        );
        assert_eq!(
            read(
                Arc::new(Float64Array::from(vec![1_700_000_000.25, -0.5, f64::NAN, 1e300])),
                TimeUnit::Second
            ),
            [Some(1_700_000_000_250_000_000), Some(-second / 2), None, None]
        );
        let decimals =
            Decimal128Array::from(vec![1_250_000_000, -5]).with_precision_and_scale(38, 9).unwrap();
        assert_eq!(read(Arc::new(decimals), TimeUnit::Second), [Some(1_250_000_000), Some(-5)]);
        assert_eq!(
            read(Arc::new(UInt64Array::from(vec![5, u64::MAX])), TimeUnit::Nanosecond),
            [Some(5), None]
        );
        let moments =
            TimestampMillisecondArray::from(vec![Some(2), Some(i64::MAX)]).with_timezone("Europe/Berlin");
        assert_eq!(read(Arc::new(moments), TimeUnit::Second), [Some(2_000_000), None]);
        // The last day of 9999 is beyond 64 bits of nanoseconds.
        let days = Date64Array::from(vec![Some(86_400_000), Some(253_402_214_400_000)]);
        assert_eq!(read(Arc::new(days), TimeUnit::Second), [Some(86_400 * second), None]);
        assert_eq!(
            read(Arc::new(StringArray::from(vec!["1970-01-01T00:00:01Z", "soon"])), TimeUnit::Second),
            [Some(second), None]
        );
    }
}
