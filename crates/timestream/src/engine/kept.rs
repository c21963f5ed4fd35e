//! `first`, `last`, `min` and `max`, of which a key keeps one value; and the same over the last intervals, of
//! which each keeps one.
//!
//! What a window keeps is what it keeps of its intervals' values, so a point is offered to one interval only.
//! An interval has a slot once it has a value: a key whose window is empty holds none.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array, new_null_array};
use arrow_schema::DataType;
use arrow_select::take::take;

use super::aggregate::{Aggregate, Batch};
use super::array::fill;
use super::error::EngineError;
use super::passing::{Passing, Wanted};
use super::saved::part;
use super::slots::{Keep, Slots};

/// The state of `first`, `last`, `min` or `max`.
pub(super) struct Kept {
    pub(super) keep: Keep,
    pub(super) slots: Slots,
}

impl Aggregate for Kept {
    fn data_type(&self) -> DataType {
        self.slots.data_type().clone()
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        self.slots.grow(batch.known);
        self.slots.fold(self.keep, batch.keys, &batch.array()?, batch.valid().as_ref())
    }

    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        let known: Vec<u32> = keys.iter().copied().filter(|key| (*key as usize) < self.slots.len()).collect();
        self.slots.clear(&known)
    }

    fn sliding(&self, intervals: u32) -> Option<Result<Box<dyn Aggregate>, EngineError>> {
        let made = KeptPanes::new(self.keep, self.slots.data_type(), intervals);
        Some(made.map(|panes| Box::new(panes) as Box<dyn Aggregate>))
    }

    fn trailing(&self, nanos: i64) -> Option<Result<Box<dyn Aggregate>, EngineError>> {
        let made = Passing::new(Wanted::Kept(self.keep), self.slots.data_type(), nanos);
        Some(made.map(|passing| Box::new(passing) as Box<dyn Aggregate>))
    }

    fn shows(&self, fresh: usize, _rows: usize) -> usize {
        self.slots.shows(fresh)
    }

    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        Ok(vec![self.slots.take(keys)?])
    }

    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError> {
        self.slots.grow(known);
        let values =
            state.first().ok_or_else(|| EngineError::mismatch("state", self.slots.data_type(), "none"))?;
        self.slots.put(keys, values)
    }

    fn memory(&self) -> usize {
        self.slots.memory()
    }
}

/// The slot of an interval without a value; it is never filled.
const NONE: u32 = 0;

/// The same over the last intervals.
struct KeptPanes {
    keep: Keep,
    slots: Slots,
    intervals: usize,
    /// Of each key the slots of its intervals, the current one last.
    panes: Vec<u32>,
    /// Number of slots.
    used: u32,
    free: Vec<u32>,
}

impl KeptPanes {
    fn new(keep: Keep, input: &DataType, intervals: u32) -> Result<Self, EngineError> {
        let mut slots = Slots::new(input)?;
        slots.grow(1);
        let intervals = intervals.max(1) as usize;
        Ok(Self { keep, slots, intervals, panes: Vec::new(), used: 1, free: Vec::new() })
    }

    fn grow(&mut self, known: usize) {
        fill(&mut self.panes, known.saturating_mul(self.intervals), NONE);
    }

    fn of(&mut self, key: u32) -> &mut [u32] {
        &mut self.panes[key as usize * self.intervals..][..self.intervals]
    }

    fn next(&mut self) -> Result<u32, EngineError> {
        if let Some(slot) = self.free.pop() {
            return Ok(slot);
        }
        let slot = self.used;
        self.used = slot.checked_add(1).ok_or(EngineError::TooManyKeys)?;
        Ok(slot)
    }

    /// What windows of these slots keep, each of `intervals` or fewer of them.
    fn shown(&self, windows: &[(u32, u32)]) -> Result<ArrayRef, EngineError> {
        let (of, slots): (Vec<u32>, Vec<u32>) = windows.iter().copied().unzip();
        let mut shown = Slots::new(self.slots.data_type())?;
        shown.grow(of.last().map_or(0, |last| *last as usize + 1));
        let values = self.slots.take(&slots)?;
        let valid = values.logical_nulls().map(arrow_buffer::NullBuffer::into_inner);
        shown.fold(self.keep, &of, &values, valid.as_ref())?;
        shown.take(&(0..shown.len() as u32).collect::<Vec<_>>())
    }
}

