//! What the states of aggregations have in common: reading what was saved, widening what is summed, putting
//! keys back.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, UInt64Array};

use super::error::EngineError;

/// A part of a saved state as the array it must be.
pub(super) fn part<'a, T: Array + 'static>(
    state: &'a [ArrayRef],
    index: usize,
    what: &'static str,
) -> Result<&'a T, EngineError> {
    let part = state.get(index).ok_or_else(|| EngineError::mismatch(what, "another part", "none"))?;
    let found = || EngineError::mismatch(what, std::any::type_name::<T>(), part.data_type());
    part.as_any().downcast_ref::<T>().ok_or_else(found)
}

/// No count is larger: there is room for the points of any run above it.
const MOST: u64 = u64::MAX >> 2;

/// The counts of a saved state, none of which is larger than counts are.
pub(super) fn counts<'a>(
    state: &'a [ArrayRef],
    index: usize,
    what: &'static str,
) -> Result<&'a UInt64Array, EngineError> {
    let counts = part::<UInt64Array>(state, index, what)?;
    match counts.iter().flatten().find(|count| *count > MOST) {
        None => Ok(counts),
        Some(count) => Err(EngineError::mismatch(what, format!("counts of at most {MOST}"), count)),
    }
}

/// The values of a batch as the wide type that is summed.
pub(super) fn widened<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    what: &'static str,
) -> Result<PrimitiveArray<T>, EngineError> {
    if let Some(values) = values.as_primitive_opt::<T>() {
        return Ok(values.clone());
    }
    let cast = arrow_cast::cast(values, &T::DATA_TYPE).map_err(EngineError::kernel(what))?;
    Ok(cast.as_primitive::<T>().clone())
}

/// Puts these keys' states back to the first.
pub(super) fn forget<T: Default>(states: &mut [T], keys: &[u32]) {
    for key in keys {
        if let Some(state) = states.get_mut(*key as usize) {
            *state = T::default();
        }
    }
}
