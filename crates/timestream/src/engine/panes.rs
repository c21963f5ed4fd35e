//! Counts and whole sums over the last intervals, kept by interval: a point is folded once, and the end of a
//! window adds up what its intervals hold.
//!
//! That is the sum of the points in order as long as no sum on the way can go beyond its type. Once one could
//! ([`Panes::has_room`]), [`Sliding`](super::windows) folds each window from its start instead, which takes
//! up the state as it is saved here: in both ways the same.

use std::sync::Arc;

use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Int64Array, PrimitiveArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};

use super::aggregate::Batch;
use super::array::fill;
use super::error::EngineError;
use super::saved::{forget, part};
use super::whole::{Added, Whole};

/// A key's current interval.
#[derive(Clone, Copy)]
struct Pane {
    /// What it holds so far; that of u64 by its bits.
    sum: i64,
    /// How many ends the key has had since the last point that the window's value is not null by; large
    /// before there was one.
    age: u32,
    /// Which of its closed intervals is the oldest.
    oldest: u32,
}

impl Default for Pane {
    fn default() -> Self {
        Self { sum: 0, age: u32::MAX, oldest: 0 }
    }
}

/// The state of `count`, `count_if` or a whole `sum` over the last intervals.
pub(super) struct Panes {
    whole: Whole,
    /// How many intervals a window has before the current one.
    before: usize,
    current: Vec<Pane>,
    /// Of each key what the intervals before the current one hold.
    closed: Vec<i64>,
    /// No sum so far is larger, without its sign.
    bound: u64,
}

impl Panes {
    /// No points yet; a window has so many intervals, one at least.
    pub(super) fn new(whole: Whole, intervals: u32) -> Self {
        let before = intervals.saturating_sub(1) as usize;
        Self { whole, before, current: Vec::new(), closed: Vec::new(), bound: 0 }
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.current.len()
    }

    fn grow(&mut self, known: usize) {
        fill(&mut self.current, known, Pane::default());
        fill(&mut self.closed, known.saturating_mul(self.before), 0);
    }

    /// What a batch adds, if no sum can go beyond its type by it.
    pub(super) fn has_room(&mut self, batch: &Batch<'_>) -> Result<Option<Added>, EngineError> {
        let added = self.whole.added(batch)?;
        if let Some(numbers) = &added.numbers {
            let size = |value: i64| match self.whole {
                Whole::Unsigned => value.cast_unsigned(),
                _ => value.unsigned_abs(),
            };
            let largest = numbers.iter().map(|value| size(*value)).max().unwrap_or(0);
            // What stands under nulls means nothing.
            let sizes: u128 = match &added.rows {
                Some(rows) => rows.set_indices().map(|row| u128::from(size(numbers[row]))).sum(),
                None if largest.checked_mul(numbers.len() as u64).is_some() => {
                    numbers.iter().map(|value| size(*value)).sum::<u64>().into()
                }
                None => numbers.iter().map(|value| u128::from(size(*value))).sum(),
            };
            match self.within(sizes.saturating_add(self.bound.into())) {
                Some(bound) => self.bound = bound,
                None => return Ok(None),
            }
        }
        Ok(Some(added))
    }

    /// A bound, if it is within the type.
    fn within(&self, bound: u128) -> Option<u64> {
        let bound = u64::try_from(bound).ok()?;
        (self.whole == Whole::Unsigned || i64::try_from(bound).is_ok()).then_some(bound)
    }

