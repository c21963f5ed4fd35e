//! The aggregations: their states as plain vectors by key number.
//!
//! All skip nulls and hold their value at null points (SEMANTICS 4.2). A function here makes the state for a type of input;
//! the registry of [functions](crate::functions) names them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Float64Array, Int64Array, PrimitiveArray, UInt64Array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::DataType;

use super::aggregate::{Aggregate, Batch};
use super::array::fill;
use super::collect::Collect;
use super::error::EngineError;
use super::kept::Kept;
use super::queues::Lag;
use super::recent::Recent;
use super::slots::{Keep, Slots};
use super::spread::Spread;
use super::whole::Whole;
use crate::scalar::Scalar;

/// `count`: how many points were not null, as i64. Never null from a key's first point on.
///
/// # Errors
/// None: every type can be counted.
pub fn count(_: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    Ok(Box::new(Count { counts: Vec::new(), what: Counted::NotNull }))
}

/// `count_if`: how many points were true, as i64. Never null from a key's first point on.
///
/// # Errors
/// The input is not boolean.
pub fn count_if(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    match input {
        DataType::Boolean => Ok(Box::new(Count { counts: Vec::new(), what: Counted::True })),
        other => Err(EngineError::mismatch("count_if", "bool", other)),
    }
}

/// `sum`: signed ints as i64, unsigned as u64, floats as f64, in the order of the points. After an overflow of ints null.
///
/// # Errors
/// The input is not a number.
pub fn sum(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    match input {
        _ if input.is_signed_integer() => Ok(Box::new(Sum::<Int64Type>::default())),
        _ if input.is_unsigned_integer() => Ok(Box::new(Sum::<UInt64Type>::default())),
        _ if input.is_floating() => Ok(Box::new(Sum::<Float64Type>::default())),
        _ => Err(EngineError::mismatch("sum", "a number", input)),
    }
}

/// `mean`: the sum as f64, in the order of the points, divided by the count.
///
/// # Errors
/// The input is not a number.
pub fn mean(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    let whole = match input {
        _ if input.is_signed_integer() => Some(Whole::Signed),
        _ if input.is_unsigned_integer() => Some(Whole::Unsigned),
        _ if input.is_floating() => None,
        _ => return Err(EngineError::mismatch("mean", "a number", input)),
    };
    Ok(Box::new(Mean { whole, ..Mean::default() }))
}

/// `variance`: of the population, by Welford's method as f64 in the order of the points; null below two values.
///
/// # Errors
/// The input is not a number.
pub fn variance(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    spread(input, "variance", |variance| variance)
}

/// `stddev`: the square root of the variance.
///
/// # Errors
/// The input is not a number.
pub fn stddev(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    spread(input, "stddev", f64::sqrt)
}

fn spread(
    input: &DataType,
    what: &'static str,
    shown: fn(f64) -> f64,
) -> Result<Box<dyn Aggregate>, EngineError> {
    if input.is_integer() || input.is_floating() {
        return Ok(Box::new(Spread::new(what, shown)));
    }
    Err(EngineError::mismatch(what, "a number", input))
}

/// `min`: the least value. Numbers come before NaN; of equal values (-0.0 and 0.0) the first is kept. Text goes by bytes.
///
/// # Errors
/// Values of the type cannot be kept.
pub fn min(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    kept(input, Keep::Min)
}

/// `max`: the greatest value. Numbers come before NaN; of equal values (-0.0 and 0.0) the first is kept. Text goes by bytes.
///
/// # Errors
/// Values of the type cannot be kept.
pub fn max(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    kept(input, Keep::Max)
}

/// `first`: the first value that was not null.
///
/// # Errors
/// Values of the type cannot be kept.
pub fn first(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    kept(input, Keep::First)
}

/// `last`: the newest value that was not null.
///
/// # Errors
/// Values of the type cannot be kept.
pub fn last(input: &DataType, _: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    kept(input, Keep::Last)
}

