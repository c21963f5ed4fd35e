//! `first last min max lag collect` over the last so many nanoseconds, which show values that are in the
//! window: none is folded anew.
//!
//! A key's values pass through a queue, each once in and once out. One that can never be shown is not kept:
//! with `max` none that a later one is above, so that the queue falls and the greatest is in front; with
//! `last` all but the newest; with `lag(n)` no more than n + 1.

use std::sync::Arc;

use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, ListArray};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field};

use super::aggregate::{Aggregate, Batch};
use super::array::{carried, fill};
use super::error::EngineError;
use super::queues::{Queues, list};
use super::saved::{forget, part};
use super::slots::Keep;
use crate::types;

/// What is shown of the values in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The one that is kept.
    Kept(Keep),
    /// The n-th before the newest.
    Lag(usize),
    /// At most `max` of the newest, once there are `min`.
    Collect {
        /// So many at most.
        max: usize,
        /// So many at least.
        min: usize,
    },
}

/// The state of one of them.
pub(super) struct Passing {
    wanted: Wanted,
    nanos: i64,
    /// The values in each key's window with their times.
    queues: Queues<i64>,
    /// Whether a key has had a point.
    begun: Vec<bool>,
    /// The number of values of the longest list, or more: as of when it was looked for, and what has come since.
    longest: usize,
    since: usize,
}

impl Passing {
    pub(super) fn new(wanted: Wanted, input: &DataType, nanos: i64) -> Result<Self, EngineError> {
        Ok(Self { wanted, nanos, queues: Queues::new(input)?, begun: Vec::new(), longest: 0, since: 0 })
    }

    fn grow(&mut self, known: usize) {
        self.queues.grow(known);
        fill(&mut self.begun, known, false);
    }

    /// Adds a value, and lets go of what is not shown any more.
    fn enter(&mut self, key: u32, time: i64, slot: u32) {
        let room = match self.wanted {
            Wanted::Kept(keep) => {
                self.queues.crowd_out(key, keep, slot);
                usize::MAX
            }
            Wanted::Lag(n) => n.saturating_add(1),
            Wanted::Collect { max, .. } => max,
        };
        self.queues.push(key, time, slot);
        self.queues.shorten(key, |_, len| len > room);
    }

    /// The slot of the one value that is shown.
    fn one(&self, key: u32) -> u32 {
        let queue = self.queues.of(key);
        let is_shown = match self.wanted {
            Wanted::Lag(n) => queue.len() > n,
            _ => true,
        };
        queue.front().filter(|_| is_shown).map_or(Queues::<i64>::NULL, |(_, slot)| *slot)
    }
}

/// What is shown of a batch.
struct Shown {
    slots: Vec<u32>,
    /// Where each row's list ends.
    ends: Vec<i32>,
    holds: Vec<bool>,
}

