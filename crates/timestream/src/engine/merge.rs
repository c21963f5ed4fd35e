//! Batches into one, in the order of SEMANTICS 1.2: what an exchange or a join of streams took apart is put back.
//!
//! Where points of different keys share a place (as after re-keying both sides of a join), they go by key,
//! null first, then by turn, so that the order never depends on batches or workers.

use std::cmp::Ordering;

use arrow_array::types::UInt64Type;
use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_ord::ord::{DynComparator, make_comparator};
use arrow_schema::SortOptions;
use arrow_select::{concat::concat, interleave::interleave, take::take};

use super::error::EngineError;
use crate::rows::{Keys, Places, Rows, numbers};

/// Keys ascending, null first.
const BY_KEY: SortOptions = SortOptions { descending: false, nulls_first: true };

/// Most batches that are merged at once.
const FAN: usize = 8;

/// Which of several rows at one place comes first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Ties {
    /// The one whose key does, then whose turn does.
    #[default]
    ByKey,
    /// The one of the first batch: batches came one after the other.
    AsTheyCame,
}

/// Batches that are each in order, as one batch in order. A single one is handed on as it is; none give no
/// rows and no columns.
///
/// # Errors
/// The batches differ in their columns, or hold more than 2 GiB of one text column.
pub fn merge(batches: Vec<Rows>) -> Result<Rows, EngineError> {
    merge_with(batches, Ties::ByKey)
}

pub(super) fn merge_with(batches: Vec<Rows>, ties: Ties) -> Result<Rows, EngineError> {
    let mut batches = batches;
    if batches.iter().any(|batch| !batch.is_empty()) {
        batches.retain(|batch| !batch.is_empty());
    } else {
        batches.truncate(1);
    }
    if batches.len() < 2 {
        return Ok(batches.pop().unwrap_or(Rows { places: Places::none(), key: None, columns: Vec::new() }));
    }
    let mut order: Vec<usize> = (0..batches.len()).collect();
    order.sort_by_key(|batch| batches[*batch].places.at(0));
    let last = |batch: usize| batches[batch].places.at(batches[batch].len() - 1);
    let one_after_another = order.windows(2).all(|pair| last(pair[0]) < batches[pair[1]].places.at(0));
    if one_after_another {
        let batches: Vec<&Rows> = order.iter().map(|batch| &batches[*batch]).collect();
        return chain(&batches);
    }
    // Each batch is compared with each: of many, neighbours are merged first, which keeps what is equal in its order.
    if batches.len() > FAN {
        let mut batches = batches.into_iter();
        let mut merged = Vec::new();
        loop {
            let some: Vec<Rows> = batches.by_ref().take(FAN).collect();
            if some.is_empty() {
                return merge_with(merged, ties);
            }
            merged.push(merge_with(some, ties)?);
        }
    }
    let mut heads = match ties {
        Ties::ByKey => Heads::new(&batches)?,
        Ties::AsTheyCame => Heads::by_place(&batches),
    };
    let mut picks = Vec::with_capacity(batches.iter().map(Rows::len).sum());
    while let Some(batch) = heads.least() {
        picks.push((batch, heads.advance(batch)));
    }
    pick(&batches, &picks)
}

/// The next row of each batch.
pub(super) struct Heads<'a> {
    batches: &'a [Rows],
    at: Vec<usize>,
    /// Of the keys of each two batches; none where they have no keys, or those do not count.
    keys: Vec<Option<DynComparator>>,
}

impl<'a> Heads<'a> {
    /// Whatever their keys are; of rows that a source gives, which have no turns.
    fn by_place(batches: &'a [Rows]) -> Self {
        let pairs = batches.len() * batches.len();
        Self { batches, at: vec![0; batches.len()], keys: (0..pairs).map(|_| None).collect() }
    }