/// `lag`: the n-th value that was not null before the newest such.
///
/// # Errors
/// Values of the type cannot be kept, or the constant is none.
pub fn lag(input: &DataType, constants: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    match constants {
        [Scalar::Int(n)] if *n >= 0 => {
            Ok(Box::new(Lag::new(input, usize::try_from(*n).unwrap_or(usize::MAX))?))
        }
        other => Err(EngineError::mismatch("lag", "a whole number", format!("{other:?}"))),
    }
}

/// `collect`: the values that were not null as a list, of at most `max` the newest; null below `min`.
///
/// # Errors
/// Values of the type cannot be kept, or a constant is none.
pub fn collect(input: &DataType, constants: &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError> {
    let number = |scalar: &Scalar, none: usize| match scalar {
        Scalar::Null => Ok(none),
        Scalar::Int(number) if *number >= 0 => Ok(usize::try_from(*number).unwrap_or(usize::MAX)),
        other => Err(EngineError::mismatch("collect", "a whole number", format!("{other:?}"))),
    };
    match constants {
        [max, min] => Ok(Box::new(Collect::new(input, number(max, usize::MAX)?, number(min, 0)?)?)),
        other => Err(EngineError::mismatch("collect", "two constants", format!("{other:?}"))),
    }
}

fn kept(input: &DataType, keep: Keep) -> Result<Box<dyn Aggregate>, EngineError> {
    Ok(Box::new(Kept { keep, slots: Slots::new(input)? }))
}

/// A part of a saved state as the array it must be.
pub(super) fn part<'a, T: Array + 'static>(
    state: &'a [ArrayRef],
    index: usize,
    what: &'static str,
) -> Result<&'a T, EngineError> {
    let part = state.get(index).ok_or_else(|| EngineError::mismatch(what, "another part", "none"))?;
    let found = || EngineError::mismatch(what, std::any::type_name::<T>(), part.data_type());
    part.as_any().downcast_ref::<T>().ok_or_else(found)
}

/// No count is larger: there is room for the points of any run above it.
const MOST: u64 = u64::MAX >> 2;

/// The counts of a saved state, none of which is larger than counts are.
pub(super) fn counts<'a>(
    state: &'a [ArrayRef],
    index: usize,
    what: &'static str,
) -> Result<&'a UInt64Array, EngineError> {
    let counts = part::<UInt64Array>(state, index, what)?;
    match counts.iter().flatten().find(|count| *count > MOST) {
        None => Ok(counts),
        Some(count) => Err(EngineError::mismatch(what, format!("counts of at most {MOST}"), count)),
    }
}

/// The values of a batch as the wide type that is summed.
pub(super) fn widened<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    what: &'static str,
) -> Result<PrimitiveArray<T>, EngineError> {
    if let Some(values) = values.as_primitive_opt::<T>() {
        return Ok(values.clone());
    }
    let cast = arrow_cast::cast(values, &T::DATA_TYPE).map_err(EngineError::kernel(what))?;
    Ok(cast.as_primitive::<T>().clone())
}

/// Puts these keys' states back to the first.
pub(super) fn forget<T: Default>(states: &mut [T], keys: &[u32]) {
    for key in keys {
        if let Some(state) = states.get_mut(*key as usize) {
            *state = T::default();
        }
    }
}

/// What a [`Count`] counts.
#[derive(Clone, Copy)]
enum Counted {
    NotNull,
    True,
}

/// `count` and `count_if`.
struct Count {
    /// One more than the count; 0 before a key's first point.
    counts: Vec<u64>,
    what: Counted,
}

