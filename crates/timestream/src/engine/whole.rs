//! What is counted and summed in whole numbers, which lose nothing when they are put together or taken away
//! again: such windows are kept by parts ([`panes`](super::panes), [`recent`](super::recent)), others are
//! folded from their start.

use arrow_array::types::{Int64Type, UInt64Type};
use arrow_buffer::{BooleanBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::aggregate::Batch;
use super::error::EngineError;
use super::saved::widened;

/// A count or a sum in whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// How many values are not null.
    NotNull,
    /// How many are true.
    True,
    /// The sum of i64.
    Signed,
    /// The sum of u64.
    Unsigned,
}

/// What the rows of a batch add.
pub(super) struct Added {
    /// At which rows anything is added; none: at all.
    pub(super) rows: Option<BooleanBuffer>,
    /// What is added at each row, that of u64 by its bits; none: 1.
    pub(super) numbers: Option<ScalarBuffer<i64>>,
}

impl Whole {
    /// Type of the value.
    pub(super) const fn data_type(self) -> DataType {
        match self {
            Self::Unsigned => DataType::UInt64,
            Self::NotNull | Self::True | Self::Signed => DataType::Int64,
        }
    }

    /// Whether it is a sum: null without a value, and it may go beyond its type.
    pub(super) const fn is_sum(self) -> bool {
        matches!(self, Self::Signed | Self::Unsigned)
    }

    /// A number by its bits.
    #[inline]
    pub(super) fn number(self, value: i64) -> i128 {
        match self {
            Self::Unsigned => i128::from(value.cast_unsigned()),
            _ => i128::from(value),
        }
    }

    /// A number by its bits as the float that is nearest.
    #[inline]
    pub(super) fn float(self, value: i64) -> f64 {
        match self {
            Self::Unsigned => value.cast_unsigned() as f64,
            _ => value as f64,
        }
    }

    /// Whether a sum is within its type.
    #[inline]
    pub(super) fn holds(self, sum: i128) -> bool {
        match self {
            Self::Unsigned => u64::try_from(sum).is_ok(),
            _ => i64::try_from(sum).is_ok(),
        }
    }

    /// What is added by a batch.
    pub(super) fn added(self, batch: &Batch<'_>) -> Result<Added, EngineError> {
        let mut rows = batch.valid();
        let mut numbers = None;
        match self {
            Self::NotNull => {}
            Self::True => {
                let values = batch.array()?;
                let found = || EngineError::mismatch("count_if", "bool", values.data_type());
                let truth = super::mask::is_true(&values).map_err(|_| found())?;
                rows = Some(rows.map_or_else(|| truth.clone(), |rows| &rows & &truth));
            }
            Self::Signed => numbers = Some(widened::<Int64Type>(&batch.array()?, "sum")?.values().clone()),
            Self::Unsigned => {
                let values = widened::<UInt64Type>(&batch.array()?, "sum")?;
                numbers = Some(values.values().inner().clone().into());
            }
        }
        Ok(Added { rows, numbers })
    }
}
