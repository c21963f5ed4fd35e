//! Masks over a region's rows: bitmaps, or known to be all or nothing.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;

use super::error::EngineError;
use crate::functions::Column;

/// A mask over the rows.
pub(super) enum Mask {
    All,
    Nothing,
    Some(BooleanBuffer),
}

impl Mask {
    pub(super) const fn constant(holds: bool) -> Self {
        if holds { Self::All } else { Self::Nothing }
    }

    /// Whether it holds at a row.
    pub(super) fn holds(&self, row: usize) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Some(mask) => mask.value(row),
        }
    }

    pub(super) fn into_column(self) -> Column {
        let constant = |holds| Column::Constant(Arc::new(BooleanArray::from(vec![holds])));
        match self {
            Self::All => constant(true),
            Self::Nothing => constant(false),
            Self::Some(mask) => Column::Array(Arc::new(BooleanArray::new(mask, None))),
        }
    }
}

/// A register that holds a mask.
pub(super) fn mask(register: &Column) -> Result<Mask, EngineError> {
    Ok(match register {
        Column::Array(values) => Mask::Some(is_true(values)?),
        Column::Constant(value) => Mask::constant(is_true(value)?.value(0)),
    })
}

/// Where a boolean is true: not false, not null.
pub(super) fn is_true(values: &ArrayRef) -> Result<BooleanBuffer, EngineError> {
    let booleans =
        values.as_boolean_opt().ok_or_else(|| EngineError::mismatch("mask", "bool", values.data_type()))?;
    Ok(match booleans.nulls() {
        None => booleans.values().clone(),
        Some(nulls) => booleans.values() & nulls.inner(),
    })
}
