//! Values in the order they came, per key: what `lag` keeps, and what a trailing window holds.
//!
//! The values lie in [`Slots`], each in a slot of its own; a key's queue holds the numbers of its slots. A
//! slot that is left is used again once the batch is done, since the values shown are read at its end.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, ListArray};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field};
use arrow_select::filter::filter;

use super::aggregate::{Aggregate, Batch};
use super::array::{ends, fill};
use super::error::EngineError;
use super::passing::{Passing, Wanted};
use super::slots::{Keep, Slots};
use crate::types;

/// Queues of values by number, each value with a mark of its own.
pub(super) struct Queues<M> {
    slots: Slots,
    queues: Vec<VecDeque<(M, u32)>>,
    /// Number of slots; the first holds null.
    used: u32,
    free: Vec<u32>,
    /// Left in the batch at hand.
    left: Vec<u32>,
}

impl<M: Copy> Queues<M> {
    /// The slot of what is null.
    pub(super) const NULL: u32 = 0;

    pub(super) fn new(data_type: &DataType) -> Result<Self, EngineError> {
        let mut slots = Slots::new(data_type)?;
        slots.grow(1);
        Ok(Self { slots, queues: Vec::new(), used: 1, free: Vec::new(), left: Vec::new() })
    }

    pub(super) fn data_type(&self) -> &DataType {
        self.slots.data_type()
    }

    /// Makes queues for this many numbers.
    pub(super) fn grow(&mut self, known: usize) {
        fill(&mut self.queues, known, VecDeque::new());
    }

    /// Keeps the values at `valid` rows (none: at all); gives the slot of each, in order.
    pub(super) fn keep(
        &mut self,
        values: &ArrayRef,
        valid: Option<&BooleanBuffer>,
    ) -> Result<Vec<u32>, EngineError> {
        let kept = match valid {
            None => Arc::clone(values),
            Some(valid) => filter(values, &BooleanArray::new(valid.clone(), None))
                .map_err(EngineError::kernel("state"))?,
        };
        let mut slots = Vec::with_capacity(kept.len());
        for _ in 0..kept.len() {
            slots.push(match self.free.pop() {
                Some(slot) => slot,
                None => {
                    let slot = self.used;
                    self.used = slot.checked_add(1).ok_or(EngineError::TooManyKeys)?;
                    slot
                }
            });
        }
        self.slots.grow(self.used as usize);
        self.slots.put(&slots, &kept)?;
        Ok(slots)
    }

    pub(super) fn of(&self, number: u32) -> &VecDeque<(M, u32)> {
        &self.queues[number as usize]
    }

    pub(super) fn push(&mut self, number: u32, mark: M, slot: u32) {
        self.queues[number as usize].push_back((mark, slot));
    }

    /// Lets go of the oldest value while `leaves` says so of its mark; tells whether any went.
    pub(super) fn shorten(&mut self, number: u32, leaves: impl Fn(M, usize) -> bool) -> bool {
        let queue = &mut self.queues[number as usize];
        let before = queue.len();
        while let Some((mark, slot)) = queue.front().copied()
            && leaves(mark, queue.len())
        {
            self.left.push(slot);
            queue.pop_front();
        }
        queue.len() < before
    }

    /// Lets go of the newest values while the one in `slot`, which comes after them, is kept in their place.
    pub(super) fn crowd_out(&mut self, number: u32, keep: Keep, slot: u32) {
        let queue = &mut self.queues[number as usize];
        while let Some((_, last)) = queue.back().copied()
            && self.slots.outdoes(keep, slot, last)
        {
            self.left.push(last);
            queue.pop_back();
        }
    }

    /// Takes a queue as it is; its slots stay taken.
    pub(super) fn drain(&mut self, number: u32) -> VecDeque<(M, u32)> {
        std::mem::take(&mut self.queues[number as usize])
    }

    /// Empties the queues of these numbers.
    pub(super) fn clear(&mut self, numbers: &[u32]) {
        for number in numbers {
            if let Some(queue) = self.queues.get_mut(*number as usize) {
                self.left.extend(queue.drain(..).map(|(_, slot)| slot));
            }
        }
        self.done();
    }

    /// Bytes of the longest value, where values differ in that; of new ones it is `fresh`.
    pub(super) fn shows(&self, fresh: usize) -> usize {
        self.slots.shows(fresh)
    }

    /// Number of values of the longest queue.
    pub(super) fn longest(&self) -> usize {
        self.queues.iter().map(VecDeque::len).max().unwrap_or_default()
    }

    /// The values in slots.
    pub(super) fn values(&self, slots: &[u32]) -> Result<ArrayRef, EngineError> {
        self.slots.take(slots)
    }

    /// The batch is done: what was left is used again.
    pub(super) fn done(&mut self) {
        self.free.append(&mut self.left);
    }

