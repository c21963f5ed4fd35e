//! What an aggregation is to the engine: state per key number, folded a batch at a time, its value known at
//! every row.

use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::DataType;

use super::array::one_a_row;
use super::error::EngineError;
use super::halt::{Halt, LOOK};
use super::whole::Whole;
use crate::functions::{Column, Warnings};
use crate::scalar::Scalar;

/// Makes the state of an aggregation for inputs of a type, with its constants in the order of its parameters.
///
/// # Errors
/// The aggregation does not take the type.
pub type MakeAggregate = fn(&DataType, &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError>;

/// An aggregation's state over all keys of an operator (SEMANTICS 4.2). Keys are numbered from 0 without gaps.
pub trait Aggregate: Send {
    /// Type of its value.
    fn data_type(&self) -> DataType;

    /// Folds a batch in the order of its rows. Gives its value after each row, also at rows that are no points of it.
    ///
    /// # Errors
    /// The values are not of the type it was made for.
    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError>;

    /// Forgets what it knows of these keys, as if they had had no point.
    ///
    /// # Errors
    /// None but defects.
    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError>;

    /// Ends the windows of these keys without a row: their next points begin others, rows before those show
    /// what the old ones came to.
    fn end(&mut self, _keys: &[u32]) {}

    /// What it is in whole numbers, whose windows are kept by parts.
    fn whole(&self) -> Option<Whole> {
        None
    }

    /// The same over the last so many intervals, where it follows from the values of the intervals whatever
    /// the points are; others are folded from the start of each window.
    ///
    /// # Errors
    /// None but defects.
    fn sliding(&self, _intervals: u32) -> Option<Result<Box<dyn Aggregate>, EngineError>> {
        None
    }

    /// The same over the last so many nanoseconds, where what a value adds can be taken away when it leaves;
    /// others are folded anew.
    ///
    /// # Errors
    /// None but defects.
    fn trailing(&self, _nanos: i64) -> Option<Result<Box<dyn Aggregate>, EngineError>> {
        None
    }

    /// Bytes that its value at a row has at most, after so many rows more whose values have `fresh` bytes at
    /// most; zero where values of its type are all alike. What is much is computed in parts.
    fn shows(&self, _fresh: usize, _rows: usize) -> usize {
        0
    }

    /// The state of these keys, one array a part of the state.
    ///
    /// # Errors
    /// The state does not fit one array (2 GiB of text).
    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError>;

    /// Takes up what `save` gave, for keys that have no state yet; `keys` in the order of the arrays, all
    /// below `known`.
    ///
    /// # Errors
    /// The arrays are not of the types that `save` gives.
    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError>;

    /// Bytes held.
    fn memory(&self) -> usize;
}

/// Rows to fold.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The number of each row's key.
    pub keys: &'a [u32],
    /// How many keys are known: every number is below it.
    pub known: usize,
    /// The value at each row, or at all.
    pub values: &'a Column,
    /// At which rows there is a point; none: at all.
    pub present: Option<&'a BooleanBuffer>,
    /// At which rows a window ends, for aggregations over windows that do; none: at none.
    pub ends: Option<&'a BooleanBuffer>,
    /// The time of each row.
    pub times: &'a [i64],
    /// Where overflows are counted.
    pub warnings: &'a Warnings,
    /// What loops that may be long look at.
    pub halt: &'a Halt,
}

impl Batch<'_> {
    /// One value a row.
    pub(crate) fn array(&self) -> Result<ArrayRef, EngineError> {
        one_a_row(self.values, self.keys.len())
    }

    /// Looks whether to leave the work, at some of the rows.
    #[inline]
    pub(crate) fn look(&self, row: usize) -> Result<(), EngineError> {
        if row.is_multiple_of(LOOK) { self.halt.look() } else { Ok(()) }
    }

    /// At which rows there is a point whose value is not null; none: at all.
    pub(crate) fn valid(&self) -> Option<BooleanBuffer> {
        let nulls = match self.values {
            Column::Array(values) => values.logical_nulls().filter(|nulls| nulls.null_count() > 0),
            Column::Constant(value) => {
                (value.logical_null_count() > 0).then(|| NullBuffer::new_null(self.keys.len()))
            }
        };
        match (nulls, self.present) {
            (None, None) => None,
            (Some(nulls), None) => Some(nulls.into_inner()),
            (None, Some(present)) => Some(present.clone()),
            (Some(nulls), Some(present)) => Some(nulls.inner() & present),
        }
    }
}
