//! The sum of a key's values: `sum`.

use std::sync::Arc;

use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::DataType;

use super::aggregate::{Aggregate, Batch};
use super::array::fill;
use super::error::EngineError;
use super::saved::{part, widened};
use super::whole::Whole;

/// How a number is added to a sum.
pub(super) trait Add: ArrowPrimitiveType {
    /// None beyond the type.
    fn add(sum: Self::Native, value: Self::Native) -> Option<Self::Native>;
}

impl Add for Int64Type {
    #[inline]
    fn add(sum: i64, value: i64) -> Option<i64> {
        sum.checked_add(value)
    }
}

impl Add for UInt64Type {
    #[inline]
    fn add(sum: u64, value: u64) -> Option<u64> {
        sum.checked_add(value)
    }
}

impl Add for Float64Type {
    #[inline]
    fn add(sum: f64, value: f64) -> Option<f64> {
        Some(sum + value)
    }
}

/// What a key's sum is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
enum Standing {
    /// No value yet.
    #[default]
    Empty,
    /// The sum of the values so far.
    Holds,
    /// Beyond its type: null until the window resets (SEMANTICS 2.3).
    Overflowed,
}

/// `sum`.
pub(super) struct Sum<T: Add> {
    sums: Vec<T::Native>,
    standing: Vec<Standing>,
    /// How many have no value yet.
    empty: usize,
    /// How many are beyond their type.
    overflowed: usize,
}

impl<T: Add> Default for Sum<T> {
    fn default() -> Self {
        Self { sums: Vec::new(), standing: Vec::new(), empty: 0, overflowed: 0 }
    }
}

impl<T: Add> Sum<T> {
    fn grow(&mut self, known: usize) {
        self.empty += known.saturating_sub(self.sums.len());
        fill(&mut self.sums, known, T::Native::default());
        fill(&mut self.standing, known, Standing::Empty);
    }

    #[inline]
    fn stand(&mut self, key: usize, standing: Standing) {
        let before = std::mem::replace(&mut self.standing[key], standing);
        self.empty += usize::from(standing == Standing::Empty);
        self.empty -= usize::from(before == Standing::Empty);
        self.overflowed += usize::from(standing == Standing::Overflowed);
        self.overflowed -= usize::from(before == Standing::Overflowed);
    }

    #[inline]
    fn add(&mut self, key: usize, value: T::Native) {
        match self.standing[key] {
            Standing::Overflowed => {}
            // Not added to 0, which would make 0.0 of -0.0.
            Standing::Empty => {
                self.sums[key] = value;
                self.stand(key, Standing::Holds);
            }
            Standing::Holds => match T::add(self.sums[key], value) {
                Some(sum) => self.sums[key] = sum,
                None => self.stand(key, Standing::Overflowed),
            },
        }
    }

    /// Folds rows that all have a value, up to the first whose sum would go beyond its type; no key's has.
    fn fold_values(&mut self, keys: &[u32], values: &[T::Native], out: &mut Vec<T::Native>) {
        let rows = keys.iter().zip(values);
        let sums = self.sums.as_mut_slice();
        // Of many keys, not to ask memory how each stands is a good part of the time.
        if self.empty == 0 {
            for (key, value) in rows {
                let sum = &mut sums[*key as usize];
                let Some(next) = T::add(*sum, *value) else { return };
                *sum = next;
                out.push(next);
            }
            return;
        }
        let standing = self.standing.as_mut_slice();
        for (key, value) in rows {
            let (sum, standing) = (&mut sums[*key as usize], &mut standing[*key as usize]);
            *sum = match standing {
                Standing::Empty => {
                    *standing = Standing::Holds;
                    self.empty -= 1;
                    *value
                }
                _ => match T::add(*sum, *value) {
                    Some(sum) => sum,
                    None => return,
                },
            };
            out.push(*sum);
        }
    }
}

impl<T: Add> Aggregate for Sum<T> {
    fn data_type(&self) -> DataType {
        T::DATA_TYPE
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        self.grow(batch.known);
        let values = widened::<T>(&batch.array()?, "sum")?;
        let values = values.values();
        let valid = batch.valid();
        let mut out = Vec::with_capacity(batch.keys.len());
        if valid.is_none() && self.overflowed == 0 {
            self.fold_values(batch.keys, values, &mut out);
        }
        // Up to here each row has a value, and its sum holds.
        let done = out.len();
        if done == batch.keys.len() {
            return Ok(Arc::new(PrimitiveArray::<T>::new(out.into(), None)));
        }
        let before = self.overflowed;
        let holds = BooleanBuffer::collect_bool(batch.keys.len(), |row| {
            if row < done {
                return true;
            }
            let key = batch.keys[row] as usize;
            if valid.as_ref().is_none_or(|valid| valid.value(row)) {
                self.add(key, values[row]);
            }
            out.push(self.sums[key]);
            self.standing[key] == Standing::Holds
        });
        let overflows = (self.overflowed - before) as u64;
        batch.warnings.overflows.set(batch.warnings.overflows.get() + overflows);
        Ok(Arc::new(PrimitiveArray::<T>::new(out.into(), Some(NullBuffer::new(holds)))))
    }

    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        for key in keys {
            if (*key as usize) < self.standing.len() {
                self.stand(*key as usize, Standing::Empty);
            }
        }
        Ok(())
    }

    fn whole(&self) -> Option<Whole> {
        match T::DATA_TYPE {
            DataType::Int64 => Some(Whole::Signed),
            DataType::UInt64 => Some(Whole::Unsigned),
            _ => None,
        }
    }

    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        let standing = |key: &u32| self.standing.get(*key as usize).copied().unwrap_or(Standing::Empty);
        let sums: PrimitiveArray<T> = keys
            .iter()
            .map(|key| (standing(key) == Standing::Holds).then(|| self.sums[*key as usize]))
            .collect();
        let overflowed: BooleanArray =
            keys.iter().map(|key| Some(standing(key) == Standing::Overflowed)).collect();
        Ok(vec![Arc::new(sums), Arc::new(overflowed)])
    }

    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError> {
        self.grow(known);
        let sums = part::<PrimitiveArray<T>>(state, 0, "sum")?;
        let overflowed = part::<BooleanArray>(state, 1, "sum")?;
        for (row, key) in keys.iter().enumerate() {
            let key = *key as usize;
            if sums.is_valid(row) {
                self.sums[key] = sums.value(row);
                self.stand(key, Standing::Holds);
            } else if overflowed.value(row) {
                self.stand(key, Standing::Overflowed);
            }
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        self.sums.capacity() * size_of::<T::Native>() + self.standing.capacity()
    }
}
