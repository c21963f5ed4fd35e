//! The mean of a key's values: `mean`.

use std::sync::Arc;

use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, UInt64Array};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::DataType;

use super::aggregate::{Aggregate, Batch};
use super::array::fill;
use super::error::EngineError;
use super::recent::Recent;
use super::saved::{counts, forget, part, widened};
use super::whole::Whole;

/// `mean`.
#[derive(Default)]
pub(super) struct Mean {
    /// What it sums, if whole numbers.
    whole: Option<Whole>,
    sums: Vec<f64>,
    counts: Vec<u64>,
}

impl Mean {
    /// Of whole numbers, or of floats.
    pub(super) fn of(whole: Option<Whole>) -> Self {
        Self { whole, ..Self::default() }
    }

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