    /// The queues of these numbers: their marks, and their values as lists.
    pub(super) fn save(&self, numbers: &[u32]) -> Result<(Vec<M>, ArrayRef), EngineError> {
        let queue = |number: &u32| self.queues.get(*number as usize);
        let lengths = ends(numbers.iter().map(|number| queue(number).map_or(0, VecDeque::len)));
        let lengths = lengths.map_err(EngineError::kernel("state"))?;
        let (marks, slots): (Vec<M>, Vec<u32>) = numbers.iter().filter_map(queue).flatten().copied().unzip();
        Ok((marks, list(self.slots.data_type(), lengths, self.values(&slots)?, None)?))
    }

    /// Takes up what [`Self::save`] gave.
    pub(super) fn load(
        &mut self,
        numbers: &[u32],
        known: usize,
        marks: &[M],
        values: &ListArray,
    ) -> Result<(), EngineError> {
        self.grow(known);
        let (first, last) =
            (values.value_offsets()[0] as usize, values.value_offsets()[values.len()] as usize);
        if last - first != marks.len() || values.len() != numbers.len() {
            return Err(EngineError::mismatch("queues", marks.len(), last - first));
        }
        let slots = self.keep(&values.values().slice(first, last - first), None)?;
        let mut kept = marks.iter().copied().zip(slots);
        for (number, ends) in numbers.iter().zip(values.value_offsets().windows(2)) {
            let length = (ends[1] - ends[0]) as usize;
            self.queues[*number as usize].extend(kept.by_ref().take(length));
        }
        Ok(())
    }

    pub(super) fn memory(&self) -> usize {
        let queues: usize = self.queues.iter().map(|queue| queue.capacity() * size_of::<(M, u32)>()).sum();
        self.slots.memory()
            + queues
            + self.queues.capacity() * size_of::<VecDeque<(M, u32)>>()
            + self.free.capacity() * 4
    }
}

/// Lists of values, null where `nulls` say so.
pub(super) fn list(
    item: &DataType,
    lengths: OffsetBuffer<i32>,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, EngineError> {
    let DataType::List(field) = types::list(item.clone()) else {
        return Err(EngineError::mismatch("list", "a list", item));
    };
    let field = Field::new(field.name(), item.clone(), true);
    let lists = ListArray::try_new(Arc::new(field), lengths, values, nulls);
    Ok(Arc::new(lists.map_err(EngineError::kernel("list"))?))
}

/// The lists of a saved state.
pub(super) fn saved_lists<'a>(state: &'a [ArrayRef], item: &DataType) -> Result<&'a ListArray, EngineError> {
    let lists = state.first().and_then(|lists| lists.as_list_opt::<i32>());
    let lists = lists.filter(|lists| lists.value_type() == *item);
    lists.ok_or_else(|| EngineError::mismatch("queues", "lists of the values", "another state"))
}

/// The state of `lag`: the newest value and the `n` before it.
pub(super) struct Lag {
    n: usize,
    queues: Queues<()>,
}

impl Lag {
    pub(super) fn new(input: &DataType, n: usize) -> Result<Self, EngineError> {
        Ok(Self { n, queues: Queues::new(input)? })
    }

    /// Lets go of what is older than the value that is shown.
    fn shorten(&mut self, key: u32) {
        let room = self.n.saturating_add(1);
        self.queues.shorten(key, |(), len| len > room);
    }
}

impl Aggregate for Lag {
    fn data_type(&self) -> DataType {
        self.queues.data_type().clone()
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        self.queues.grow(batch.known);
        let valid = batch.valid();
        let mut new = self.queues.keep(&batch.array()?, valid.as_ref())?.into_iter();
        let mut shown = Vec::with_capacity(batch.keys.len());
        for (row, key) in batch.keys.iter().enumerate() {
            if valid.as_ref().is_none_or(|valid| valid.value(row)) {
                self.queues.push(*key, (), new.next().unwrap_or(Queues::<()>::NULL));
                self.shorten(*key);
            }
            let queue = self.queues.of(*key);
            shown.push(match queue.front() {
                Some(((), slot)) if queue.len() > self.n => *slot,
                _ => Queues::<()>::NULL,
            });
        }
        let values = self.queues.values(&shown)?;
        self.queues.done();
        Ok(values)
    }

    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        self.queues.clear(keys);
        Ok(())
    }

    fn shows(&self, fresh: usize, _rows: usize) -> usize {
        self.queues.shows(fresh)
    }

    fn trailing(&self, nanos: i64) -> Option<Result<Box<dyn Aggregate>, EngineError>> {
        let made = Passing::new(Wanted::Lag(self.n), self.queues.data_type(), nanos);
        Some(made.map(|passing| Box::new(passing) as Box<dyn Aggregate>))
    }

    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        Ok(vec![self.queues.save(keys)?.1])
    }

    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError> {
        let lists = saved_lists(state, self.queues.data_type())?;
        let marks = vec![(); (lists.value_offsets()[lists.len()] - lists.value_offsets()[0]) as usize];
        self.queues.load(keys, known, &marks, lists)?;
        keys.iter().for_each(|key| self.shorten(*key));
        self.queues.done();
        Ok(())
    }

    fn memory(&self) -> usize {
        self.queues.memory()
    }
}
