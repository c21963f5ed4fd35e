//! `ceil floor round`, and what is computed as f64: `exp powf sqrt`.

use std::sync::Arc;

use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, Float64Array};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType};

use super::super::{Call, Column, EvalError};
use super::named;
use crate::engine::array::{carried, retyped};

/// `ceil`: the least whole number that is not below; whole numbers as they are.
///
/// # Errors
/// None but of a missing argument.
pub fn ceil(call: &Call<'_>) -> Result<Column, EvalError> {
    named("ceil", rounded(call, f32::ceil, f64::ceil))
}

/// `floor`: the greatest whole number that is not above; whole numbers as they are.
///
/// # Errors
/// None but of a missing argument.
pub fn floor(call: &Call<'_>) -> Result<Column, EvalError> {
    named("floor", rounded(call, f32::floor, f64::floor))
}

/// `round`: the nearest whole number, halves away from zero; whole numbers as they are.
///
/// # Errors
/// None but of a missing argument.
pub fn round(call: &Call<'_>) -> Result<Column, EvalError> {
    named("round", rounded(call, f32::round, f64::round))
}

fn rounded(call: &Call<'_>, narrow: fn(f32) -> f32, wide: fn(f64) -> f64) -> Result<ArrayRef, ArrowError> {
    let values = call.array(0)?;
    match values.data_type() {
        DataType::Float32 => {
            retyped(carried::<Float32Type>(&values)?.unary::<_, Float32Type>(narrow), call.data_type)
        }
        DataType::Float64 => {
            retyped(carried::<Float64Type>(&values)?.unary::<_, Float64Type>(wide), call.data_type)
        }
        _ => Ok(values),
    }
}

/// `exp`: e to this power.
///
/// # Errors
/// The argument is not f64.
pub fn exp(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || {
        Ok(Arc::new(carried::<Float64Type>(&call.array(0)?)?.unary::<_, Float64Type>(f64::exp)) as ArrayRef)
    };
    named("exp", run())
}

/// `sqrt`: NaN of what is below zero, as IEEE 754 has it.
///
/// # Errors
/// The argument is not f64.
pub fn sqrt(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || {
        Ok(Arc::new(carried::<Float64Type>(&call.array(0)?)?.unary::<_, Float64Type>(f64::sqrt)) as ArrayRef)
    };
    named("sqrt", run())
}

/// `powf`: the first to the power of the second, as IEEE 754 has it.
///
/// # Errors
/// The arguments are not f64.
pub fn powf(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || {
        let (x, y) = (carried::<Float64Type>(&call.array(0)?)?, carried::<Float64Type>(&call.array(1)?)?);
        let powers: Vec<f64> = x.values().iter().zip(y.values()).map(|(x, y)| x.powf(*y)).collect();
        let nulls = NullBuffer::union(x.nulls(), y.nulls());
        Ok(Arc::new(Float64Array::try_new(powers.into(), nulls)?) as ArrayRef)
    };
    named("powf", run())
}
