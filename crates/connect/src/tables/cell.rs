//! A value as what a cell of a column holds, or none where it does not fit.

use std::borrow::Cow;

use arrow_array::types::{Decimal128Type, DecimalType, IntervalMonthDayNano, Time64NanosecondType};
use arrow_cast::parse::Parser as _;
use arrow_schema::{DECIMAL128_MAX_PRECISION, DataType};
use skytide_timestream::times::{self, nanos_of};

use super::digits;
use super::value::Value;
use crate::columns::times::NANOS_A_DAY;

/// What becomes of a number with a fraction in a column of whole ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fraction {
    /// It does not fit (SEMANTICS 2.6): so of what is written as text.
    IsNone,
    /// It is cut off, as a cast does: so of rows that a program pushes, as Kaskada has it.
    IsCutOff,
}

impl Fraction {
    /// Whether a number is taken into a column of whole ones.
    fn fits(self, number: f64) -> bool {
        self == Self::IsCutOff || number.fract() == 0.0
    }
}

/// A value as a whole number of 64 bits without a sign.
pub(super) fn unsigned(value: &Value<'_>, fraction: Fraction) -> Option<u64> {
    match value {
        Value::UInt(value) => Some(*value),
        other => whole(other, &DataType::Int64, fraction).and_then(|value| u64::try_from(value).ok()),
    }
}

/// A value as a float.
pub(super) fn float(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Float(value) => Some(*value),
        Value::Int(value) => Some(*value as f64),
        Value::UInt(value) => Some(*value as f64),
        Value::Decimal(digits) => digits.parse().ok(),
        _ => None,
    }
}

/// A value as a text.
pub(super) fn text<'a>(value: &'a Value<'_>) -> Option<&'a str> {
    match value {
        Value::Text(text) | Value::Decimal(text) => Some(text.as_ref()),
        _ => None,
    }
}

/// A value as bytes, of a type that may have so many and no others.
pub(super) fn bytes<'a>(value: &'a Value<'_>, data_type: &DataType) -> Option<&'a [u8]> {
    let bytes = match value {
        Value::Bytes(bytes) => bytes.as_ref(),
        Value::Text(text) => text.as_bytes(),
        _ => return None,
    };
    match data_type {
        DataType::FixedSizeBinary(size) if usize::try_from(*size) != Ok(bytes.len()) => None,
        _ => Some(bytes),
    }
}

/// A number as the unscaled one that a column of decimals holds; places that it has no room for are cut off,
/// but for fractions where it is of whole numbers.
pub(super) fn unscaled<T: DecimalType>(
    value: &Value<'_>,
    precision: u8,
    scale: i8,
    fraction: Fraction,
) -> Option<T::Native> {
    let text = match value {
        Value::Decimal(digits) | Value::Text(digits) => Cow::Borrowed(digits.as_ref()),
        Value::Int(value) => Cow::Owned(value.to_string()),
        Value::UInt(value) => Cow::Owned(value.to_string()),
        Value::Float(value) if scale > 0 || fraction.fits(*value) => Cow::Owned(value.to_string()),
        _ => return None,
    };
    digits::unscaled::<T>(&text, precision, scale)
}

/// A value as the 64 bits that carry a whole number, a moment or a length of time of this type.
pub(super) fn whole(value: &Value<'_>, data_type: &DataType, fraction: Fraction) -> Option<i64> {
    let number = match value {
        Value::Int(value) => Some(*value),
        // What is beyond 2^53 is not exact any more.
        Value::Float(value) if value.abs() <= 9_007_199_254_740_992.0 && fraction.fits(*value) => {
            Some(value.trunc() as i64)
        }
        Value::Decimal(_) => unscaled::<Decimal128Type>(value, DECIMAL128_MAX_PRECISION, 0, fraction)
            .and_then(|number| i64::try_from(number).ok()),
        _ => None,
    };
    let range = |min: i64, max: i64| number.filter(|number| (min..=max).contains(number));
    match data_type {
        DataType::Int8 => range(i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => range(i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => range(i32::MIN.into(), i32::MAX.into()),
        DataType::UInt8 => range(0, u8::MAX.into()),
        DataType::UInt16 => range(0, u16::MAX.into()),
        DataType::UInt32 => range(0, u32::MAX.into()),
        DataType::Timestamp(unit, _) => match value {
            Value::Time(nanos) => Some(nanos.div_euclid(nanos_of(*unit))),
            Value::Text(text) => Some(times::parse_timestamp(text)?.div_euclid(nanos_of(*unit))),
            _ => number,
        },
        DataType::Duration(unit) => match value {
            Value::Duration(nanos) => Some(nanos / nanos_of(*unit)),
            Value::Text(text) => Some(times::parse_duration(text)? / nanos_of(*unit)),
            _ => number,
        },
        DataType::Date32 => match value {
            Value::Time(nanos) => Some(nanos.div_euclid(NANOS_A_DAY)),
            Value::Text(text) => Some(times::parse_timestamp(text)?.div_euclid(NANOS_A_DAY)),
            _ => range(i32::MIN.into(), i32::MAX.into()),
        },
        DataType::Date64 => match value {
            Value::Time(nanos) => Some(nanos.div_euclid(1_000_000)),
            Value::Text(text) => Some(times::parse_timestamp(text)?.div_euclid(1_000_000)),
            _ => number,
        },
        DataType::Time32(unit) | DataType::Time64(unit) => {
            let most = NANOS_A_DAY / nanos_of(*unit);
            let units = match value {
                Value::TimeOfDay(nanos) => Some(nanos.div_euclid(nanos_of(*unit))),
                Value::Text(text) => Some(time_of_day(text)?.div_euclid(nanos_of(*unit))),
                _ => number,
            };
            units.filter(|units| (0..most).contains(units))
        }
        _ => number,
    }
}

/// Nanoseconds of a time of day as `09:30` or `09:30:15.25`.
fn time_of_day(text: &str) -> Option<i64> {
    text.contains(':').then(|| Time64NanosecondType::parse(text))?
}

/// Months, days and nanoseconds, as a list of the three.
pub(super) fn interval(value: &Value<'_>) -> Option<IntervalMonthDayNano> {
    let Value::List(parts) = value else { return None };
    let [Value::Int(months), Value::Int(days), Value::Int(nanos)] = parts.as_slice() else { return None };
    Some(IntervalMonthDayNano::new(i32::try_from(*months).ok()?, i32::try_from(*days).ok()?, *nanos))
}

/// Gives the entries of a map: the fields of a record, pairs, or records of a `key` and a `value`; none for
/// an item that is none of these. False if it is no map at all.
pub(super) fn entries(value: &Value<'_>, mut give: impl FnMut(Option<(&Value<'_>, &Value<'_>)>)) -> bool {
    match value {
        Value::Record(fields) => {
            fields.iter().for_each(|(name, value)| give(Some((&Value::Text(name.as_ref().into()), value))));
        }
        Value::List(items) => items.iter().for_each(|item| match item {
            Value::List(pair) if pair.len() == 2 => give(Some((&pair[0], &pair[1]))),
            Value::Record(_) => give(Some((item.field("key"), item.field("value")))),
            _ => give(None),
        }),
        _ => return false,
    }
    true
}
