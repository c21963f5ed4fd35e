//! What leaves a region: the rows that a mask chooses, under their own keys or new ones.

use std::sync::Arc;

use arrow_array::types::{UInt16Type, UInt64Type};
use arrow_array::{ArrayRef, BooleanArray, UInt32Array};
use arrow_buffer::{BooleanBuffer, ScalarBuffer};
use arrow_select::filter::{FilterBuilder, FilterPredicate};

use super::array::one_a_row;
use super::canonical::canonical;
use super::error::EngineError;
use super::join::Joined;
use super::mask::{Mask, mask};
use super::merge::settle;
use super::moves::{after, back, ordered, plain};
use super::rekey::rekeyed;
use crate::functions::Column;
use crate::plan::{Feed, Moves, Reg, Region, Standing, StepOp};
use crate::query::Own;
use crate::rows::{Apart, Keys, Places, Rows, numbers};

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

    /// The numbers of the rows' keys, of those of all rows.
    pub(super) fn numbers(&self, all: &[u32]) -> Result<ArrayRef, EngineError> {
        let all: ArrayRef = Arc::new(UInt32Array::from(all.to_vec()));
        self.filtered(&all)
    }

    pub(super) fn places(&self) -> Result<Places, EngineError> {
        let places = &self.joined.places;
        if let Choice::All = self.rows {
            return Ok(places.clone());
        }
        places.map(&|array| self.filtered(array))
    }

    /// The rows' own keys.
    pub(super) fn key(&self) -> Result<Option<Keys>, EngineError> {
        let Some(key) = &self.joined.key else { return Ok(None) };
        if let Choice::All = self.rows {
            return Ok(Some(key.clone()));
        }
        let hashes = numbers::<UInt64Type>(&key.hashes, &|array| self.filtered(array))?;
        Ok(Some(Keys { values: self.filtered(&key.values)?, hashes }))
    }
}

/// The rows of a feed, under their new keys.
pub(super) enum Fed {
    /// Where they stand now, in order.
    There(Rows),
    /// With the durations that they move by.
    By(Rows, ArrayRef),
    /// With the times that they move to.
    To(Rows, ArrayRef),
    /// With whether the condition is true that they are held until.
    Until(Rows, ArrayRef),
}

/// The hashes of a batch's new keys: a value and what looks it up may be under the same.
#[derive(Default)]
pub(super) struct Hashed(Vec<(Reg, Option<Reg>, ScalarBuffer<u64>)>);

impl Hashed {
    fn of(&mut self, feed: &Feed, values: &ArrayRef) -> ScalarBuffer<u64> {
        let same = |(key, present, _): &&(Reg, Option<Reg>, _)| (*key, *present) == (feed.key, feed.present);
        if let Some((_, _, hashes)) = self.0.iter().find(same) {
            return hashes.clone();
        }
        let hashes = super::hash(values);
        self.0.push((feed.key, feed.present, hashes.clone()));
        hashes
    }
}

/// What a feed hands on of a batch.
pub(super) fn feed_rows(
    joined: &Joined,
    registers: &[Column],
    region: &Region,
    feed: &Feed,
    hashed: &mut Hashed,
) -> Result<Fed, EngineError> {
    let chosen = Chosen::new(joined, registers, feed.present)?;
    let mut values = chosen.column(feed.key)?;
    let own_key = matches!(region.steps[feed.key].op, StepOp::Own(Own::Key));
    if !own_key {
        values = canonical(&values).map_err(EngineError::kernel("with_key"))?;
    }
    let known = chosen.key()?;
    // The same key as before keeps its hashes.
    let hashes = match &known {
        Some(key) if own_key => key.hashes.clone(),
        _ => hashed.of(feed, &values),
    };
    let mut places = chosen.places()?;
    if let Some(Standing { lane, ordinal }) = feed.apart {
        let (lane, ordinal) = (chosen.column(lane)?, chosen.column(ordinal)?);
        places.apart = Some(Arc::new(Apart {
            lane: plain::<UInt16Type>(&lane)?,
            ordinal: plain::<UInt64Type>(&ordinal)?,
        }));
    }
    if matches!(feed.moves, Moves::Stay | Moves::After { .. }) {
        let asks = matches!(feed.moves, Moves::After { .. });
        let last = matches!(feed.moves, Moves::After { last: true, .. });
        places = rekeyed(places, known.as_ref(), &region.grouping, asks, last);
    }
    let rows = Rows { places, key: Some(Keys { values, hashes }), columns: chosen.columns(&feed.columns)? };
    Ok(match feed.moves {
        Moves::Stay if feed.apart.is_some() => Fed::There(ordered(rows)?),
        Moves::Stay => Fed::There(settle(rows)?),
        Moves::By(duration) => Fed::By(rows, chosen.column(duration)?),
        Moves::To(time) => Fed::To(rows, chosen.column(time)?),
        Moves::Until(mask) => Fed::Until(rows, chosen.column(mask)?),
        Moves::After { all, .. } => Fed::There(after(rows, all)?),
        Moves::Back { standing, origin_time, origin_lane, made_for, turn } => {
            let Standing { lane, ordinal } = standing;
            let [lane, origin_time, origin_lane, ordinal, made_for] =
                [lane, origin_time, origin_lane, ordinal, made_for].map(|reg| chosen.column(reg));
            let turn = turn.map(|turn| chosen.column(turn)).transpose()?;
            Fed::There(back(rows, [lane?, origin_time?, origin_lane?, ordinal?, made_for?], turn.as_ref())?)
        }
    })
}
