//! Three-valued logic, tests for null, and choices by them (SEMANTICS 2.2).

use std::sync::Arc;

use arrow_arith::boolean;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, Datum};
use arrow_buffer::BooleanBuffer;
use arrow_schema::ArrowError;
use arrow_select::nullif::nullif;
use arrow_select::zip::zip;

use super::super::{Call, Column, EvalError};
use super::{named, refused};

/// `and`: false beside anything is false.
///
/// # Errors
/// The arguments are not boolean.
pub fn and(call: &Call<'_>) -> Result<Column, EvalError> {
    named("and", kleene(call, boolean::and_kleene))
}

/// `or`: true beside anything is true.
///
/// # Errors
/// The arguments are not boolean.
pub fn or(call: &Call<'_>) -> Result<Column, EvalError> {
    named("or", kleene(call, boolean::or_kleene))
}

type Kleene = fn(&BooleanArray, &BooleanArray) -> Result<BooleanArray, ArrowError>;

fn kleene(call: &Call<'_>, kernel: Kleene) -> Result<ArrayRef, ArrowError> {
    let (a, b) = (call.array(0)?, call.array(1)?);
    Ok(Arc::new(kernel(booleans(&a)?, booleans(&b)?)?))
}

fn booleans(values: &ArrayRef) -> Result<&BooleanArray, ArrowError> {
    values.as_boolean_opt().ok_or_else(|| refused(values.data_type()))
}

/// `not`: of null it is null.
///
/// # Errors
/// The argument is not boolean.
pub fn not(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || Ok(Arc::new(boolean::not(booleans(&call.array(0)?)?)?) as ArrayRef);
    named("not", run())
}

/// `is_null`: never null itself.
///
/// # Errors
/// None but of a missing argument.
pub fn is_null(call: &Call<'_>) -> Result<Column, EvalError> {
    named("is_null", call.array(0).and_then(|values| Ok(Arc::new(boolean::is_null(&values)?) as ArrayRef)))
}

/// `is_not_null`: never null itself.
///
/// # Errors
/// None but of a missing argument.
pub fn is_not_null(call: &Call<'_>) -> Result<Column, EvalError> {
    named(
        "is_not_null",
        call.array(0).and_then(|values| Ok(Arc::new(boolean::is_not_null(&values)?) as ArrayRef)),
    )
}

/// `if_(value, condition)`: the value where the condition is true, else null.
///
/// # Errors
/// The condition is not boolean.
pub fn if_(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || {
        let (values, condition) = (call.array(0)?, call.array(1)?);
        let absent = !&holds(booleans(&condition)?);
        nullif(&values, &BooleanArray::new(absent, None))
    };
    named("if_", run())
}

/// `null_if(value, condition)`: the value where the condition is false, else null.
///
/// # Errors
/// The condition is not boolean.
pub fn null_if(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || {
        let (values, condition) = (call.array(0)?, call.array(1)?);
        let absent = !&holds(&boolean::not(booleans(&condition)?)?);
        nullif(&values, &BooleanArray::new(absent, None))
    };
    named("null_if", run())
}

/// Where a boolean is true: not false, not null.
fn holds(condition: &BooleanArray) -> BooleanBuffer {
    condition.nulls().map_or_else(|| condition.values().clone(), |nulls| condition.values() & nulls.inner())
}

/// `else_(value, other)`: the value, or the other where it is null.
///
/// # Errors
/// The arguments are not of one type.
pub fn else_(call: &Call<'_>) -> Result<Column, EvalError> {
    named("else_", first_of(call))
}

/// `coalesce(value, others…)`: the first that is not null.
///
/// # Errors
/// The arguments are not of one type.
pub fn coalesce(call: &Call<'_>) -> Result<Column, EvalError> {
    named("coalesce", first_of(call))
}

fn first_of(call: &Call<'_>) -> Result<ArrayRef, ArrowError> {
    let mut values = call.array(0)?;
    for other in call.args.iter().skip(1) {
        let Some(nulls) = values.logical_nulls().filter(|nulls| nulls.null_count() > 0) else { break };
        // A constant is a scalar to the kernel, an array of one row that is not one is an array.
        let other: &dyn Datum = other;
        values = zip(&BooleanArray::new(nulls.into_inner(), None), &values, other)?;
    }
    Ok(values)
}
