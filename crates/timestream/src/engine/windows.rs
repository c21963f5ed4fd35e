//! Aggregations over windows, made of aggregations over all points: each window is a number of its own to the
//! one within.
//!
//! [`Since`] gives a key a new number, or a state put back to its first, at the first point after an end.
//! [`Sliding`] is as many of those as a window has intervals, whose windows begin one interval after the
//! other, so that every point is folded in order from the start of each window that holds it: floats are the
//! same however rows come in batches. Whole numbers need no more than what each interval holds ([`Panes`]).
//! [`Trailing`] keeps the values of its window and folds them anew once one has left: what needs no such
//! thing is in [`passing`](super::passing) and [`recent`](super::recent).

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use arrow_select::concat::concat;
use arrow_select::interleave::interleave;
use arrow_select::take::take;

use super::aggregate::{Aggregate, Batch};
use super::array::fill;
use super::error::EngineError;
use super::panes::Panes;
use super::passing::{load_timed, save_timed};
use super::queues::Queues;
use super::saved::{forget, part};
use crate::functions::Column;

/// No number yet.
const NONE: u32 = u32::MAX;

/// Numbers of an inner aggregation, of which keys get new ones.
#[derive(Default)]
struct Numbers {
    /// By key.
    of: Vec<u32>,
    used: u32,
    free: Vec<u32>,
    /// No longer any key's since the batch at hand.
    left: Vec<u32>,
    /// Whether a number may be another than its key's.
    is_renewed: bool,
}

impl Numbers {
    fn next(&mut self) -> Result<u32, EngineError> {
        if let Some(number) = self.free.pop() {
            return Ok(number);
        }
        let number = self.used;
        self.used = number.checked_add(1).filter(|next| *next != NONE).ok_or(EngineError::TooManyKeys)?;
        Ok(number)
    }

    /// The number of a key, its first if it has none.
    #[inline]
    fn get(&mut self, key: usize) -> Result<u32, EngineError> {
        if self.of[key] == NONE {
            self.of[key] = self.next()?;
            self.is_renewed |= self.of[key] as usize != key;
        }
        Ok(self.of[key])
    }

    /// Whether each key's number is the key's own, as it is until one gets a new one; numbers those that have none.
    fn are_the_keys(&mut self, known: usize) -> Result<bool, EngineError> {
        if self.is_renewed {
            return Ok(false);
        }
        for key in self.used as usize..known {
            self.get(key)?;
        }
        self.is_renewed = self.used as usize != known;
        Ok(!self.is_renewed)
    }

    /// A new number for a key, whose state is that of no point.
    fn renew(&mut self, key: usize) -> Result<u32, EngineError> {
        self.is_renewed = true;
        let new = self.next()?;
        let old = std::mem::replace(&mut self.of[key], new);
        if old != NONE {
            self.left.push(old);
        }
        Ok(new)
    }

    /// Once a batch is folded: numbers that were left can be used again.
    fn done(&mut self, inner: &mut dyn Aggregate) -> Result<(), EngineError> {
        if !self.left.is_empty() {
            inner.reset(&self.left)?;
            self.free.append(&mut self.left);
        }
        Ok(())
    }

    /// The numbers of these keys, each with one.
    fn saved(&self, keys: &[u32]) -> Vec<u32> {
        // A number that is nobody's has the state of no point.
        keys.iter().map(|key| self.of.get(*key as usize).copied().unwrap_or(NONE)).collect()
    }

    /// Numbers for these keys, which have none.
    fn load(&mut self, keys: &[u32], known: usize) -> Result<Vec<u32>, EngineError> {
        fill(&mut self.of, known, NONE);
        keys.iter().map(|key| self.get(*key as usize)).collect()
    }

    fn memory(&self) -> usize {
        (self.of.capacity() + self.free.capacity()) * 4
    }
}

/// How a key's window stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Window {
    Open,
    /// It has ended; the next point begins another.
    Ended,
    /// As `Ended`, and a row of the batch at hand shows its value.
    Shown,
}

/// How each key's window stands.
#[derive(Default)]
struct Windows {
    of: Vec<Window>,
    /// How many are not open.
    closed: usize,
}

impl Windows {
    #[inline]
    fn set(&mut self, key: usize, window: Window) {
        let before = std::mem::replace(&mut self.of[key], window);
        self.closed += usize::from(window != Window::Open);
        self.closed -= usize::from(before != Window::Open);
    }

    /// Opens a key's window; whether it was not.
    #[inline]
    fn open(&mut self, key: usize) -> bool {
        let was_closed = self.of[key] != Window::Open;
        if was_closed {
            self.set(key, Window::Open);
        }
        was_closed
    }
}