    pub(super) fn new(batches: &'a [Rows]) -> Result<Self, EngineError> {
        let mut keys = Vec::with_capacity(batches.len() * batches.len());
        for a in batches {
            for b in batches {
                keys.push(match (&a.key, &b.key) {
                    (Some(a), Some(b)) => {
                        let comparator = make_comparator(&a.values, &b.values, BY_KEY);
                        Some(comparator.map_err(EngineError::kernel("merge"))?)
                    }
                    (None, None) => None,
                    _ => {
                        return Err(EngineError::mismatch("merge", "keys in all batches or none", "in some"));
                    }
                });
            }
        }
        Ok(Self { batches, at: vec![0; batches.len()], keys })
    }

    fn is_done(&self, batch: usize) -> bool {
        self.at[batch] == self.batches[batch].len()
    }

    /// How the heads of two batches, neither of them at its end, stand to each other.
    fn order(&self, a: usize, b: usize) -> Ordering {
        let (row_a, row_b) = (self.at[a], self.at[b]);
        let by_place = self.batches[a].places.order(row_a, &self.batches[b].places, row_b);
        let by_key = || match &self.keys[a * self.batches.len() + b] {
            Some(by_key) => by_key(row_a, row_b),
            None => Ordering::Equal,
        };
        let turn = |batch: usize, row: usize| self.batches[batch].places.turn(row);
        let by_turn = || turn(a, row_a).cmp(&turn(b, row_b));
        by_place.then_with(by_key).then_with(by_turn)
    }

    /// The batch whose head comes first; of equal ones the first batch.
    pub(super) fn least(&self) -> Option<usize> {
        let live = (0..self.batches.len()).filter(|batch| !self.is_done(*batch));
        live.reduce(|least, batch| if self.order(batch, least).is_lt() { batch } else { least })
    }

    /// Whether the head of a batch is the same point as that of another.
    pub(super) fn is_same(&self, a: usize, b: usize) -> bool {
        a == b || (!self.is_done(a) && !self.is_done(b) && self.order(a, b).is_eq())
    }

    /// Gives the head's row and goes on to the next.
    pub(super) fn advance(&mut self, batch: usize) -> usize {
        self.at[batch] += 1;
        self.at[batch] - 1
    }
}

/// Rows chosen from batches, all with the same columns.
pub(super) fn pick(batches: &[Rows], picks: &[(usize, usize)]) -> Result<Rows, EngineError> {
    let key = pick_keys(batches, picks)?;
    let width = batches.first().map_or(0, |batch| batch.columns.len());
    let columns = (0..width).map(|column| {
        let arrays = columns_at(batches.iter(), column)?;
        interleave(&arrays, picks).map_err(EngineError::kernel("merge"))
    });
    Ok(Rows { places: pick_places(batches, picks), key, columns: columns.collect::<Result<_, _>>()? })
}

/// The places of rows chosen from batches.
pub(super) fn pick_places(batches: &[Rows], picks: &[(usize, usize)]) -> Places {
    let places: Vec<&Places> = batches.iter().map(|rows| &rows.places).collect();
    Places::pick(&places, &picks.iter().copied())
}

/// The keys of rows chosen from batches.
pub(super) fn pick_keys(batches: &[Rows], picks: &[(usize, usize)]) -> Result<Option<Keys>, EngineError> {
    let Some(keys) = keys_of(batches.iter())? else { return Ok(None) };
    let values: Vec<&dyn Array> = keys.iter().map(|keys| keys.values.as_ref()).collect();
    let values = interleave(&values, picks).map_err(EngineError::kernel("merge"))?;
    Ok(Some(Keys { values, hashes: picks.iter().map(|(batch, row)| keys[*batch].hashes[*row]).collect() }))
}

