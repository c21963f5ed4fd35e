//! `== != < <= > >=`. Null beside anything is null. Floats compare as IEEE 754 says: `-0.0 == 0.0`, and NaN
//! is neither equal to, less nor greater than anything. Text and binary go by bytes; structs and lists field
//! by field, item by item ([`order`]).

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Datum};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_ord::cmp;
use arrow_schema::{ArrowError, DataType};

use super::super::{Call, Column, EvalError, Warnings};
use super::order::order;
use super::{counts, named, refused};
use crate::engine::array::carried;
use crate::types;

type Kernel = fn(&dyn Datum, &dyn Datum) -> Result<BooleanArray, ArrowError>;

/// `==`
///
/// # Errors
/// The arguments are not of one type.
pub fn eq(call: &Call<'_>) -> Result<Column, EvalError> {
    named("eq", compared(call, cmp::eq, |order| order == Some(Ordering::Equal)))
}

/// `!=`
///
/// # Errors
/// The arguments are not of one type.
pub fn ne(call: &Call<'_>) -> Result<Column, EvalError> {
    named("ne", compared(call, cmp::neq, |order| order != Some(Ordering::Equal)))
}

/// `<`
///
/// # Errors
/// The arguments are not of one type.
pub fn lt(call: &Call<'_>) -> Result<Column, EvalError> {
    named("lt", compared(call, cmp::lt, |order| order == Some(Ordering::Less)))
}

/// `<=`
///
/// # Errors
/// The arguments are not of one type.
pub fn le(call: &Call<'_>) -> Result<Column, EvalError> {
    named("le", compared(call, cmp::lt_eq, |order| matches!(order, Some(Ordering::Less | Ordering::Equal))))
}

/// `>`
///
/// # Errors
/// The arguments are not of one type.
pub fn gt(call: &Call<'_>) -> Result<Column, EvalError> {
    named("gt", compared(call, cmp::gt, |order| order == Some(Ordering::Greater)))
}

/// `>=`
///
/// # Errors
/// The arguments are not of one type.
pub fn ge(call: &Call<'_>) -> Result<Column, EvalError> {
    named(
        "ge",
        compared(call, cmp::gt_eq, |order| matches!(order, Some(Ordering::Greater | Ordering::Equal))),
    )
}

/// Which of two columns' values are equal, row by row.
///
/// # Errors
/// They are not of one type, or of different lengths.
pub(super) fn equal(a: &ArrayRef, b: &ArrayRef) -> Result<BooleanArray, ArrowError> {
    let args = [a, b].map(|values| Column::Array(Arc::clone(values)));
    let warnings = Warnings::default();
    let call = Call { args: &args, data_type: &DataType::Boolean, len: a.len(), warnings: &warnings };
    let equal = compared(&call, cmp::eq, |order| order == Some(Ordering::Equal))?;
    equal.as_boolean_opt().cloned().ok_or_else(|| refused(equal.data_type()))
}

/// By the kernel where its order is the language's, else by `holds` of the order of each two values.
fn compared(
    call: &Call<'_>,
    kernel: Kernel,
    holds: fn(Option<Ordering>) -> bool,
) -> Result<ArrayRef, ArrowError> {
    match call.arg(0)?.data_type() {
        DataType::Float32 => floats::<Float32Type>(call, holds),
        DataType::Float64 => floats::<Float64Type>(call, holds),
        // No type may hold both of two units.
        time if types::is_time(time) && time != call.arg(1)?.data_type() => {
            let ((a, nanos_a), (b, nanos_b)) = (counts(&call.array(0)?)?, counts(&call.array(1)?)?);
            same_length(&a, &b)?;
            let nanos = |count: i64, per: i128| i128::from(count) * per;
            let (left, right) = (a.values(), b.values());
            let values = BooleanBuffer::collect_bool(call.len, |row| {
                holds(Some(nanos(left[row], nanos_a).cmp(&nanos(right[row], nanos_b))))
            });
            Ok(Arc::new(BooleanArray::new(values, NullBuffer::union(a.nulls(), b.nulls()))))
        }
        nested if nested.is_nested() => {
            let (a, b) = (call.array(0)?, call.array(1)?);
            same_length(&a, &b)?;
            let order = order(&a, &b)?;
            let nulls = NullBuffer::union(a.logical_nulls().as_ref(), b.logical_nulls().as_ref());
            let values = BooleanBuffer::collect_bool(call.len, |row| holds(order(row, row)));
            Ok(Arc::new(BooleanArray::new(values, nulls)))
        }
        _ => Ok(Arc::new(kernel(call.arg(0)?, call.arg(1)?)?)),
    }
}

fn floats<T: ArrowPrimitiveType>(
    call: &Call<'_>,
    holds: fn(Option<Ordering>) -> bool,
) -> Result<ArrayRef, ArrowError> {
    let (a, b) = (carried::<T>(&call.array(0)?)?, carried::<T>(&call.array(1)?)?);
    same_length(&a, &b)?;
    let (left, right) = (a.values(), b.values());
    let values = BooleanBuffer::collect_bool(call.len, |row| holds(left[row].partial_cmp(&right[row])));
    Ok(Arc::new(BooleanArray::new(values, NullBuffer::union(a.nulls(), b.nulls()))))
}

fn same_length(a: &dyn Array, b: &dyn Array) -> Result<(), ArrowError> {
    if a.len() == b.len() {
        return Ok(());
    }
    Err(ArrowError::InvalidArgumentError("arguments of different lengths".into()))
}