/// An aggregation over the points since the last end.
pub(super) struct Since {
    inner: Box<dyn Aggregate>,
    numbers: Numbers,
    windows: Windows,
    /// The number of each row, kept for its room.
    rows: Vec<u32>,
}

impl Since {
    pub(super) fn new(inner: Box<dyn Aggregate>) -> Self {
        Self { inner, numbers: Numbers::default(), windows: Windows::default(), rows: Vec::new() }
    }
}

impl Since {
    /// Folds rows that are all points and end nothing, where numbers are the keys themselves: as almost
    /// always between ticks.
    fn fold_points(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        if self.windows.closed > 0 {
            let again: Vec<u32> =
                batch.keys.iter().copied().filter(|key| self.windows.open(*key as usize)).collect();
            self.begin_again(&again)?;
        }
        self.inner.fold(batch)
    }

    /// Begins new windows of these numbers, whose last rows have been shown.
    fn begin_again(&mut self, numbers: &[u32]) -> Result<(), EngineError> {
        if numbers.is_empty() { Ok(()) } else { self.inner.reset(numbers) }
    }
}

impl Aggregate for Since {
    fn data_type(&self) -> DataType {
        self.inner.data_type()
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        fill(&mut self.numbers.of, batch.known, NONE);
        fill(&mut self.windows.of, batch.known, Window::Open);
        if batch.present.is_none() && batch.ends.is_none() && self.numbers.are_the_keys(batch.known)? {
            return self.fold_points(batch);
        }
        self.rows.clear();
        let (mut again, mut shown) = (Vec::new(), Vec::new());
        for (row, key) in batch.keys.iter().enumerate() {
            let key = *key as usize;
            let mut number = self.numbers.get(key)?;
            let is_point = batch.present.is_none_or(|present| present.value(row));
            match (self.windows.of[key], is_point) {
                (Window::Open, _) | (Window::Shown, false) => {}
                (Window::Ended, true) => {
                    again.push(number);
                    self.windows.set(key, Window::Open);
                }
                (Window::Shown, true) => {
                    number = self.numbers.renew(key)?;
                    self.windows.set(key, Window::Open);
                }
                (Window::Ended, false) => {
                    self.windows.set(key, Window::Shown);
                    shown.push(key);
                }
            }
            self.rows.push(number);
            if batch.ends.is_some_and(|ends| ends.value(row)) {
                self.windows.set(key, Window::Shown);
                shown.push(key);
            }
        }
        self.begin_again(&again)?;
        let known = self.numbers.used as usize;
        let values = self.inner.fold(&Batch { keys: &self.rows, known, ends: None, ..*batch })?;
        self.numbers.done(&mut *self.inner)?;
        for key in shown {
            if self.windows.of[key] == Window::Shown {
                self.windows.set(key, Window::Ended);
            }
        }
        Ok(values)
    }

    fn end(&mut self, keys: &[u32]) {
        for key in keys {
            if self.windows.of.get(*key as usize) == Some(&Window::Open) {
                self.windows.set(*key as usize, Window::Ended);
            }
        }
    }

    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        let numbers: Vec<u32> =
            self.numbers.saved(keys).into_iter().filter(|number| *number != NONE).collect();
        for key in keys {
            if (*key as usize) < self.windows.of.len() {
                self.windows.open(*key as usize);
            }
        }
        self.inner.reset(&numbers)
    }

    fn shows(&self, fresh: usize, rows: usize) -> usize {
        self.inner.shows(fresh, rows)
    }

    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        let ended =
            |key: &u32| self.windows.of.get(*key as usize).is_some_and(|window| *window != Window::Open);
        let ended: BooleanArray = keys.iter().map(|key| Some(ended(key))).collect();
        let mut state: Vec<ArrayRef> = vec![Arc::new(ended)];
        state.extend(self.inner.save(&self.numbers.saved(keys))?);
        Ok(state)
    }

    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError> {
        let ended = part::<BooleanArray>(state, 0, "window")?;
        fill(&mut self.windows.of, known, Window::Open);
        for (row, key) in keys.iter().enumerate() {
            if ended.value(row) {
                self.windows.set(*key as usize, Window::Ended);
            }
        }
        let numbers = self.numbers.load(keys, known)?;
        self.inner.load(&numbers, self.numbers.used as usize, &state[1..])
    }

    fn memory(&self) -> usize {
        self.inner.memory() + self.numbers.memory() + self.windows.of.capacity()
    }
}

/// An aggregation over the last intervals; its value is meant at the ends alone.
pub(super) struct Sliding {
    /// Each begins a window at another of as many ends.
    rings: Vec<Since>,
    /// How many ends a key has had, up to the number of rings.
    ends: Vec<u32>,
    parts: usize,
    /// What the rings are not needed for, as long as whole numbers have room.
    panes: Option<Panes>,
}