/// Batches one after another.
fn chain(batches: &[&Rows]) -> Result<Rows, EngineError> {
    let all: Vec<&Places> = batches.iter().map(|rows| &rows.places).collect();
    let rows =
        all.iter().enumerate().flat_map(|(batch, places)| (0..places.len()).map(move |row| (batch, row)));
    let places = Places::pick(&all, &rows);
    let key = match keys_of(batches.iter().copied())? {
        None => None,
        Some(keys) => {
            let values: Vec<&dyn Array> = keys.iter().map(|keys| keys.values.as_ref()).collect();
            let values = concat(&values).map_err(EngineError::kernel("merge"))?;
            Some(Keys { values, hashes: keys.iter().flat_map(|keys| keys.hashes.iter().copied()).collect() })
        }
    };
    let width = batches.first().map_or(0, |batch| batch.columns.len());
    let columns = (0..width).map(|column| {
        let arrays = columns_at(batches.iter().copied(), column)?;
        concat(&arrays).map_err(EngineError::kernel("merge"))
    });
    Ok(Rows { places, key, columns: columns.collect::<Result<_, _>>()? })
}

fn columns_at<'a>(
    batches: impl Iterator<Item = &'a Rows>,
    column: usize,
) -> Result<Vec<&'a dyn Array>, EngineError> {
    let at = |batch: &'a Rows| batch.columns.get(column).map(AsRef::as_ref);
    let arrays: Option<Vec<&dyn Array>> = batches.map(at).collect();
    arrays.ok_or_else(|| EngineError::mismatch("merge", "equal columns in all batches", "others"))
}

/// The keys of all batches; none where none has any.
fn keys_of<'a>(batches: impl Iterator<Item = &'a Rows>) -> Result<Option<Vec<&'a Keys>>, EngineError> {
    let keys: Vec<Option<&Keys>> = batches.map(|batch| batch.key.as_ref()).collect();
    if keys.iter().all(Option::is_none) {
        return Ok(None);
    }
    let all: Option<Vec<&Keys>> = keys.into_iter().collect();
    all.map(Some).ok_or_else(|| EngineError::mismatch("merge", "keys in all batches or none", "in some"))
}

/// Puts points that share a place in the order of their keys, which are new.
pub(super) fn settle(rows: Rows) -> Result<Rows, EngineError> {
    let shared = |row: usize| rows.places.at(row) == rows.places.at(row + 1);
    // Ordinals are compared first: a single pass over numbers tells that there is nothing to do, as almost always.
    let repeats = rows.places.ordinal.windows(2).any(|pair| pair[0] == pair[1]);
    if repeats && (1..rows.len()).any(|row| shared(row - 1)) { in_order(&rows) } else { Ok(rows) }
}

/// The rows by place, then by key, then by turn.
pub(super) fn in_order(rows: &Rows) -> Result<Rows, EngineError> {
    let by_key = by_key(rows)?;
    let len = u32::try_from(rows.len())
        .map_err(|_| EngineError::mismatch("merge", "a batch of 32 bits", rows.len()))?;
    let mut order: Vec<u32> = (0..len).collect();
    order.sort_by(|a, b| {
        let (a, b) = (*a as usize, *b as usize);
        let by_place = rows.places.order(a, &rows.places, b);
        by_place.then_with(|| by_key(a, b)).then_with(|| rows.places.turn(a).cmp(&rows.places.turn(b)))
    });
    reorder(rows, &order.into())
}

/// How the keys of two rows stand to each other.
pub(super) fn by_key(rows: &Rows) -> Result<DynComparator, EngineError> {
    match &rows.key {
        Some(key) => make_comparator(&key.values, &key.values, BY_KEY).map_err(EngineError::kernel("merge")),
        None => Ok(Box::new(|_, _| Ordering::Equal)),
    }
}

/// The rows with these numbers.
fn reorder(rows: &Rows, order: &UInt32Array) -> Result<Rows, EngineError> {
    let taken = |array: &ArrayRef| take(array, order, None).map_err(EngineError::kernel("merge"));
    let key = match &rows.key {
        None => None,
        Some(key) => {
            let hashes = numbers::<UInt64Type>(&key.hashes, &taken)?;
            Some(Keys { values: taken(&key.values)?, hashes })
        }
    };
    let places = rows.places.map(&taken)?;
    Ok(Rows { places, key, columns: rows.columns.iter().map(taken).collect::<Result<_, _>>()? })
}
