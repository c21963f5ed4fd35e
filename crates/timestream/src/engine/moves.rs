//! Points on their way to a later time: held by the region that feeds them until it has come (SEMANTICS 6.1).

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_buffer::{BooleanBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::array::{carried, fill};
use super::backlog::Backlog;
use super::clock::Clock;
use super::error::EngineError;
use super::keys::KeyIndex;
use super::merge::{in_order, pick};
use crate::held::Held;
use crate::rows::{AFTER, LAST, Lane, MOVED, Place, Places, Rows, TICK};

/// Rows after all else of their time: ticks, or all of them.
pub(super) fn after(mut rows: Rows, all: bool) -> Result<Rows, EngineError> {
    if all {
        rows.places.lane = Lane::One(AFTER);
        return ordered(rows);
    }
    let places = (0..rows.len()).map(|row| match rows.places.at(row) {
        place @ Place { lane: TICK, .. } => Place { lane: AFTER, ..place },
        place => place,
    });
    if (0..rows.len()).any(|row| rows.places.lane.at(row) == TICK) {
        rows.places = rows.places.standing_at(&places.collect::<Vec<_>>());
    }
    ordered(rows)
}

/// Rows where these columns say that they stood: lane, the origin's time and lane, ordinal, for which key a
/// tick was made; at which turn, or the first one.
pub(super) fn back(
    mut rows: Rows,
    [lane, origin_time, origin_lane, ordinal, made_for]: [ArrayRef; 5],
    turn: Option<&ArrayRef>,
) -> Result<Rows, EngineError> {
    let wrong = |array: &ArrayRef| EngineError::mismatch("place", "another type", array.data_type());
    let lanes = plain::<UInt16Type>(&lane)?;
    let lane = if lanes.iter().all(|lane| Some(lane) == lanes.first()) && lanes.first() != Some(&MOVED) {
        Lane::One(lanes.first().copied().unwrap_or(MOVED))
    } else {
        let (origin_time, origin_lane) =
            (plain::<Int64Type>(&origin_time)?, plain::<UInt16Type>(&origin_lane)?);
        Lane::Moved { lanes, origin_time, origin_lane }
    };
    let made_for = made_for.as_binary_opt().ok_or_else(|| wrong(&made_for))?.clone();
    let made_for = Some(Arc::new(made_for)).filter(|keys| keys.null_count() < keys.len());
    let apart = rows.places.apart.take();
    let turn = turn.map(plain::<UInt32Type>).transpose()?;
    rows.places = Places {
        time: rows.places.time,
        lane,
        ordinal: plain::<UInt64Type>(&ordinal)?,
        apart,
        made_for,
        turn: turn.filter(|turns| turns.iter().any(|turn| *turn > 0)),
    };
    in_order(&rows)
}

/// A column of plain numbers without nulls.
pub(super) fn plain<T: ArrowPrimitiveType>(
    column: &ArrayRef,
) -> Result<ScalarBuffer<T::Native>, EngineError> {
    let wrong = || EngineError::mismatch("place", T::DATA_TYPE, column.data_type());
    Ok(column.as_primitive_opt::<T>().ok_or_else(wrong)?.values().clone())
}

/// Rows on their way to times that are known when they come.
#[derive(Default)]
pub(super) struct Shift {
    held: Backlog,
    /// Of the batch at hand: what stays where it is. Of points that reach one place it is the first.
    stays: Vec<Rows>,
}

impl Shift {
    /// Takes rows with what says of their times where they move to; gives how many were dropped since that is
    /// back, or nowhere. Where several may come to one place (`doubles`), what moves is to be counted there.
    pub(super) fn admit(
        &mut self,
        rows: &Rows,
        say: &ArrayRef,
        doubles: bool,
        to: impl Fn(i64, i64) -> Option<i64>,
    ) -> Result<u64, EngineError> {
        let say = carried::<Int64Type>(say).map_err(EngineError::kernel("shift"))?;
        let (mut stay, mut go, mut moved) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rows.len() {
            let place = rows.places.at(row);
            let to = if say.is_null(row) { None } else { to(place.time, say.value(row)) };
            match to.filter(|to| *to >= place.time) {
                None => {}
                Some(to) if to == place.time => stay.push(row as u32),
                Some(to) => {
                    go.push(row as u32);
                    moved.push(place.moved_to(to));
                }
            }
        }
        let dropped = (rows.len() - stay.len() - go.len()) as u64;
        let of = |kept: Vec<u32>| rows.select(&kept.into()).map_err(EngineError::kernel("shift"));
        if !stay.is_empty() {
            self.stays.push(of(stay)?);
        }
        if !go.is_empty() {
            let mut rows = of(go)?;
            rows.places = rows.places.standing_at(&moved);
            if doubles {
                rows.places.turn = Some(vec![LAST; moved.len()].into());
            }
            self.held.push(ordered(rows)?)?;
        }
        Ok(dropped)
    }

    /// The rows that stay, and those whose time has come, each batch in order.
    pub(super) fn release(&mut self, clock: &Clock) -> Vec<Rows> {
        let mut rows = std::mem::take(&mut self.stays);
        rows.extend(self.held.take(|time| clock.moved(time)));
        rows
    }

    pub(super) fn batches(&self) -> &[Rows] {
        self.held.batches()
    }

    pub(super) fn load(&mut self, rows: Rows) -> Result<(), EngineError> {
        self.held.push(rows)
    }

    /// The points that are on their way.
    pub(super) fn holds(&self) -> Held {
        self.held.holds()
    }
}

/// Rows in order, whether they are already or not.
pub(super) fn ordered(rows: Rows) -> Result<Rows, EngineError> {
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
    /// Batches of which rows are held, and some whose rows are gone.
    batches: Vec<Rows>,
    /// Number of rows of the batches.
    stored: usize,
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
            stored: 0,
            rows: 0,
            numbers: Vec::new(),
        })
    }

    /// Takes rows and at which of them the condition is true; gives those that are let go, in order. Where
    /// several may come to one place (`doubles`), what has moved is to be counted there.
    pub(super) fn process(
        &mut self,
        rows: &Rows,
        is_true: &BooleanBuffer,
        doubles: bool,
    ) -> Result<Rows, EngineError> {
        if rows.is_empty() {
            return Ok(rows.clone());
        }
        let key = rows.key.as_ref().ok_or_else(|| EngineError::mismatch("shift", "keys", "none"))?;
        self.numbers.clear();
        self.keys.number(key, &mut self.numbers)?;
        fill(&mut self.held, self.keys.len(), Vec::new());
        self.batches.push(rows.clone());
        self.stored += rows.len();
        let batch = self.batches.len() - 1;
        // What stays where it is comes before what is moved there.
        let (mut stays, mut moves) = (Vec::new(), Vec::new());
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
                if place.time == time {
                    stays.push(((batch, row), place));
                } else {
                    moves.push(((batch, row), place.moved_to(time)));
                }
            }
        }
        let stay = stays.len();
        let (mut picks, places): (Vec<_>, Vec<Place>) = stays.into_iter().chain(moves).unzip();
        let gone = if picks.is_empty() {
            rows.slice(0, 0)
        } else {
            let mut gone = self.pick(&mut picks)?;
            gone.places = gone.places.standing_at(&places);
            if doubles {
                let turn = |row: usize| if row < stay { gone.places.turn(row) } else { LAST };
                gone.places.turn = Some((0..gone.len()).map(turn).collect());
            }
            ordered(gone)?
        };
        self.tidy()?;
        Ok(gone)
    }

    /// Rows of the batches. Only those that have any of them are looked at: there are many.
    fn pick(&self, picks: &mut [(usize, usize)]) -> Result<Rows, EngineError> {
        let mut named: Vec<usize> = picks.iter().map(|(batch, _)| *batch).collect();
        named.sort_unstable();
        named.dedup();
        for (batch, _) in picks.iter_mut() {
            *batch = named.binary_search(batch).unwrap_or_default();
        }
        let batches: Vec<Rows> = named.into_iter().map(|batch| self.batches[batch].clone()).collect();
        pick(&batches, picks)
    }

    /// Drops batches of which little is held: as much work as there were rows since the last time.
    fn tidy(&mut self) -> Result<(), EngineError> {
        if self.rows == 0 {
            self.batches.clear();
            self.stored = 0;
            return Ok(());
        }
        if self.stored <= 2 * self.rows + 1024 && self.batches.len() <= self.rows.max(64) {
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
        self.stored = self.rows;
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
    pub(super) fn load(&mut self, rows: &Rows) -> Result<(), EngineError> {
        let none = BooleanBuffer::new_unset(rows.len());
        self.process(rows, &none, false).map(|_| ())
    }

    /// The points that are held, and their keys with what is known of all keys so far.
    pub(super) fn holds(&self) -> Held {
        let rows = |held: &Vec<(usize, usize)>| held.capacity() * size_of::<(usize, usize)>();
        let held: usize = self.held.iter().map(rows).sum();
        Held {
            keys: self.held.iter().filter(|held| !held.is_empty()).count(),
            points: self.rows,
            bytes: held
                + self.held.capacity() * size_of::<Vec<(usize, usize)>>()
                + self.batches.iter().map(Rows::memory).sum::<usize>()
                + self.keys.memory(),
        }
    }
}

/// What a boolean column says where it is not null.
pub(super) fn truth(column: &ArrayRef) -> Result<BooleanBuffer, EngineError> {
    super::mask::is_true(column)
}