impl Aggregate for Count {
    fn data_type(&self) -> DataType {
        DataType::Int64
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        fill(&mut self.counts, batch.known, 0);
        let mut counted = batch.valid();
        if let Counted::True = self.what {
            let values = batch.array()?;
            let values = values.as_boolean_opt();
            let values =
                values.ok_or_else(|| EngineError::mismatch("count_if", "bool", batch.values.data_type()))?;
            counted = Some(counted.map_or_else(|| values.values().clone(), |valid| &valid & values.values()));
        }
        let counts = self.counts.as_mut_slice();
        let mut out = Vec::with_capacity(batch.keys.len());
        let nulls = match (counted, batch.present) {
            (None, _) => {
                out.extend(batch.keys.iter().map(|key| {
                    let count = &mut counts[*key as usize];
                    *count = (*count).max(1) + 1;
                    *count as i64 - 1
                }));
                None
            }
            (Some(counted), None) => {
                out.extend(batch.keys.iter().zip(&counted).map(|(key, counted)| {
                    let count = &mut counts[*key as usize];
                    *count = (*count).max(1) + u64::from(counted);
                    *count as i64 - 1
                }));
                None
            }
            (Some(counted), Some(present)) => {
                let known = BooleanBuffer::collect_bool(batch.keys.len(), |row| {
                    let count = &mut counts[batch.keys[row] as usize];
                    if present.value(row) {
                        *count = (*count).max(1) + u64::from(counted.value(row));
                    }
                    out.push((*count).max(1) as i64 - 1);
                    *count > 0
                });
                Some(NullBuffer::new(known))
            }
        };
        Ok(Arc::new(Int64Array::new(out.into(), nulls)))
    }

    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        forget(&mut self.counts, keys);
        Ok(())
    }

    fn whole(&self) -> Option<Whole> {
        Some(match self.what {
            Counted::NotNull => Whole::NotNull,
            Counted::True => Whole::True,
        })
    }

    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        Ok(vec![Arc::new(
            keys.iter().map(|key| self.counts.get(*key as usize).copied()).collect::<UInt64Array>(),
        )])
    }

    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError> {
        fill(&mut self.counts, known, 0);
        let counts = counts(state, 0, "count")?;
        for (key, count) in keys.iter().zip(counts) {
            self.counts[*key as usize] = count.unwrap_or(0);
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        self.counts.capacity() * 8
    }
}

/// How a number is added to a sum.
trait Add: ArrowPrimitiveType {
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
struct Sum<T: Add> {
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

/// `mean`.
#[derive(Default)]
struct Mean {
    /// What it sums, if whole numbers.
    whole: Option<Whole>,
    sums: Vec<f64>,
    counts: Vec<u64>,
}

impl Mean {
    fn grow(&mut self, known: usize) {
        fill(&mut self.sums, known, 0.0);
        fill(&mut self.counts, known, 0);
    }
}

impl Aggregate for Mean {
    fn data_type(&self) -> DataType {
        DataType::Float64
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        self.grow(batch.known);
        let values = widened::<Float64Type>(&batch.array()?, "mean")?;
        let values = values.values();
        let valid = batch.valid();
        let mut out = Vec::with_capacity(batch.keys.len());
        let holds = BooleanBuffer::collect_bool(batch.keys.len(), |row| {
            let key = batch.keys[row] as usize;
            if valid.as_ref().is_none_or(|valid| valid.value(row)) {
                self.sums[key] += values[row];
                self.counts[key] += 1;
            }
            out.push(self.sums[key] / self.counts[key] as f64);
            self.counts[key] > 0
        });
        Ok(Arc::new(Float64Array::new(out.into(), Some(NullBuffer::new(holds)))))
    }

    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        forget(&mut self.sums, keys);
        forget(&mut self.counts, keys);
        Ok(())
    }

    fn trailing(&self, nanos: i64) -> Option<Result<Box<dyn Aggregate>, EngineError>> {
        self.whole.map(|whole| Ok(Box::new(Recent::mean(whole, nanos)) as Box<dyn Aggregate>))
    }

    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        let sums: Float64Array = keys.iter().map(|key| self.sums.get(*key as usize).copied()).collect();
        let counts: UInt64Array = keys.iter().map(|key| self.counts.get(*key as usize).copied()).collect();
        Ok(vec![Arc::new(sums), Arc::new(counts)])
    }

    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError> {
        self.grow(known);
        let sums = part::<Float64Array>(state, 0, "mean")?;
        let counts = counts(state, 1, "mean")?;
        for (row, key) in keys.iter().enumerate() {
            self.sums[*key as usize] = if sums.is_valid(row) { sums.value(row) } else { 0.0 };
            self.counts[*key as usize] = if counts.is_valid(row) { counts.value(row) } else { 0 };
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        (self.sums.capacity() + self.counts.capacity()) * 8
    }
}
