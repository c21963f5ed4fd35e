//! The state of a region: how much each part of it is, and by virtual shard out as bytes, and in again, on
//! any number of workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type};
use arrow_array::{Array, ArrayRef, Int64Array, UInt32Array};

use super::error::{EngineError, SnapshotError};
use super::keys::KeyIndex;
use super::merge::merge;
use super::region::{Moving, RegionOperator};
use super::snapshot::{self, Table};
use crate::held::{Held, Part};
use crate::rows::{Keys, Rows};

/// The table of what is held by key.
const KEYS: &str = "keys";
/// The table of the boundaries of the next ticks.
const TICKS: &str = "ticks";
/// Tables of rows: those that wait at an input, those on their way in a feed.
const WAITING: &str = "waiting";
const MOVING: &str = "moving";

impl RegionOperator {
    /// What each part of the region holds, in the order of [`Plan::parts`](crate::plan::Plan::parts).
    #[must_use]
    pub fn holds(&self) -> Vec<(Part, Held)> {
        let parts = self.plan.parts(self.region).into_iter();
        parts.map(|part| (part, self.part(part))).collect()
    }

    fn part(&self, part: Part) -> Held {
        match part {
            Part::Keys => {
                Held { keys: self.keys(), points: 0, bytes: self.index.as_ref().map_or(0, KeyIndex::memory) }
            }
            Part::Step(reg) => {
                let aggregate = self.aggregates.get(reg).and_then(Option::as_ref);
                let bytes = aggregate.map_or(0, |aggregate| aggregate.memory());
                Held { keys: self.keys(), points: 0, bytes }
            }
            Part::Ticks(at) => self.schedules.get(at).map_or(Held::default(), super::ticks::Schedule::holds),
            Part::Feed(at) => match self.moving.get(at) {
                Some(Moving::To(shift)) => shift.holds(),
                Some(Moving::Until(until)) => until.holds(),
                Some(Moving::No) | None => Held::default(),
            },
            Part::Waiting => {
                let mut held = Held::default();
                self.waiting.iter().for_each(|waiting| held += waiting.holds());
                held
            }
        }
    }

