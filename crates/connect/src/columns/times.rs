//! The time of each row, from whatever its time column holds.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use skytide_timestream::{times, types};

/// Whether a column of this type can hold the time of rows.
pub(crate) fn is_time(data_type: &DataType) -> bool {
    types::is_number(data_type)
        || types::is_text(data_type)
        || matches!(data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
}

/// UTC nanoseconds of each row: of moments and dates as they are, of numbers as so many units since 1970, of text as it is read
/// in a query. Null where there is none, or none that fits 64 bits.
pub(crate) fn nanos(values: &ArrayRef, unit: TimeUnit) -> Result<Int64Array, ArrowError> {
    let data_type = values.data_type();
    let cast = |values: &ArrayRef, to: &DataType| {
        cast_with_options(values, to, &CastOptions { safe: true, ..CastOptions::default() })
    };
    let to = |to: &DataType| cast(values, to);
    let per = times::nanos_of(unit);
    Ok(match data_type {
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
            // The same counts by another name, before they are cast. A moment is the same in whatever zone: none is looked up. And the
            // cast of a date in milliseconds does not see what is beyond nanoseconds.
            let plain = match data_type {
                DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, None),
                DataType::Date64 => DataType::Timestamp(TimeUnit::Millisecond, None),
                other => other.clone(),
            };
            let data = values.to_data().into_builder().data_type(plain).build()?;
            let to = DataType::Timestamp(TimeUnit::Nanosecond, None);
            let moments = cast(&arrow_array::make_array(data), &to)?;
            let bits = moments.to_data().into_builder().data_type(DataType::Int64).build()?;
            arrow_array::make_array(bits).as_primitive::<Int64Type>().clone()
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
        other if types::is_text(other) => {
            let texts = to(&DataType::Utf8)?;
            texts.as_string::<i32>().iter().map(|text| times::parse_timestamp(text?)).collect()
        }
        _ => Int64Array::new_null(values.len()),
    })
}

/// A count of units as nanoseconds. The whole part is exact; of the fraction as much is kept as a float of that size holds.
fn scaled(count: f64, per: i64) -> Option<i64> {
    if !count.is_finite() || count.abs() > 9.2e18 {
        return None;
    }
    let whole = (count.floor() as i64).checked_mul(per)?;
    whole.checked_add(((count - count.floor()) * per as f64).round() as i64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Date64Array, Float64Array, StringArray, TimestampMillisecondArray, UInt64Array};

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
