//! The aggregations by name: each makes the state for a type of input, plain vectors by key number. The registry of
//! [functions](crate::functions) names them.
//!
//! All skip nulls and hold their value at null points (SEMANTICS 4.2).

use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_schema::DataType;

use super::aggregate::Aggregate;
use super::collect::Collect;
use super::count::{Count, Counted};
use super::error::EngineError;
use super::kept::Kept;
use super::mean::Mean;
use super::queues::Lag;
use super::slots::{Keep, Slots};
use super::spread::Spread;
use super::sum::Sum;
use super::whole::Whole;
use crate::scalar::Scalar;

/// `count`: how many points were not null, as i64. Never null from a key's first point on.
///
/// # Errors
/// None: every type can be counted.
pub(crate) fn count(_: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    Ok(Box::new(Count::new(Counted::NotNull)))
}

/// `count_if`: how many points were true, as i64. Never null from a key's first point on.
///
/// # Errors
/// The input is not boolean.
pub(crate) fn count_if(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    match input {
        DataType::Boolean => Ok(Box::new(Count::new(Counted::True))),
        other => Err(EngineError::mismatch("count_if", "bool", other)),
    }
}

/// `sum`: signed ints as i64, unsigned as u64, floats as f64, in the order of the points. After an overflow
/// of ints null.
///
/// # Errors
/// The input is not a number.
pub(crate) fn sum(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    match input {
        _ if input.is_signed_integer() => Ok(Box::new(Sum::<Int64Type>::default())),
        _ if input.is_unsigned_integer() => Ok(Box::new(Sum::<UInt64Type>::default())),
        _ if input.is_floating() => Ok(Box::new(Sum::<Float64Type>::default())),
        _ => Err(EngineError::mismatch("sum", "a number", input)),
    }
}

/// `mean`: the sum as f64, in the order of the points, divided by the count.
///
/// # Errors
/// The input is not a number.
pub(crate) fn mean(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    let whole = match input {
        _ if input.is_signed_integer() => Some(Whole::Signed),
        _ if input.is_unsigned_integer() => Some(Whole::Unsigned),
        _ if input.is_floating() => None,
        _ => return Err(EngineError::mismatch("mean", "a number", input)),
    };
    Ok(Box::new(Mean::of(whole)))
}

/// `variance`: of the population, by Welford's method as f64 in the order of the points; null below two values.
///
/// # Errors
/// The input is not a number.
pub(crate) fn variance(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    spread(input, "variance", |variance| variance)
}

/// `stddev`: the square root of the variance.
///
/// # Errors
/// The input is not a number.
pub(crate) fn stddev(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    spread(input, "stddev", f64::sqrt)
}

fn spread(
    input: &DataType,
    what: &'static str,
    shown: fn(f64) -> f64,
) -> Result<Box<dyn Aggregate>, EngineError> {
    if input.is_integer() || input.is_floating() {
        return Ok(Box::new(Spread::new(what, shown)));
    }
    Err(EngineError::mismatch(what, "a number", input))
}

/// `min`: the least value. Numbers come before NaN; of equal values (-0.0 and 0.0) the first is kept. Text
/// goes by bytes.
///
/// # Errors
/// Values of the type cannot be kept.
pub(crate) fn min(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    kept(input, Keep::Min)
}

/// `max`: the greatest value. Numbers come before NaN; of equal values (-0.0 and 0.0) the first is kept. Text
/// goes by bytes.
///
/// # Errors
/// Values of the type cannot be kept.
pub(crate) fn max(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    kept(input, Keep::Max)
}

/// `first`: the first value that was not null.
///
/// # Errors
/// Values of the type cannot be kept.
pub(crate) fn first(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    kept(input, Keep::First)
}

/// `last`: the newest value that was not null.
///
/// # Errors
/// Values of the type cannot be kept.
pub(crate) fn last(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    kept(input, Keep::Last)
}

/// `lag`: the n-th value that was not null before the newest such.
///
/// # Errors
/// Values of the type cannot be kept, or the constant is none.
pub(crate) fn lag(input: &DataType, constants: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    match constants {
        [Scalar::Int(n)] if *n >= 0 => {
            Ok(Box::new(Lag::new(input, usize::try_from(*n).unwrap_or(usize::MAX))?))
        }
        other => Err(EngineError::mismatch("lag", "a whole number", format!("{other:?}"))),
    }
}

/// `collect`: the values that were not null as a list, of at most `max` the newest; null below `min`.
///
/// # Errors
/// Values of the type cannot be kept, or a constant is none.
pub(crate) fn collect(input: &DataType, constants: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    let number = |scalar: &Scalar, none: usize| match scalar {
        Scalar::Null => Ok(none),
        Scalar::Int(number) if *number >= 0 => Ok(usize::try_from(*number).unwrap_or(usize::MAX)),
        other => Err(EngineError::mismatch("collect", "a whole number", format!("{other:?}"))),
    };
    match constants {
        [max, min] => Ok(Box::new(Collect::new(input, number(max, usize::MAX)?, number(min, 0)?)?)),
        other => Err(EngineError::mismatch("collect", "two constants", format!("{other:?}"))),
    }
}

fn kept(input: &DataType, keep: Keep) -> Result<Box<dyn Aggregate>, EngineError> {
    Ok(Box::new(Kept { keep, slots: Slots::new(input)? }))
}
