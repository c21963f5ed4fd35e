//! Views of Arrow arrays by width: a timestamp is 64 bits like an int, so state and kernels are written once
//! for the eleven native types that carry all others.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, UInt32Array, make_array, new_null_array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};

use super::error::EngineError;
use crate::functions::Column;

/// Runs an expression with `$T` standing for the native Arrow type that carries a type's values; the other one for
/// types that none carries.
macro_rules! with_carrier {
    ($data_type:expr, $T:ident => $body:expr, else $other:expr) => {{
        use arrow_array::types as t;
        use arrow_schema::DataType as D;
        match $data_type {
            D::Int8 => {
                type $T = t::Int8Type;
                $body
            }
            D::Int16 => {
                type $T = t::Int16Type;
                $body
            }
            D::Int32 | D::Date32 | D::Time32(_) => {
                type $T = t::Int32Type;
                $body
            }
            D::Int64 | D::Timestamp(_, _) | D::Duration(_) | D::Date64 | D::Time64(_) => {
                type $T = t::Int64Type;
                $body
            }
            D::UInt8 => {
                type $T = t::UInt8Type;
                $body
            }
            D::UInt16 => {
                type $T = t::UInt16Type;
                $body
            }
            D::UInt32 => {
                type $T = t::UInt32Type;
                $body
            }
            D::UInt64 => {
                type $T = t::UInt64Type;
                $body
            }
            D::Float32 => {
                type $T = t::Float32Type;
                $body
            }
            D::Float64 => {
                type $T = t::Float64Type;
                $body
            }
            _ => $other,
        }
    }};
}
pub(crate) use with_carrier;

/// Whether a native type carries a type's values.
pub(crate) fn is_carried(data_type: &DataType) -> bool {
    with_carrier!(data_type, T => T::DATA_TYPE.is_primitive(), else false)
}

/// The values of an array of any type of this width, as `T`; no copy.
pub(crate) fn carried<T: ArrowPrimitiveType>(array: &dyn Array) -> Result<PrimitiveArray<T>, ArrowError> {
    let data = array.to_data();
    if data.data_type().primitive_width() != Some(size_of::<T::Native>()) {
        let message =
            format!("expected values of {} bytes, found {}", size_of::<T::Native>(), data.data_type());
        return Err(ArrowError::InvalidArgumentError(message));
    }
    let values = ScalarBuffer::new(data.buffers()[0].clone(), data.offset(), data.len());
    PrimitiveArray::try_new(values, data.nulls().cloned())
}

/// The same bits as values of another type of this width; no copy.
pub(crate) fn retyped<T: ArrowPrimitiveType>(
    array: PrimitiveArray<T>,
    to: &DataType,
) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(Arc::new(array));
    }
    Ok(make_array(array.into_data().into_builder().data_type(to.clone()).build()?))
}

/// An array of one value, `len` times.
pub(crate) fn repeated(value: &ArrayRef, len: usize) -> Result<ArrayRef, ArrowError> {
    if value.len() == len {
        return Ok(Arc::clone(value));
    }
    if value.is_null(0) {
        return Ok(new_null_array(value.data_type(), len));
    }
    arrow_select::take::take(value, &UInt32Array::from_value(0, len), None)
}

/// A register as one value a row.
pub(crate) fn one_a_row(register: &Column, len: usize) -> Result<ArrayRef, EngineError> {
    match register {
        Column::Array(values) => Ok(Arc::clone(values)),
        Column::Constant(value) => repeated(value, len).map_err(EngineError::kernel("constant")),
    }
}

/// Makes room as `Vec` does, but by a quarter once a vector is large: state per key is counted in bytes.
pub(crate) fn make_room<T>(vec: &mut Vec<T>, additional: usize) {
    if vec.capacity() - vec.len() < additional {
        let step = if vec.len() < 4096 { vec.len() } else { vec.len() / 4 };
        vec.reserve_exact(additional.max(step));
    }
}

/// Fills up to `len` with a value.
pub(crate) fn fill<T: Clone>(vec: &mut Vec<T>, len: usize, value: T) {
    if vec.len() < len {
        make_room(vec, len - vec.len());
        vec.resize(len, value);
    }
}

/// Where texts or lists of these lengths end, one after the other.
///
/// # Errors
/// That is beyond what an array can have.
pub(super) fn ends(lengths: impl Iterator<Item = usize>) -> Result<OffsetBuffer<i32>, ArrowError> {
    let mut ends = Vec::with_capacity(lengths.size_hint().0 + 1);
    ends.push(0);
    let mut end = 0_usize;
    for length in lengths {
        end = end.saturating_add(length);
        ends.push(i32::try_from(end).map_err(|_| ArrowError::OffsetOverflowError(end))?);
    }
    Ok(OffsetBuffer::new(ends.into()))
}
