//! Counts, sums and means of whole numbers over a trailing window, kept as values come and leave: no window
//! is folded anew.
//!
//! Whole numbers lose nothing when they are taken away again. A sum that cannot have gone beyond its type on
//! the way, since the values without their signs do not either, is the same as if it were folded from the
//! window's start. So is one of floats, as a mean has it, where those are within 2^53, up to which floats
//! have all whole numbers; beyond, it is added up anew once a value has left.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, UInt64Array};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer};
use arrow_schema::{DataType, Field};

use super::aggregate::{Aggregate, Batch};
use super::array::{carried, ends};
use super::error::EngineError;
use super::saved::{forget, part, widened};
use super::whole::{Added, Whole};

/// A key's window.
#[derive(Default)]
struct Window {
    /// The values in it with their times; those of u64 by their bits.
    values: VecDeque<(i64, i64)>,
    sum: i128,
    /// The sum of the values without their signs.
    size: i128,
    /// The sum as floats, in the order of the values.
    rounded: f64,
    /// Whether the key has had a point.
    begun: bool,
}

/// Up to here each whole number is a float.
const EXACT: i128 = 1 << f64::MANTISSA_DIGITS;

/// The state of `count`, `count_if`, a whole `sum` or the `mean` of whole numbers over the last so many nanoseconds.
pub(super) struct Recent {
    whole: Whole,
    /// Whether the sum is shown divided by the count.
    is_mean: bool,
    nanos: i64,
    windows: Vec<Window>,
}

impl Recent {
    pub(super) fn new(whole: Whole, nanos: i64) -> Self {
        Self { whole, is_mean: false, nanos, windows: Vec::new() }
    }

    /// The mean of what `whole` sums.
    pub(super) fn mean(whole: Whole, nanos: i64) -> Self {
        Self { is_mean: true, ..Self::new(whole, nanos) }
    }

    /// The means after each row.
    fn fold_mean(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        let (whole, nanos) = (self.whole, self.nanos);
        let Added { rows, numbers } = whole.added(batch)?;
        let numbers = numbers.ok_or_else(|| EngineError::mismatch("mean", "a sum", "a count"))?;
        let mut out = Vec::with_capacity(batch.keys.len());
        let mut holds = BooleanBufferBuilder::new(batch.keys.len());
        for (row, key) in batch.keys.iter().enumerate() {
            batch.look(row)?;
            let window = &mut self.windows[*key as usize];
            if batch.present.is_none_or(|present| present.value(row)) {
                let has_left =
                    batch.times[row].checked_sub(nanos).is_some_and(|start| window.leave(whole, start));
                if has_left {
                    window.round(whole);
                }
                if rows.as_ref().is_none_or(|rows| rows.value(row)) {
                    window.enter(whole, batch.times[row], numbers[row]);
                }
            }
            out.push(window.rounded / window.values.len() as f64);
            holds.append(!window.values.is_empty());
        }
        Ok(Arc::new(Float64Array::new(out.into(), Some(NullBuffer::new(holds.finish())))))
    }
}

impl Window {
    fn enter(&mut self, whole: Whole, time: i64, value: i64) {
        let number = whole.number(value);
        self.values.push_back((time, value));
        self.sum += number;
        self.size += number.abs();
        self.rounded += whole.float(value);
    }

    /// Lets go of values up to a time; whether any went.
    fn leave(&mut self, whole: Whole, start: i64) -> bool {
        let before = self.values.len();
        while let Some((time, value)) = self.values.front().copied()
            && time <= start
        {
            let number = whole.number(value);
            self.values.pop_front();
            self.sum -= number;
            self.size -= number.abs();
        }
        self.values.len() < before
    }

    /// The sum as floats once values have left.
    fn round(&mut self, whole: Whole) {
        self.rounded = if self.size <= EXACT {
            self.sum as f64
        } else {
            self.values.iter().fold(0.0, |sum, (_, value)| sum + whole.float(*value))
        };
    }

    /// Whether the sum went beyond its type on the way.
    fn overflows(&self, whole: Whole) -> bool {
        if whole.holds(self.size) {
            return false;
        }
        let mut sum = 0;
        self.values.iter().any(|(_, value)| {
            sum += whole.number(*value);
            !whole.holds(sum)
        })
    }
}

impl Recent {
    /// The state of a window that was folded anew when values left, as its own: the values by their type,
    /// then the times, sums and counts.
    fn folded(&self, state: &[ArrayRef]) -> Result<Option<Vec<ArrayRef>>, EngineError> {
        if state.len() != 4 {
            return Ok(None);
        }
        let values = part::<ListArray>(state, 0, "trailing")?;
        let bits: Int64Array = match self.whole {
            Whole::Unsigned => carried(&widened::<UInt64Type>(values.values(), "mean")?),
            _ => carried(&widened::<Int64Type>(values.values(), "mean")?),
        }
        .map_err(EngineError::kernel("mean"))?;
        let field = Arc::new(Field::new("item", DataType::Int64, true));
        let lists = ListArray::try_new(field, values.offsets().clone(), Arc::new(bits), None);
        let lists: ArrayRef = Arc::new(lists.map_err(EngineError::kernel("trailing"))?);
        // A mean is null without a value, whether there was a point or not.
        let begun: ArrayRef = Arc::new(BooleanArray::from(vec![true; values.len()]));
        Ok(Some(vec![Arc::clone(&state[1]), lists, begun]))
    }
}