    /// Folds a batch and what it adds. Gives values at the ends alone.
    pub(super) fn fold(&mut self, batch: &Batch<'_>, added: &Added) -> Result<ArrayRef, EngineError> {
        self.grow(batch.known);
        let len = batch.keys.len();
        let Some(ends) = batch.ends else {
            self.add(batch, added);
            return Ok(new_null_array(&self.whole.data_type(), len));
        };
        let mut out = vec![0; len];
        let holds = BooleanBuffer::collect_bool(len, |row| {
            let key = batch.keys[row] as usize;
            let pane = &mut self.current[key];
            let adds = added.rows.as_ref().is_none_or(|rows| rows.value(row));
            if adds {
                pane.sum = pane.sum.wrapping_add(added.numbers.as_ref().map_or(1, |numbers| numbers[row]));
            }
            // A count is not null by a point alone.
            if adds || (!self.whole.is_sum() && batch.present.is_none_or(|present| present.value(row))) {
                pane.age = 0;
            }
            if !ends.value(row) {
                return false;
            }
            let closed = &mut self.closed[key * self.before..][..self.before];
            out[row] = closed.iter().fold(pane.sum, |sum, closed| sum.wrapping_add(*closed));
            let holds = pane.age as usize <= self.before;
            if let Some(oldest) = closed.get_mut(pane.oldest as usize) {
                *oldest = pane.sum;
                pane.oldest = (pane.oldest + 1) % self.before as u32;
            }
            pane.sum = 0;
            pane.age = pane.age.saturating_add(1);
            holds
        });
        let nulls = Some(NullBuffer::new(holds));
        Ok(match self.whole {
            Whole::Unsigned => {
                let out: ScalarBuffer<i64> = out.into();
                Arc::new(UInt64Array::new(out.into_inner().into(), nulls))
            }
            _ => Arc::new(Int64Array::new(out.into(), nulls)),
        })
    }

    /// Folds rows of which none is an end: as almost all of a calendar's are.
    fn add(&mut self, batch: &Batch<'_>, added: &Added) {
        let current = self.current.as_mut_slice();
        match (&added.rows, &added.numbers) {
            (None, Some(numbers)) => {
                for (key, value) in batch.keys.iter().zip(numbers) {
                    let pane = &mut current[*key as usize];
                    pane.sum = pane.sum.wrapping_add(*value);
                    pane.age = 0;
                }
            }
            (None, None) => {
                for key in batch.keys {
                    let pane = &mut current[*key as usize];
                    pane.sum = pane.sum.wrapping_add(1);
                    pane.age = 0;
                }
            }
            (Some(rows), numbers) => {
                for row in rows.set_indices() {
                    let pane = &mut current[batch.keys[row] as usize];
                    pane.sum = pane.sum.wrapping_add(numbers.as_ref().map_or(1, |numbers| numbers[row]));
                    pane.age = 0;
                }
            }
        }
        if !self.whole.is_sum() && added.rows.is_some() {
            let present = (0..batch.keys.len()).filter(|row| batch.present.is_none_or(|p| p.value(*row)));
            present.for_each(|row| current[batch.keys[row] as usize].age = 0);
        }
    }

    pub(super) fn reset(&mut self, keys: &[u32]) {
        forget(&mut self.current, keys);
        for key in keys {
            let closed = *key as usize * self.before;
            if let Some(closed) = self.closed.get_mut(closed..closed + self.before) {
                closed.fill(0);
            }
        }
    }

    /// What windows that begin one interval after the other hold, the oldest first: of each its sum, if it has one.
    fn windows(&self, key: u32) -> Vec<Option<i64>> {
        let mut windows = vec![None; self.before + 1];
        let Some(pane) = self.current.get(key as usize) else { return windows };
        let closed = &self.closed[key as usize * self.before..][..self.before];
        let mut sum = pane.sum;
        for (newer, window) in windows.iter_mut().rev().enumerate() {
            *window = (pane.age as usize <= newer).then_some(sum);
            // The newest is before the oldest.
            if newer < self.before {
                let at = (pane.oldest as usize + self.before - 1 - newer) % self.before;
                sum = sum.wrapping_add(closed[at]);
            }
        }
        windows
    }

