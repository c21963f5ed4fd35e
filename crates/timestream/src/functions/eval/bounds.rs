//! `greatest`, `least` and `clamp`: one of their arguments, chosen by order.

use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_ord::cmp;
use arrow_schema::{ArrowError, DataType};
use arrow_select::nullif::nullif;
use arrow_select::zip::zip;

use super::super::{Call, Column, EvalError};
use super::{named, refused};
use crate::engine::array::{carried, retyped, with_carrier};

/// `greatest`: of a number and NaN the number, of equal ones the first; null where one is null (SEMANTICS 2.2).
///
/// # Errors
/// The arguments have no order, or are not of one type.
pub fn greatest(call: &Call<'_>) -> Result<Column, EvalError> {
    named("greatest", chosen(call, true))
}

/// `least`: of a number and NaN the number, of equal ones the first; null where one is null (SEMANTICS 2.2).
///
/// # Errors
/// The arguments have no order, or are not of one type.
pub fn least(call: &Call<'_>) -> Result<Column, EvalError> {
    named("least", chosen(call, false))
}

fn chosen(call: &Call<'_>, greatest: bool) -> Result<ArrayRef, ArrowError> {
    let (a, b) = (call.array(0)?, call.array(1)?);
    // Where the second comes before the first.
    let second = match a.data_type() {
        DataType::Float32 => numbers_first::<Float32Type>(&a, &b, greatest)?,
        DataType::Float64 => numbers_first::<Float64Type>(&a, &b, greatest)?,
        _ if greatest => cmp::gt(&b, &a)?.values().clone(),
        _ => cmp::lt(&b, &a)?.values().clone(),
    };
    let result = zip(&BooleanArray::new(second, None), &b, &a)?;
    match NullBuffer::union(a.nulls(), b.nulls()) {
        Some(nulls) => nullif(&result, &BooleanArray::new(!nulls.inner(), None)),
        None => Ok(result),
    }
}

fn numbers_first<T: ArrowPrimitiveType>(
    a: &dyn Array,
    b: &dyn Array,
    greatest: bool,
) -> Result<BooleanBuffer, ArrowError> {
    let (a, b) = (carried::<T>(a)?, carried::<T>(b)?);
    let (a, b) = (a.values(), b.values());
    if a.len() != b.len() {
        return Err(ArrowError::InvalidArgumentError("arguments of different lengths".into()));
    }
    let is_nan = |value: T::Native| value.partial_cmp(&value).is_none();
    Ok(BooleanBuffer::collect_bool(a.len(), |row| {
        let (a, b) = (a[row], b[row]);
        !is_nan(b) && (is_nan(a) || if greatest { b > a } else { b < a })
    }))
}

/// `clamp(value, min, max)`: a bound that is null or NaN is none; null where the value is null or the bounds
/// hold nothing.
///
/// # Errors
/// The arguments are not numbers of one type.
pub fn clamp(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || with_carrier!(call.data_type, T => clamped::<T>(call), else Err(refused(call.data_type)));
    named("clamp", run())
}

fn clamped<T: ArrowPrimitiveType>(call: &Call<'_>) -> Result<ArrayRef, ArrowError> {
    let [values, min, max] = [0, 1, 2].map(|at| call.array(at).and_then(|array| carried::<T>(&array)));
    let (values, min, max) = (values?, min?, max?);
    let rows = values.iter().zip(min.iter()).zip(max.iter());
    let clamped = rows.map(|((value, min), max)| match (value?, min, max) {
        (_, Some(min), Some(max)) if max < min => None,
        (value, Some(min), _) if value < min => Some(min),
        (value, _, Some(max)) if value > max => Some(max),
        (value, ..) => Some(value),
    });
    retyped(clamped.collect::<PrimitiveArray<T>>(), call.data_type)
}
