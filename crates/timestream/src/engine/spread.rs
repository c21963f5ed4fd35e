//! `variance` and `stddev`: Welford's method, which loses nothing to values that are large beside their distances.

use std::sync::Arc;

use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, UInt64Array};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::DataType;

use super::aggregate::{Aggregate, Batch};
use super::array::fill;
use super::error::EngineError;
use super::saved::{counts, forget, part, widened};

/// What is known of a key's values.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: u64,
    mean: f64,
    /// The sum of the squares of the distances from the mean.
    squares: f64,
}

impl Moments {
    #[inline]
    fn add(&mut self, value: f64) {
        self.count += 1;
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
    }
}

/// The state of `variance` or `stddev`.
pub(super) struct Spread {
    moments: Vec<Moments>,
    name: &'static str,
    /// What is shown of a variance.
    shown: fn(f64) -> f64,
}

impl Spread {
    pub(super) fn new(name: &'static str, shown: fn(f64) -> f64) -> Self {
        Self { moments: Vec::new(), name, shown }
    }
}

impl Aggregate for Spread {
    fn data_type(&self) -> DataType {
        DataType::Float64
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        fill(&mut self.moments, batch.known, Moments::default());
        let values = widened::<Float64Type>(&batch.array()?, self.name)?;
        let values = values.values();
        let valid = batch.valid();
        let mut out = Vec::with_capacity(batch.keys.len());
        let holds = BooleanBuffer::collect_bool(batch.keys.len(), |row| {
            let moments = &mut self.moments[batch.keys[row] as usize];
            if valid.as_ref().is_none_or(|valid| valid.value(row)) {
                moments.add(values[row]);
            }
            out.push((self.shown)(moments.squares / moments.count as f64));
            moments.count > 1
        });
        Ok(Arc::new(Float64Array::new(out.into(), Some(NullBuffer::new(holds)))))
    }

    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        forget(&mut self.moments, keys);
        Ok(())
    }

    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        let of = |key: &u32| self.moments.get(*key as usize).copied().unwrap_or_default();
        let counts = UInt64Array::from_iter_values(keys.iter().map(|key| of(key).count));
        let means = Float64Array::from_iter_values(keys.iter().map(|key| of(key).mean));
        let squares = Float64Array::from_iter_values(keys.iter().map(|key| of(key).squares));
        Ok(vec![Arc::new(counts), Arc::new(means), Arc::new(squares)])
    }

    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError> {
        fill(&mut self.moments, known, Moments::default());
        let counts = counts(state, 0, self.name)?;
        let means = part::<Float64Array>(state, 1, self.name)?;
        let squares = part::<Float64Array>(state, 2, self.name)?;
        for (row, key) in keys.iter().enumerate() {
            self.moments[*key as usize] =
                Moments { count: counts.value(row), mean: means.value(row), squares: squares.value(row) };
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        self.moments.capacity() * size_of::<Moments>()
    }
}
