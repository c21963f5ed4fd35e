//! How the scalar functions are computed: over whole columns, on Arrow's kernels where those mean what the
//! language means.
//!
//! The functions here have the names of the language's and are called through the [registry](super). Nulls follow
//! SEMANTICS 2.2; whole numbers beyond their type are null and counted (2.3), never wrapped, never an error.
//!
//! Arguments are arrays of the call's length, or constants among them; a call of constants alone comes as
//! arrays of length 1.

mod arithmetic;
mod bounds;
mod calendar;
mod cast;
mod compare;
mod lists;
mod logic;
mod order;
mod rounding;
mod text;

pub use arithmetic::{add, div, mul, neg, rem, sub};
pub use bounds::{clamp, greatest, least};
pub use calendar::{day, hour, minute, month, seconds_since, weekday, year};
pub use cast::{can_cast, cast, literal};
pub use compare::{eq, ge, gt, le, lt, ne};
pub use lists::{contains, fields, flatten, length, union};
pub use logic::{and, coalesce, else_, if_, is_not_null, is_null, not, null_if, or};
pub use rounding::{ceil, exp, floor, powf, round, sqrt};
pub use text::{ends_with, hash, index, len, lengths, lower, starts_with, substring, upper};

use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_schema::{ArrowError, DataType};

use super::{Call, Column, EvalError};
use crate::engine::array::{carried, repeated};
use crate::times;

impl Column {
    /// Type of the values.
    #[must_use]
    pub fn data_type(&self) -> &DataType {
        match self {
            Self::Array(values) | Self::Constant(values) => values.data_type(),
        }
    }
}

impl Call<'_> {
    /// An argument.
    fn arg(&self, at: usize) -> Result<&Column, ArrowError> {
        self.args.get(at).ok_or_else(|| ArrowError::InvalidArgumentError(format!("argument {at} is missing")))
    }

    /// An argument as one value a row.
    fn array(&self, at: usize) -> Result<ArrayRef, ArrowError> {
        match self.arg(at)? {
            Column::Array(values) => Ok(ArrayRef::clone(values)),
            Column::Constant(value) => repeated(value, self.len),
        }
    }
}

/// An evaluation's result, its error under the function's name.
fn named(function: &'static str, result: Result<ArrayRef, ArrowError>) -> Result<Column, EvalError> {
    result.map(Column::Array).map_err(|source| EvalError { function, source })
}

/// Moments or lengths of time as their counts, and the nanoseconds that one of a count is.
fn counts(values: &ArrayRef) -> Result<(PrimitiveArray<Int64Type>, i128), ArrowError> {
    match values.data_type() {
        DataType::Timestamp(unit, _) | DataType::Duration(unit) => {
            Ok((carried::<Int64Type>(values)?, times::nanos_of(*unit).into()))
        }
        other => Err(refused(other)),
    }
}

fn refused(data_type: &DataType) -> ArrowError {
    ArrowError::NotYetImplemented(format!("not for {data_type}"))
}

#[cfg(test)]
mod tests;
