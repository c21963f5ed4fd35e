//! Points on their way to a later time: held by the region that feeds them until it has come (SEMANTICS 6.1).

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt16Type, UInt64Type};
use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;

use super::array::{carried, fill};
use super::backlog::Backlog;
use super::clock::Clock;
use super::error::EngineError;
use super::keys::KeyIndex;
use super::merge::{in_order, pick};
use crate::rows::{AFTER, Lane, MOVED, Place, Places, Rows};

/// Rows after all else of their time.
pub(super) fn after(mut rows: Rows) -> Rows {
    rows.places.lane = Lane::One(AFTER);
    rows
}

/// Rows where these columns say that they stood.
pub(super) fn back(
    mut rows: Rows,
    [lane, origin_time, origin_lane, ordinal]: [ArrayRef; 4],
) -> Result<Rows, EngineError> {
    let wrong = |array: &ArrayRef| EngineError::mismatch("place", "numbers", array.data_type());
    let short = |array: &ArrayRef| array.as_primitive_opt::<UInt16Type>().ok_or_else(|| wrong(array)).cloned();
    let lanes = short(&lane)?.values().clone();
    let ordinal = ordinal.as_primitive_opt::<UInt64Type>().ok_or_else(|| wrong(&ordinal))?.values().clone();
    let lane = if lanes.iter().all(|lane| Some(lane) == lanes.first()) && lanes.first() != Some(&MOVED) {
        Lane::One(lanes.first().copied().unwrap_or(MOVED))
    } else {
        let origin_time =
            origin_time.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong(&origin_time))?.values().clone();
        Lane::Moved { lanes, origin_time, origin_lane: short(&origin_lane)?.values().clone() }
    };
    rows.places = Places { time: rows.places.time, lane, ordinal };
    in_order(&rows)
}

/// Rows on their way to times that are known when they come.
#[derive(Default)]
pub(super) struct Shift {
    held: Backlog,
}

impl Shift {
    /// Takes rows with the times they move to; gives how many were dropped since they would move back, or nowhere.
    pub(super) fn admit(&mut self, rows: &Rows, to: &ArrayRef) -> Result<u64, EngineError> {
        let to = carried::<Int64Type>(to).map_err(EngineError::kernel("shift"))?;
        let (mut kept, mut moved) = (Vec::new(), Vec::new());
        for row in 0..rows.len() {
            let place = rows.places.at(row);
            if to.is_null(row) || to.value(row) < place.time {
                continue;
            }
            kept.push(row as u32);
            moved.push(if to.value(row) == place.time { place } else { place.moved_to(to.value(row)) });
        }
        if !kept.is_empty() {
            let mut rows = rows.select(&UInt32Array::from(kept)).map_err(EngineError::kernel("shift"))?;
            rows.places = Places::of(&moved);
            self.held.push(ordered(rows)?)?;
        }
        Ok((rows.len() - moved.len()) as u64)
    }

    /// The rows whose time has come, each batch in order. A row that stays where it is has come already.
    pub(super) fn release(&mut self, clock: &Clock) -> Vec<Rows> {
        self.held.take(|time| clock.moved(time))
    }

    pub(super) fn batches(&self) -> &[Rows] {
        self.held.batches()
    }

    pub(super) fn load(&mut self, rows: Rows) -> Result<(), EngineError> {
        self.held.push(rows)
    }

    pub(super) fn memory(&self) -> usize {
        self.held.memory()
    }
}

/// Rows in order, whether they are already or not.
fn ordered(rows: Rows) -> Result<Rows, EngineError> {
    if (1..rows.len()).all(|row| rows.places.at(row - 1) < rows.places.at(row)) {
        return Ok(rows);
    }
    in_order(&rows)
}

/// Rows that are held until a condition is true of their key.
pub(super) struct Until {
    keys: KeyIndex,
    /// By key: the rows that are held, in order, by batch and row.
    held: Vec<Vec<(usize, usize)>>,
    batches: Vec<Rows>,
    /// Number of rows held.
    rows: usize,
    numbers: Vec<u32>,
}

impl Until {
    pub(super) fn new(key_type: &DataType) -> Result<Self, EngineError> {
        Ok(Self {
            keys: KeyIndex::new(key_type)?,
            held: Vec::new(),
            batches: Vec::new(),
            rows: 0,
            numbers: Vec::new(),
        })
    }

    /// Takes rows and at which of them the condition is true; gives those that are let go, in order.
    pub(super) fn process(&mut self, rows: &Rows, is_true: &BooleanBuffer) -> Result<Rows, EngineError> {
        if rows.is_empty() {
            return Ok(rows.clone());
        }
        let key = rows.key.as_ref().ok_or_else(|| EngineError::mismatch("shift", "keys", "none"))?;
        self.numbers.clear();
        self.keys.number(key, &mut self.numbers)?;
        fill(&mut self.held, self.keys.len(), Vec::new());
        self.batches.push(rows.clone());
        let batch = self.batches.len() - 1;
        let (mut picks, mut places) = (Vec::new(), Vec::<Place>::new());
        for (row, number) in self.numbers.iter().enumerate() {
            let held = &mut self.held[*number as usize];
            held.push((batch, row));
            self.rows += 1;
            if !is_true.value(row) {
                continue;
            }
            let time = rows.places.time[row];
            self.rows -= held.len();
            for (batch, row) in held.drain(..) {
                let place = self.batches[batch].places.at(row);
                picks.push((batch, row));
                places.push(if place.time == time { place } else { place.moved_to(time) });
            }
        }
        let gone = if picks.is_empty() {
            rows.slice(0, 0)
        } else {
            let mut gone = pick(&self.batches, &picks)?;
            gone.places = Places::of(&places);
            ordered(gone)?
        };
        self.tidy()?;
        Ok(gone)
    }

    /// Drops batches of which little is held.
    fn tidy(&mut self) -> Result<(), EngineError> {
        if self.rows == 0 {
            self.batches.clear();
            return Ok(());
        }
        let stored: usize = self.batches.iter().map(Rows::len).sum();
        if stored <= 2 * self.rows + 1024 && self.batches.len() <= self.rows.max(64) {
            return Ok(());
        }
        let mut picks = Vec::with_capacity(self.rows);
        for held in &mut self.held {
            for at in held {
                picks.push(*at);
                *at = (0, picks.len() - 1);
            }
        }
        self.batches = vec![pick(&self.batches, &picks)?];
        Ok(())
    }

    /// All rows that are held; of each key in order.
    pub(super) fn rows(&self) -> Result<Option<Rows>, EngineError> {
        let picks: Vec<(usize, usize)> = self.held.iter().flatten().copied().collect();
        if picks.is_empty() { Ok(None) } else { pick(&self.batches, &picks).map(Some) }
    }

    /// Number of rows that are held.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Takes up rows that were held, of each key in order.
    pub(super) fn load(&mut self, rows: Rows) -> Result<(), EngineError> {
        let none = BooleanBuffer::new_unset(rows.len());
        self.process(&rows, &none).map(|_| ())
    }

    pub(super) fn memory(&self) -> usize {
        let held: usize = self.held.iter().map(|held| held.capacity() * size_of::<(usize, usize)>()).sum();
        held + self.batches.iter().map(Rows::memory).sum::<usize>() + self.keys.memory()
    }
}

/// What a boolean column says where it is not null.
pub(super) fn truth(column: &ArrayRef) -> Result<BooleanBuffer, EngineError> {
    super::mask::is_true(column)
}