impl Aggregate for Recent {
    fn data_type(&self) -> DataType {
        if self.is_mean { DataType::Float64 } else { self.whole.data_type() }
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        if self.windows.len() < batch.known {
            self.windows.resize_with(batch.known, Window::default);
        }
        if self.is_mean {
            return self.fold_mean(batch);
        }
        let (whole, is_sum) = (self.whole, self.whole.is_sum());
        let Added { rows, numbers } = whole.added(batch)?;
        let mut out = Vec::with_capacity(batch.keys.len());
        let mut overflows = 0;
        let mut all_hold = BooleanBufferBuilder::new(batch.keys.len());
        for (row, key) in batch.keys.iter().enumerate() {
            batch.look(row)?;
            let window = &mut self.windows[*key as usize];
            if batch.present.is_none_or(|present| present.value(row)) {
                window.begun = true;
                // A window excludes its start.
                if let Some(start) = batch.times[row].checked_sub(self.nanos) {
                    window.leave(whole, start);
                }
                if rows.as_ref().is_none_or(|rows| rows.value(row)) {
                    let value = numbers.as_ref().map_or(1, |numbers| numbers[row]);
                    window.enter(whole, batch.times[row], value);
                    overflows += u64::from(is_sum && window.overflows(whole));
                }
            }
            let holds =
                if is_sum { !window.values.is_empty() && !window.overflows(whole) } else { window.begun };
            out.push(if holds { window.sum } else { 0 });
            all_hold.append(holds);
        }
        batch.warnings.overflows.set(batch.warnings.overflows.get() + overflows);
        let nulls = Some(NullBuffer::new(all_hold.finish()));
        Ok(match whole {
            Whole::Unsigned => {
                let out: Vec<u64> = out.into_iter().map(|sum| u64::try_from(sum).unwrap_or(0)).collect();
                Arc::new(UInt64Array::new(out.into(), nulls))
            }
            _ => {
                let out: Vec<i64> = out.into_iter().map(|sum| i64::try_from(sum).unwrap_or(0)).collect();
                Arc::new(Int64Array::new(out.into(), nulls))
            }
        })
    }

    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        forget(&mut self.windows, keys);
        Ok(())
    }

    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        let windows = || keys.iter().map(|key| self.windows.get(*key as usize));
        let lengths = windows().map(|window| window.map_or(0, |window| window.values.len()));
        let lengths = ends(lengths).map_err(EngineError::kernel("trailing"))?;
        let (times, values): (Vec<i64>, Vec<i64>) =
            windows().flatten().flat_map(|window| window.values.iter().copied()).unzip();
        let list = |values: Vec<i64>| -> Result<ArrayRef, EngineError> {
            let field = Arc::new(Field::new("item", DataType::Int64, false));
            let list = ListArray::try_new(field, lengths.clone(), Arc::new(Int64Array::from(values)), None);
            Ok(Arc::new(list.map_err(EngineError::kernel("trailing"))?))
        };
        let begun: BooleanArray =
            windows().map(|window| Some(window.is_some_and(|window| window.begun))).collect();
        Ok(vec![list(times)?, list(values)?, Arc::new(begun)])
    }

    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError> {
        if self.windows.len() < known {
            self.windows.resize_with(known, Window::default);
        }
        let folded = if self.is_mean { self.folded(state)? } else { None };
        let state = folded.as_deref().unwrap_or(state);
        let (times, values) =
            (part::<ListArray>(state, 0, "trailing")?, part::<ListArray>(state, 1, "trailing")?);
        let begun = part::<BooleanArray>(state, 2, "trailing")?;
        for (row, key) in keys.iter().enumerate() {
            let (times, values) = (times.value(row), values.value(row));
            let both = times.as_primitive_opt::<Int64Type>().zip(values.as_primitive_opt::<Int64Type>());
            let (times, values) = both
                .filter(|(times, values)| times.len() == values.len())
                .ok_or_else(|| EngineError::mismatch("trailing", "times and values", "another state"))?;
            let window = &mut self.windows[*key as usize];
            window.begun = begun.value(row);
            for (time, value) in times.values().iter().zip(values.values()) {
                window.enter(self.whole, *time, *value);
            }
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        let values: usize = self.windows.iter().map(|window| window.values.capacity() * 16).sum();
        values + self.windows.capacity() * size_of::<Window>()
    }
}
