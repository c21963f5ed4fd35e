//! How many points there were: `count`, `count_if`.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array, UInt64Array};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::DataType;

use super::aggregate::{Aggregate, Batch};
use super::array::fill;
use super::error::EngineError;
use super::saved::{counts, forget};
use super::whole::Whole;

/// What a [`Count`] counts.
#[derive(Clone, Copy)]
pub(super) enum Counted {
    NotNull,
    True,
}

/// `count` and `count_if`.
pub(super) struct Count {
    /// One more than the count; 0 before a key's first point.
    counts: Vec<u64>,
    what: Counted,
}

impl Count {
    pub(super) const fn new(what: Counted) -> Self {
        Self { counts: Vec::new(), what }
    }
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