impl Sliding {
    /// `rings`: as many as the window has intervals, all alike; `parts`: of how many arrays the state of one is made.
    pub(super) fn new(
        inner: impl Fn() -> Result<Box<dyn Aggregate>, EngineError>,
        intervals: u32,
    ) -> Result<Self, EngineError> {
        let rings: Vec<Since> =
            (0..intervals.max(1)).map(|_| Ok(Since::new(inner()?))).collect::<Result<_, EngineError>>()?;
        let parts = rings[0].save(&[])?.len();
        let panes = rings[0].inner.whole().map(|whole| Panes::new(whole, rings.len() as u32));
        Ok(Self { rings, ends: Vec::new(), parts, panes })
    }

    /// Folds windows from their starts from here on.
    fn leave_panes(&mut self) -> Result<(), EngineError> {
        let Some(panes) = self.panes.take() else { return Ok(()) };
        let known = panes.len();
        let keys: Vec<u32> = (0..known as u32).collect();
        self.load(&keys, known, &panes.save(&keys))
    }
}

impl Aggregate for Sliding {
    fn data_type(&self) -> DataType {
        self.rings[0].data_type()
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        if let Some(panes) = &mut self.panes {
            match panes.has_room(batch)? {
                Some(added) => return panes.fold(batch, &added),
                None => self.leave_panes()?,
            }
        }
        fill(&mut self.ends, batch.known, 0);
        let rings = self.rings.len();
        // Whose window each end ends: the oldest's.
        let mut oldest = vec![0; batch.keys.len()];
        if let Some(ends) = batch.ends {
            for row in ends.set_indices() {
                let count = &mut self.ends[batch.keys[row] as usize];
                oldest[row] = *count as usize;
                *count = (*count + 1) % rings as u32;
            }
        }
        let mut values = Vec::with_capacity(rings);
        for (number, ring) in self.rings.iter_mut().enumerate() {
            let ends = batch.ends.map(|ends| {
                BooleanBuffer::collect_bool(ends.len(), |row| ends.value(row) && oldest[row] == number)
            });
            batch.halt.look()?;
            values.push(ring.fold(&Batch { ends: ends.as_ref(), ..*batch })?);
        }
        if rings == 1 {
            return values.pop().ok_or_else(|| EngineError::mismatch("sliding", "a window", "none"));
        }
        let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
        let picks: Vec<(usize, usize)> = oldest.into_iter().zip(0..).collect();
        interleave(&values, &picks).map_err(EngineError::kernel("sliding"))
    }

    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        if let Some(panes) = &mut self.panes {
            panes.reset(keys);
            return Ok(());
        }
        forget(&mut self.ends, keys);
        self.rings.iter_mut().try_for_each(|ring| ring.reset(keys))
    }

    fn shows(&self, fresh: usize, rows: usize) -> usize {
        self.rings.iter().map(|ring| ring.shows(fresh, rows)).sum()
    }

    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        if let Some(panes) = &self.panes {
            return Ok(panes.save(keys));
        }
        let ends: UInt32Array =
            keys.iter().map(|key| Some(self.ends.get(*key as usize).copied().unwrap_or(0))).collect();
        let mut state: Vec<ArrayRef> = vec![Arc::new(ends)];
        for ring in &self.rings {
            state.extend(ring.save(keys)?);
        }
        Ok(state)
    }

    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError> {
        let ends = part::<UInt32Array>(state, 0, "sliding")?;
        if state.len() != 1 + self.parts * self.rings.len() {
            return Err(EngineError::mismatch("sliding", 1 + self.parts * self.rings.len(), state.len()));
        }
        let rings = self.rings.len();
        if let Some(wrong) = ends.values().iter().find(|ends| **ends as usize >= rings) {
            return Err(EngineError::mismatch("sliding", rings, wrong));
        }
        if let Some(panes) = &mut self.panes {
            if panes.load(keys, known, state)? {
                return Ok(());
            }
            self.leave_panes()?;
        }
        fill(&mut self.ends, known, 0);
        for (row, key) in keys.iter().enumerate() {
            self.ends[*key as usize] = ends.value(row);
        }
        let rings = self.rings.iter_mut().zip(state[1..].chunks(self.parts));
        rings.into_iter().try_for_each(|(ring, state)| ring.load(keys, known, state))
    }

    fn memory(&self) -> usize {
        let rings: usize = self.rings.iter().map(Aggregate::memory).sum();
        rings + self.ends.capacity() * 4 + self.panes.as_ref().map_or(0, Panes::memory)
    }
}