    /// Bytes of state held: keys, aggregations, ticks, rows that wait or are on their way.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.holds().iter().map(|(_, held)| held.bytes).sum()
    }

    /// The state, by virtual shard of the keys; shards without any are left out, and so is all of a region
    /// without state.
    ///
    /// # Errors
    /// A shard's state does not fit Arrow's arrays (2 GiB of text in one).
    pub fn snapshot(&self) -> Result<Vec<(u8, Vec<u8>)>, EngineError> {
        let mut shards: BTreeMap<u8, Vec<Table>> = BTreeMap::new();
        if let Some(index) = &self.index {
            let next: Int64Array = self.schedules.iter().map(super::ticks::Schedule::next).collect();
            for (shard, numbers) in snapshot::by_shard(&index.hashes()) {
                let mut columns = vec![("key".to_owned(), index.keys(&numbers)?)];
                for (step, aggregate) in self.aggregates.iter().flatten().enumerate() {
                    for (part, array) in aggregate.save(&numbers)?.into_iter().enumerate() {
                        columns.push((format!("{step}.{part}"), array));
                    }
                }
                for (at, schedule) in self.schedules.iter().enumerate() {
                    columns
                        .push((format!("tick.{at}"), Arc::new(UInt32Array::from(schedule.save(&numbers)))));
                }
                let tables = shards.entry(shard).or_default();
                tables.push((KEYS.to_owned(), columns));
                if !self.schedules.is_empty() {
                    let next: ArrayRef = Arc::new(next.clone());
                    tables.push((TICKS.to_owned(), vec![("next".to_owned(), next)]));
                }
            }
        }
        for (at, waiting) in self.waiting.iter().enumerate() {
            save_rows(&mut shards, &format!("{WAITING}.{at}"), waiting.batches().to_vec())?;
        }
        for (at, moving) in self.moving.iter().enumerate() {
            let rows = match moving {
                Moving::No => Vec::new(),
                Moving::To(shift) => shift.batches().to_vec(),
                Moving::Until(until) => until.rows()?.into_iter().collect(),
            };
            // Of each key in order, which is what both ask for.
            save_rows(&mut shards, &format!("{MOVING}.{at}"), rows)?;
        }
        let bytes = |(shard, tables): (u8, Vec<Table>)| {
            Ok((shard, snapshot::to_bytes(&tables).map_err(EngineError::kernel("snapshot"))?))
        };
        shards.into_iter().map(bytes).collect()
    }

    /// Takes up a shard's state, beside what is there. Each shard is restored once, before the first epoch.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn restore(&mut self, shard: u8, bytes: &[u8]) -> Result<(), SnapshotError> {
        let tables = snapshot::from_bytes(bytes)?;
        let next = tables.iter().find(|(name, _)| name == TICKS).and_then(|(_, columns)| columns.first());
        let next = next.map(|(_, next)| Arc::clone(next));
        for (name, columns) in tables {
            let place = |table: &str| name.strip_prefix(table)?.strip_prefix('.')?.parse::<usize>().ok();
            if name == KEYS {
                self.restore_keys(shard, columns, next.as_ref())?;
            } else if name == TICKS {
            } else if let Some(waiting) = place(WAITING).and_then(|at| self.waiting.get_mut(at)) {
                waiting.push(of_shard(shard, columns)?)?;
            } else {
                match place(MOVING).and_then(|at| self.moving.get_mut(at)) {
                    Some(Moving::To(shift)) => shift.load(of_shard(shard, columns)?)?,
                    Some(Moving::Until(until)) => until.load(&of_shard(shard, columns)?)?,
                    Some(Moving::No) | None => return Err(foreign("no further state", name)),
                }
            }
        }
        Ok(())
    }

    fn restore_keys(
        &mut self,
        shard: u8,
        columns: Vec<(String, ArrayRef)>,
        next: Option<&ArrayRef>,
    ) -> Result<(), SnapshotError> {
        let Some(index) = &mut self.index else { return Err(foreign("no state", "state".into())) };
        let names = columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ");
        let keys = columns.first().filter(|(name, _)| name == "key").map(|(_, values)| Arc::clone(values));
        let values = keys.ok_or_else(|| foreign("keys first", names.clone()))?;
        let hashes = super::hash(&values);
        if let Some(hash) = hashes.iter().find(|hash| super::shard(**hash) != shard) {
            return Err(foreign(&format!("shard {shard}"), format!("shard {}", super::shard(*hash))));
        }
        let known = index.len();
        let mut numbers = Vec::with_capacity(values.len());
        index.number(&Keys { values, hashes }, &mut numbers)?;
        if numbers.iter().any(|number| (*number as usize) < known) || index.len() != known + numbers.len() {
            return Err(foreign("keys not seen before", format!("keys of shard {shard} again")));
        }
        let known = index.len();
        let mut parts = columns.into_iter().skip(1).peekable();
        for (step, aggregate) in self.aggregates.iter_mut().flatten().enumerate() {
            let prefix = format!("{step}.");
            let mut state = Vec::new();
            while let Some((_, part)) = parts.next_if(|(name, _)| name.starts_with(&prefix)) {
                state.push(part);
            }
            aggregate.load(&numbers, known, &state).map_err(|error| match error {
                EngineError::Mismatch { expected, found, .. } => SnapshotError::Foreign { expected, found },
                other => other.into(),
            })?;
        }
        for (at, schedule) in self.schedules.iter_mut().enumerate() {
            let left = parts.next_if(|(name, _)| *name == format!("tick.{at}"));
            let left = left.ok_or_else(|| foreign("the ticks that are left", names.clone()))?.1;
            let left = left.as_primitive_opt::<UInt32Type>();
            let left = left.ok_or_else(|| foreign("numbers of ticks", names.clone()))?.values();
            let next =
                next.and_then(|next| next.as_primitive_opt::<Int64Type>()).filter(|next| at < next.len());
            let next = next.filter(|next| next.is_valid(at)).map(|next| next.value(at));
            schedule.load(&numbers, known, left, next)?;
        }
        match parts.next() {
            None => Ok(()),
            Some((name, _)) => Err(foreign("no further state", name)),
        }
    }
}

fn foreign(expected: &str, found: String) -> SnapshotError {
    SnapshotError::Foreign { expected: expected.into(), found }
}

/// Adds rows to the tables of their keys' shards.
fn save_rows(
    shards: &mut BTreeMap<u8, Vec<Table>>,
    name: &str,
    batches: Vec<Rows>,
) -> Result<(), EngineError> {
    if batches.is_empty() {
        return Ok(());
    }
    let rows = merge(batches)?;
    let key = rows.key.as_ref().ok_or_else(|| EngineError::mismatch("snapshot", "keys", "none"))?;
    for (shard, numbers) in snapshot::by_shard(&key.hashes) {
        let of = rows.select(&numbers.into()).map_err(EngineError::kernel("snapshot"))?;
        shards.entry(shard).or_default().push((name.to_owned(), snapshot::of_rows(&of)?));
    }
    Ok(())
}

/// The rows of a table, all of a shard.
fn of_shard(shard: u8, columns: Vec<(String, ArrayRef)>) -> Result<Rows, SnapshotError> {
    let rows = snapshot::to_rows(columns)?;
    let hashes = rows.key.iter().flat_map(|key| key.hashes.iter());
    match hashes.map(|hash| super::shard(*hash)).find(|of| *of != shard) {
        None => Ok(rows),
        Some(other) => Err(foreign(&format!("shard {shard}"), format!("shard {other}"))),
    }
}