    /// The state of these keys as [`Sliding`](super::windows) has it without panes: how many ends, then of
    /// each window whether it has ended and what it holds.
    pub(super) fn save(&self, keys: &[u32]) -> Vec<ArrayRef> {
        let windows: Vec<Vec<Option<i64>>> = keys.iter().map(|key| self.windows(*key)).collect();
        let no: ArrayRef = Arc::new(BooleanArray::from(vec![false; keys.len()]));
        let mut state: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(vec![0; keys.len()]))];
        for at in 0..=self.before {
            let held = windows.iter().map(|windows| windows[at]);
            state.push(Arc::clone(&no));
            match self.whole {
                Whole::NotNull | Whole::True => {
                    let counts = held.map(|count| count.map_or(0, |count| count.cast_unsigned() + 1));
                    state.push(Arc::new(UInt64Array::from_iter_values(counts)));
                }
                Whole::Signed => state.push(Arc::new(held.collect::<Int64Array>())),
                Whole::Unsigned => {
                    let sums = held.map(|sum| sum.map(i64::cast_unsigned));
                    state.push(Arc::new(sums.collect::<UInt64Array>()));
                }
            }
            if self.whole.is_sum() {
                state.push(Arc::clone(&no));
            }
        }
        state
    }

    /// Takes up what [`Self::save`] gave, or such a state of windows that were folded from their starts;
    /// false, and nothing is done, where one is beyond its type or may come to be.
    pub(super) fn load(
        &mut self,
        keys: &[u32],
        known: usize,
        state: &[ArrayRef],
    ) -> Result<bool, EngineError> {
        let ends = part::<UInt32Array>(state, 0, "sliding")?;
        let mut windows = Vec::with_capacity(self.before + 1);
        for at in 0..=self.before {
            windows.push(Saved::new(self.whole, state, 1 + at * if self.whole.is_sum() { 3 } else { 2 })?);
        }
        let held = |row: usize, at: usize| windows[(ends.value(row) as usize + at) % windows.len()].get(row);
        let mut largest = 0;
        for row in 0..keys.len() {
            for window in &windows {
                if window.overflowed.is_some_and(|overflowed| overflowed.value(row)) {
                    return Ok(false);
                }
                let size = window.get(row).map_or(0, |sum| self.whole.number(sum).unsigned_abs());
                largest = largest.max(size);
            }
        }
        let Some(bound) = self.within(largest + u128::from(self.bound)) else { return Ok(false) };
        self.bound = bound;
        self.grow(known);
        for (row, key) in keys.iter().enumerate() {
            let key = *key as usize;
            let pane = &mut self.current[key];
            let closed = &mut self.closed[key * self.before..][..self.before];
            let mut longer = held(row, 0);
            for (at, closed) in closed.iter_mut().enumerate() {
                let shorter = held(row, at + 1);
                *closed = longer.unwrap_or(0).wrapping_sub(shorter.unwrap_or(0));
                longer = shorter;
            }
            let newest = (0..=self.before).rev().find(|at| held(row, *at).is_some());
            let age = newest.map_or(u32::MAX, |newest| (self.before - newest) as u32);
            *pane = Pane { sum: longer.unwrap_or(0), age, oldest: 0 };
        }
        Ok(true)
    }

    pub(super) fn memory(&self) -> usize {
        self.current.capacity() * size_of::<Pane>() + self.closed.capacity() * 8
    }
}

/// A saved window of each key.
struct Saved<'a> {
    whole: Whole,
    ended: &'a BooleanArray,
    values: ScalarBuffer<i64>,
    nulls: Option<&'a NullBuffer>,
    overflowed: Option<&'a BooleanArray>,
}

impl<'a> Saved<'a> {
    fn new(whole: Whole, state: &'a [ArrayRef], first: usize) -> Result<Self, EngineError> {
        fn held<T: arrow_array::ArrowPrimitiveType>(
            state: &[ArrayRef],
            at: usize,
        ) -> Result<(ScalarBuffer<i64>, Option<&NullBuffer>), EngineError> {
            let values = part::<PrimitiveArray<T>>(state, at, "sliding")?;
            Ok((values.values().inner().clone().into(), values.nulls()))
        }
        let (values, nulls) = match whole {
            Whole::Signed => held::<Int64Type>(state, first + 1)?,
            _ => held::<UInt64Type>(state, first + 1)?,
        };
        let overflowed =
            if whole.is_sum() { Some(part::<BooleanArray>(state, first + 2, "sliding")?) } else { None };
        Ok(Self { whole, ended: part::<BooleanArray>(state, first, "sliding")?, values, nulls, overflowed })
    }

    /// What a key's window holds; nothing once it has ended.
    fn get(&self, row: usize) -> Option<i64> {
        if self.ended.value(row) || self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        let value = self.values[row];
        if self.whole.is_sum() { Some(value) } else { value.checked_sub(1).filter(|count| *count >= 0) }
    }
}