/// An aggregation over the last so many nanoseconds.
pub(super) struct Trailing {
    inner: Box<dyn Aggregate>,
    nanos: i64,
    numbers: Numbers,
    /// The values in each key's window with their times.
    queues: Queues<i64>,
}

impl Trailing {
    pub(super) fn new(inner: Box<dyn Aggregate>, input: &DataType, nanos: i64) -> Result<Self, EngineError> {
        Ok(Self { inner, nanos, numbers: Numbers::default(), queues: Queues::new(input)? })
    }
}

/// So many rows are folded at once where windows are folded anew, and one window more.
const REFOLDED: usize = 65_536;

/// Rows for the inner aggregation: more than there are, where windows are folded anew.
#[derive(Default)]
struct Refold {
    numbers: Vec<u32>,
    slots: Vec<u32>,
    is_point: Vec<bool>,
    times: Vec<i64>,
    /// Which of them are the rows there are.
    shown: Vec<u32>,
}

impl Refold {
    fn push(&mut self, number: u32, slot: u32, is_point: bool, time: i64) {
        self.numbers.push(number);
        self.slots.push(slot);
        self.is_point.push(is_point);
        self.times.push(time);
    }
}

impl Trailing {
    /// Folds what was gathered, and gives the values of the rows among it.
    fn refold(&mut self, refold: &mut Refold, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        batch.halt.look()?;
        let Refold { numbers, slots, is_point, times, shown } = std::mem::take(refold);
        let values = Column::Array(self.queues.values(&slots)?);
        let present = BooleanBuffer::from(is_point);
        let values = self.inner.fold(&Batch {
            keys: &numbers,
            known: self.numbers.used as usize,
            values: &values,
            present: batch.present.map(|_| &present),
            ends: None,
            times: &times,
            warnings: batch.warnings,
            halt: batch.halt,
        })?;
        self.numbers.done(&mut *self.inner)?;
        self.queues.done();
        if shown.len() == numbers.len() {
            return Ok(values);
        }
        take(&values, &UInt32Array::from(shown), None).map_err(EngineError::kernel("trailing"))
    }
}

impl Aggregate for Trailing {
    fn data_type(&self) -> DataType {
        self.inner.data_type()
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        fill(&mut self.numbers.of, batch.known, NONE);
        self.queues.grow(batch.known);
        let valid = batch.valid();
        let mut new = self.queues.keep(&batch.array()?, valid.as_ref())?.into_iter();
        let mut refold = Refold::default();
        let mut folded = Vec::new();
        for (row, key) in batch.keys.iter().enumerate() {
            let time = batch.times[row];
            let mut number = self.numbers.get(*key as usize)?;
            let is_point = batch.present.is_none_or(|present| present.value(row));
            // A window excludes its start.
            let start = time.checked_sub(self.nanos);
            if is_point && self.queues.shorten(*key, |at, _| start.is_some_and(|start| at <= start)) {
                number = self.numbers.renew(*key as usize)?;
                for (at, slot) in self.queues.of(*key) {
                    refold.push(number, *slot, true, *at);
                }
            }
            let mut slot = Queues::<i64>::NULL;
            if valid.as_ref().is_none_or(|valid| valid.value(row)) {
                slot = new.next().unwrap_or(slot);
                self.queues.push(*key, time, slot);
            }
            refold.push(number, slot, is_point, time);
            refold.shown.push(refold.numbers.len() as u32 - 1);
            if refold.numbers.len() >= REFOLDED {
                folded.push(self.refold(&mut refold, batch)?);
            }
        }
        folded.push(self.refold(&mut refold, batch)?);
        let folded: Vec<&dyn Array> = folded.iter().map(AsRef::as_ref).collect();
        concat(&folded).map_err(EngineError::kernel("trailing"))
    }

    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        self.queues.clear(keys);
        let numbers: Vec<u32> =
            self.numbers.saved(keys).into_iter().filter(|number| *number != NONE).collect();
        self.inner.reset(&numbers)
    }

    fn shows(&self, fresh: usize, rows: usize) -> usize {
        self.inner.shows(fresh, rows)
    }

    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        let mut state = save_timed(&self.queues, keys)?;
        state.extend(self.inner.save(&self.numbers.saved(keys))?);
        Ok(state)
    }

    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError> {
        load_timed(&mut self.queues, keys, known, state)?;
        let numbers = self.numbers.load(keys, known)?;
        self.inner.load(&numbers, self.numbers.used as usize, state.get(2..).unwrap_or_default())
    }

    fn memory(&self) -> usize {
        self.inner.memory() + self.numbers.memory() + self.queues.memory()
    }
}