impl Aggregate for Passing {
    fn data_type(&self) -> DataType {
        let item = self.queues.data_type().clone();
        if let Wanted::Collect { .. } = self.wanted { types::list(item) } else { item }
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        self.grow(batch.known);
        let valid = batch.valid();
        let mut new = self.queues.keep(&batch.array()?, valid.as_ref())?.into_iter();
        let mut shown =
            Shown { slots: Vec::with_capacity(batch.keys.len()), ends: vec![0], holds: Vec::new() };
        for (row, key) in batch.keys.iter().enumerate() {
            batch.look(row)?;
            if batch.present.is_none_or(|present| present.value(row)) {
                self.begun[*key as usize] = true;
                // A window excludes its start.
                if let Some(start) = batch.times[row].checked_sub(self.nanos) {
                    self.queues.shorten(*key, |at, _| at <= start);
                }
            }
            if valid.as_ref().is_none_or(|valid| valid.value(row)) {
                self.enter(*key, batch.times[row], new.next().unwrap_or(Queues::<i64>::NULL));
            }
            let Wanted::Collect { min, .. } = self.wanted else {
                shown.slots.push(self.one(*key));
                continue;
            };
            let queue = self.queues.of(*key);
            self.longest = self.longest.max(queue.len());
            let is_shown = self.begun[*key as usize] && queue.len() >= min;
            if is_shown {
                shown.slots.extend(queue.iter().map(|(_, slot)| *slot));
            }
            let end = i32::try_from(shown.slots.len());
            let end = end.map_err(|_| ArrowError::OffsetOverflowError(shown.slots.len()));
            shown.ends.push(end.map_err(EngineError::kernel("collect"))?);
            shown.holds.push(is_shown);
        }
        let values = self.queues.values(&shown.slots)?;
        self.queues.done();
        // Looked for anew when as many rows have come as there are keys: lists become shorter, too.
        self.since += batch.keys.len();
        if self.since > self.begun.len() {
            (self.longest, self.since) = (self.queues.longest(), 0);
        }
        let Wanted::Collect { .. } = self.wanted else { return Ok(values) };
        let nulls = NullBuffer::new(BooleanBuffer::from(shown.holds));
        let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
        list(self.queues.data_type(), OffsetBuffer::new(shown.ends.into()), values, nulls)
    }

    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        self.queues.clear(keys);
        forget(&mut self.begun, keys);
        Ok(())
    }

    fn shows(&self, fresh: usize, rows: usize) -> usize {
        let of_one = self.queues.shows(fresh);
        let Wanted::Collect { max, .. } = self.wanted else { return of_one };
        // Numbers have eight bytes, and each value its place in the list of what is shown.
        self.longest.saturating_add(rows).min(max).saturating_mul(of_one + 12)
    }

    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        let mut state = save_timed(&self.queues, keys)?;
        if let Wanted::Collect { .. } = self.wanted {
            let begun = |key: &u32| self.begun.get(*key as usize).copied().unwrap_or(false);
            let begun: BooleanArray = keys.iter().map(|key| Some(begun(key))).collect();
            state.push(Arc::new(begun));
        }
        Ok(state)
    }

    /// Also what is in a window that is folded anew when values leave, which has more values, and parts that
    /// follow from them.
    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError> {
        self.grow(known);
        load_timed(&mut self.queues, keys, known, state)?;
        for key in keys {
            for (time, slot) in self.queues.drain(*key) {
                self.enter(*key, time, slot);
            }
        }
        self.queues.done();
        self.longest = self.queues.longest();
        if let Wanted::Collect { .. } = self.wanted {
            let begun = part::<BooleanArray>(state, state.len().saturating_sub(1), "collect")?;
            for (row, key) in keys.iter().enumerate() {
                self.begun[*key as usize] = begun.value(row);
            }
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        self.queues.memory() + self.begun.capacity()
    }
}

/// The values in windows, and their times beside them in lists of the same lengths.
pub(super) fn save_timed(queues: &Queues<i64>, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
    let (times, values) = queues.save(keys)?;
    let lists = ListArray::from(values.to_data());
    let field = Arc::new(Field::new("item", DataType::Int64, false));
    let times = ListArray::try_new(field, lists.offsets().clone(), Arc::new(Int64Array::from(times)), None);
    Ok(vec![values, Arc::new(times.map_err(EngineError::kernel("trailing"))?)])
}

/// Takes up what [`save_timed`] gave.
pub(super) fn load_timed(
    queues: &mut Queues<i64>,
    keys: &[u32],
    known: usize,
    state: &[ArrayRef],
) -> Result<(), EngineError> {
    let values = part::<ListArray>(state, 0, "trailing")?;
    let times = part::<ListArray>(state, 1, "trailing")?;
    if values.value_type() != *queues.data_type() {
        return Err(EngineError::mismatch("trailing", queues.data_type(), values.value_type()));
    }
    let (first, last) = (times.value_offsets()[0] as usize, times.value_offsets()[times.len()] as usize);
    let marks = carried::<Int64Type>(times.values()).map_err(EngineError::kernel("trailing"))?;
    queues.load(keys, known, &marks.values()[first..last], values)?;
    queues.done();
    Ok(())
}
