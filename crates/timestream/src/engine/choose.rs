//! What leaves a region: the rows that a mask chooses, under their own keys or new ones.

use std::sync::Arc;

use arrow_array::types::{Int64Type, UInt16Type, UInt64Type};
use arrow_array::{ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;
use arrow_select::filter::{FilterBuilder, FilterPredicate};

use super::array::one_a_row;
use super::error::EngineError;
use super::join::Joined;
use super::mask::{Mask, mask};
use super::merge::{numbers, settle};
use crate::functions::Column;
use crate::plan::{Feed, Reg, Region, StepOp};
use crate::rows::{Keys, Lane, Places, Rows};

/// Rows that a mask chooses.
pub(super) struct Chosen<'a> {
    joined: &'a Joined,
    registers: &'a [Column],
    rows: Choice,
}

enum Choice {
    All,
    Some(FilterPredicate),
}

impl<'a> Chosen<'a> {
    pub(super) fn new(
        joined: &'a Joined,
        registers: &'a [Column],
        present: Option<Reg>,
    ) -> Result<Self, EngineError> {
        let len = joined.places.len();
        let filter = |mask: BooleanBuffer| {
            Choice::Some(FilterBuilder::new(&BooleanArray::new(mask, None)).optimize().build())
        };
        let rows = match present {
            None => Choice::All,
            Some(reg) => match mask(&registers[reg])? {
                Mask::All => Choice::All,
                Mask::Nothing => filter(BooleanBuffer::new_unset(len)),
                Mask::Some(mask) if mask.count_set_bits() == len => Choice::All,
                Mask::Some(mask) => filter(mask),
            },
        };
        Ok(Self { joined, registers, rows })
    }

    fn filtered(&self, values: &ArrayRef) -> Result<ArrayRef, EngineError> {
        match &self.rows {
            Choice::All => Ok(Arc::clone(values)),
            Choice::Some(filter) => filter.filter(values).map_err(EngineError::kernel("filter")),
        }
    }

    /// How many rows are chosen.
    fn len(&self) -> usize {
        match &self.rows {
            Choice::All => self.joined.places.len(),
            Choice::Some(filter) => filter.count(),
        }
    }

    fn column(&self, reg: Reg) -> Result<ArrayRef, EngineError> {
        match &self.registers[reg] {
            Column::Array(values) => self.filtered(values),
            constant @ Column::Constant(_) => one_a_row(constant, self.len()),
        }
    }

    pub(super) fn columns(&self, regs: &[Reg]) -> Result<Vec<ArrayRef>, EngineError> {
        regs.iter().map(|reg| self.column(*reg)).collect()
    }

    pub(super) fn places(&self) -> Result<Places, EngineError> {
        let places = &self.joined.places;
        if let Choice::All = self.rows {
            return Ok(places.clone());
        }
        let lane = match &places.lane {
            Lane::One(lane) => Lane::One(*lane),
            Lane::Each(lanes) => Lane::Each(numbers::<UInt16Type>(lanes, |array| self.filtered(array))?),
        };
        Ok(Places {
            time: numbers::<Int64Type>(&places.time, |array| self.filtered(array))?,
            lane,
            ordinal: numbers::<UInt64Type>(&places.ordinal, |array| self.filtered(array))?,
        })
    }

    /// The rows' own keys.
    pub(super) fn key(&self) -> Result<Option<Keys>, EngineError> {
        let Some(key) = &self.joined.key else { return Ok(None) };
        if let Choice::All = self.rows {
            return Ok(Some(key.clone()));
        }
        let hashes = numbers::<UInt64Type>(&key.hashes, |array| self.filtered(array))?;
        Ok(Some(Keys { values: self.filtered(&key.values)?, hashes }))
    }
}

/// The rows of a feed, under their new keys.
pub(super) fn feed_rows(
    joined: &Joined,
    registers: &[Column],
    region: &Region,
    feed: &Feed,
) -> Result<Rows, EngineError> {
    let chosen = Chosen::new(joined, registers, feed.present)?;
    let values = chosen.column(feed.key)?;
    // The same key as before keeps its hashes.
    let hashes = match (&region.steps[feed.key].op, chosen.key()?) {
        (StepOp::Key, Some(key)) => key.hashes,
        _ => super::hash(&values),
    };
    settle(Rows {
        places: chosen.places()?,
        key: Some(Keys { values, hashes }),
        columns: chosen.columns(&feed.columns)?,
    })
}