impl Aggregate for KeptPanes {
    fn data_type(&self) -> DataType {
        self.slots.data_type().clone()
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        self.grow(batch.known);
        let valid = batch.valid();
        let mut slots = Vec::with_capacity(batch.keys.len());
        // The windows that end: what each is made of, by its number, and at which row it is shown.
        let (mut windows, mut rows) = (Vec::new(), Vec::new());
        let mut left = Vec::new();
        for (row, key) in batch.keys.iter().enumerate() {
            let current = self.intervals - 1;
            let mut slot = self.of(*key)[current];
            if slot == NONE && valid.as_ref().is_none_or(|valid| valid.value(row)) {
                slot = self.next()?;
                self.of(*key)[current] = slot;
            }
            slots.push(slot);
            if batch.ends.is_some_and(|ends| ends.value(row)) {
                let number = rows.len() as u32;
                rows.push(row);
                let panes = self.of(*key);
                windows.extend(panes.iter().map(|slot| (number, *slot)));
                left.extend(Some(panes[0]).filter(|slot| *slot != NONE));
                panes.rotate_left(1);
                panes[current] = NONE;
            }
        }
        self.slots.grow(self.used as usize);
        self.slots.fold(self.keep, &slots, &batch.array()?, valid.as_ref())?;
        if rows.is_empty() {
            return Ok(new_null_array(self.slots.data_type(), batch.keys.len()));
        }
        // Each slot has its interval's value by now: none is used again in the batch.
        let shown = self.shown(&windows)?;
        self.slots.clear(&left)?;
        self.free.append(&mut left);
        if rows.len() == batch.keys.len() {
            return Ok(shown);
        }
        let mut at: Vec<Option<u32>> = vec![None; batch.keys.len()];
        (0..).zip(rows).for_each(|(number, row)| at[row] = Some(number));
        take(&shown, &UInt32Array::from(at), None).map_err(EngineError::kernel("sliding"))
    }

    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        let mut left = Vec::new();
        for key in keys {
            let panes = *key as usize * self.intervals;
            let panes = self.panes.get_mut(panes..panes + self.intervals).unwrap_or(&mut []);
            left.extend(panes.iter().copied().filter(|slot| *slot != NONE));
            panes.fill(NONE);
        }
        self.slots.clear(&left)?;
        self.free.append(&mut left);
        Ok(())
    }

    fn shows(&self, fresh: usize, _rows: usize) -> usize {
        self.slots.shows(fresh) * self.intervals
    }

    /// As windows that begin one interval after the other, the oldest first: how many ends, then of each
    /// window that it has not ended, and what it keeps.
    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        let no: ArrayRef = Arc::new(BooleanArray::from(vec![false; keys.len()]));
        let mut state: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(vec![0; keys.len()]))];
        for at in 0..self.intervals {
            let mut windows = Vec::with_capacity(keys.len() * self.intervals);
            for (number, key) in (0..).zip(keys) {
                let panes = *key as usize * self.intervals;
                let panes = self.panes.get(panes..panes + self.intervals).unwrap_or(&[]);
                let slots = panes.iter().skip(at).copied().chain(panes.is_empty().then_some(NONE));
                windows.extend(slots.map(|slot| (number, slot)));
            }
            state.extend([Arc::clone(&no), self.shown(&windows)?]);
        }
        Ok(state)
    }

    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError> {
        let ends = part::<UInt32Array>(state, 0, "sliding")?;
        if state.len() != 1 + 2 * self.intervals {
            return Err(EngineError::mismatch("sliding", 1 + 2 * self.intervals, state.len()));
        }
        self.grow(known);
        for (at, window) in state[1..].chunks(2).enumerate() {
            let ended = part::<BooleanArray>(window, 0, "sliding")?;
            let (mut slots, mut rows) = (Vec::new(), Vec::new());
            for (row, key) in keys.iter().enumerate() {
                // A window keeps what it would as an interval of its own before those of the newer ones.
                if !ended.value(row) && window[1].is_valid(row) {
                    let older = ends.value(row) as usize % self.intervals;
                    let slot = self.next()?;
                    let pane = (at + self.intervals - older) % self.intervals;
                    self.of(*key)[pane] = slot;
                    slots.push(slot);
                    rows.push(row as u32);
                }
            }
            self.slots.grow(self.used as usize);
            let values = take(&window[1], &UInt32Array::from(rows), None);
            self.slots.put(&slots, &values.map_err(EngineError::kernel("sliding"))?)?;
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        self.slots.memory() + (self.panes.capacity() + self.free.capacity()) * 4
    }
}
