//! What of the answer is shown (SEMANTICS 7.5): history is cut by time, a snapshot keeps the newest row of each key.
//!
//! A snapshot comes of rows of all workers, so it numbers keys itself. But to look each up again would cost
//! more than all else that is done with a row: where the rows' region has numbered them, its numbers come
//! with the rows, and lead to those here ([`Namesake`]).

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, TimestampNanosecondArray, UInt32Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_select::take::take;

use super::arena::NONE;
use super::error::{EngineError, SnapshotError};
use super::keys::KeyIndex;
use super::parts::PART;
use super::slots::Slots;
use super::{array, snapshot};
use crate::held;
use crate::plan::{ANSWERS_OWN, Plan, Results};
use crate::rows::{AFTER, Keys, Lane, Places, Rows};

/// How a query runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Over input that ends; a snapshot comes once, at the end.
    Once,
    /// Over input that does not; a snapshot is upserts of the keys that changed.
    Live,
}

/// Names and types of the answer's columns: `_time` (UTC nanoseconds), `_key`, then the fields (SEMANTICS 7.6).
///
/// # Errors
/// A field of the answer has the name of one of these two, or the plan's output is not of its last region.
pub fn answer_schema(plan: &Plan) -> Result<SchemaRef, EngineError> {
    let (key_type, columns) = answer_types(plan)?;
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let mut fields =
        vec![Field::new(ANSWERS_OWN[0], time, false), Field::new(ANSWERS_OWN[1], key_type, true)];
    let names = plan.output.columns.iter().map(|(name, _)| name);
    if let Some(taken) = names.clone().find(|name| ANSWERS_OWN.contains(&name.as_str())) {
        return Err(EngineError::Taken(taken.clone()));
    }
    fields.extend(names.zip(columns).map(|(name, data_type)| Field::new(name, data_type, true)));
    Ok(Arc::new(Schema::new(fields)))
}

/// Rows of the answer as a batch of [`answer_schema`]; nothing is copied.
///
/// # Errors
/// The rows are not the plan's answer.
pub fn answer_batch(plan: &Plan, rows: &Rows) -> Result<RecordBatch, EngineError> {
    let key = rows.key.as_ref().ok_or_else(|| EngineError::mismatch("answer", "keys", "none"))?;
    let time = TimestampNanosecondArray::new(rows.places.time.clone(), None).with_timezone("UTC");
    let mut columns: Vec<ArrayRef> = vec![Arc::new(time), Arc::clone(&key.values)];
    columns.extend(rows.columns.iter().cloned());
    RecordBatch::try_new(answer_schema(plan)?, columns).map_err(EngineError::kernel("answer"))
}

/// Types of the answer's keys and columns.
fn answer_types(plan: &Plan) -> Result<(DataType, Vec<DataType>), EngineError> {
    let region = plan.regions.last().ok_or_else(|| EngineError::mismatch("answer", "a region", "none"))?;
    let key_type = region.key_type.clone().ok_or_else(|| EngineError::mismatch("answer", "keys", "none"))?;
    let type_of = |(name, reg): &(String, usize)| {
        let step =
            region.steps.get(*reg).ok_or_else(|| EngineError::mismatch("answer", name, "no such step"))?;
        Ok(step.data_type.clone())
    };
    Ok((key_type, plan.output.columns.iter().map(type_of).collect::<Result<_, EngineError>>()?))
}

/// Cuts the answer to what is shown.
#[derive(Debug)]
pub struct ResultOperator {
    results: Results,
    mode: Mode,
    key_type: DataType,
    /// Number of columns that are shown.
    columns: usize,
    /// For a snapshot at the end: the newest row of each key.
    held: Option<Held>,
}

/// The newest row of each key.
struct Held {
    keys: KeyIndex,
    /// Time of the row.
    times: Vec<i64>,
    columns: Vec<Slots>,
    /// By the number that a key has in its region: its number here.
    namesakes: Vec<Namesake>,
    /// The number of each row's key in the batch at hand; kept for its room.
    numbers: Vec<u32>,
}

/// The key that came last with a number of its region.
///
/// At one worker a number is of one key. Keys of two workers differ in the bits of their hashes that chose
/// the worker, which are among those here: so a key with this number and these bits is this one.
#[derive(Clone, Copy)]
struct Namesake {
    /// Its number here; [`NONE`] where no key came.
    number: u32,
    /// The low half of its hash.
    hash: u32,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl ResultOperator {
    /// For a plan's answer, with nothing held.
    ///
    /// # Errors
    /// The plan's output is not of its last region.
    pub fn new(plan: &Plan, mode: Mode) -> Result<Self, EngineError> {
        let (key_type, columns) = answer_types(plan)?;
        let results = plan.output.results;
        let held = match (results, mode) {
            (Results::Snapshot { .. }, Mode::Once) => Some(Held {
                keys: KeyIndex::new(&key_type)?,
                times: Vec::new(),
                columns: columns.iter().map(Slots::new).collect::<Result<_, _>>()?,
                namesakes: Vec::new(),
                numbers: Vec::new(),
            }),
            _ => None,
        };
        Ok(Self { results, mode, key_type, columns: columns.len(), held })
    }

    /// Takes the next rows of the answer, in order, and gives those to show now: of a history those within
    /// its bounds; of a live snapshot each key's newest row, as of the nanosecond after it, in order; of a
    /// snapshot that comes at the end none.
    ///
    /// # Errors
    /// The rows are not the plan's answer.
    pub fn process(&mut self, rows: Rows) -> Result<Rows, EngineError> {
        match self.results {
            Results::History { since: None, until: None } => Ok(rows),
            Results::History { since, until } => Ok(between(&rows, since, until)),
            Results::Snapshot { changed_since, at } => match (&mut self.held, self.mode) {
                (Some(held), _) => {
                    let rows = between(&rows, None, at);
                    let (rows, numbers) = parted(rows, self.columns);
                    held.put(&rows, numbers.as_ref().and_then(AsArray::as_primitive_opt::<UInt32Type>))?;
                    Ok(rows.slice(0, 0))
                }
                (None, _) => {
                    let (rows, _) = parted(rows, self.columns);
                    newest(&self.key_type, &between(&rows, changed_since, at))
                }
            },
        }
    }

    /// The rows that were held to the end: of a snapshot over input that ends, one a key, by key, null first,
    /// in one batch if they are not too many for that. `newest` is the time of the newest event read. None
    /// where nothing was held.
    ///
    /// # Errors
    /// A row does not fit Arrow's arrays (2 GiB of text in one column).
    pub fn finish(&mut self, newest: i64) -> Result<Vec<Rows>, EngineError> {
        let (Some(held), Results::Snapshot { changed_since, at }) = (&self.held, self.results) else {
            return Ok(Vec::new());
        };
        let changed = |time: &i64| changed_since.is_none_or(|since| *time >= since);
        let numbers: Vec<u32> =
            (0..).zip(&held.times).filter(|(_, time)| changed(time)).map(|(number, _)| number).collect();
        let numbers = held.keys.sorted(&numbers)?;
        let time = at.unwrap_or(newest).saturating_add(1);
        let bytes = |number: &u32| {
            let columns = held.columns.iter().map(|column| column.bytes(*number));
            columns.sum::<usize>() + held.keys.bytes(*number)
        };
        let (mut batches, mut left) = (Vec::new(), numbers.as_slice());
        while !left.is_empty() {
            let mut sum = 0;
            let fits = left.iter().take_while(|number| {
                sum += bytes(number);
                sum <= PART
            });
            let (now, later) = left.split_at(fits.count().max(1));
            batches.push(held.rows(now, time)?);
            left = later;
        }
        Ok(batches)
    }

    /// What is held, by virtual shard of the keys.
    ///
    /// # Errors
    /// A shard's rows do not fit Arrow's arrays (2 GiB of text in one column).
    pub fn snapshot(&self) -> Result<Vec<(u8, Vec<u8>)>, EngineError> {
        let Some(held) = &self.held else { return Ok(Vec::new()) };
        let shards = snapshot::by_shard(&held.keys.hashes()).into_iter();
        let saved = shards.map(|(shard, numbers)| {
            let times: Int64Array = numbers.iter().map(|number| Some(held.times[*number as usize])).collect();
            let mut columns = vec![
                ("key".to_owned(), held.keys.keys(&numbers)?),
                ("time".to_owned(), Arc::new(times) as ArrayRef),
            ];
            for (at, column) in held.columns.iter().enumerate() {
                columns.push((at.to_string(), column.take(&numbers)?));
            }
            let tables = [("rows".to_owned(), columns)];
            Ok((shard, snapshot::to_bytes(&tables).map_err(EngineError::kernel("snapshot"))?))
        });
        saved.collect()
    }

    /// Takes up a shard of what was held, beside what is there. Each shard is restored once.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn restore(&mut self, shard: u8, bytes: &[u8]) -> Result<(), SnapshotError> {
        let tables = snapshot::from_bytes(bytes)?;
        let foreign =
            |expected: &str, found: String| SnapshotError::Foreign { expected: expected.into(), found };
        let Some(held) = &mut self.held else { return Err(foreign("nothing held", "rows".into())) };
        let Ok([(_, columns)]) = <[snapshot::Table; 1]>::try_from(tables) else {
            return Err(foreign("one table", "another number".into()));
        };
        let names = columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ");
        let [(_, values), (_, times), values_of @ ..] = columns.as_slice() else {
            return Err(foreign("keys and times", names));
        };
        let times = array::carried::<arrow_array::types::Int64Type>(times)?;
        let hashes = super::hash(values);
        if hashes.iter().any(|hash| super::shard(*hash) != shard) || values_of.len() != held.columns.len() {
            return Err(foreign(&format!("{} columns of shard {shard}", held.columns.len()), names));
        }
        let places = Places::new(times.values().clone(), Lane::One(0), vec![0; times.len()].into());
        let columns = values_of.iter().map(|(_, column)| Arc::clone(column)).collect();
        let key = Some(Keys { values: Arc::clone(values), hashes });
        Ok(held.put(&Rows { places, key, columns }, None)?)
    }

    /// The keys whose rows are held, and what that takes.
    #[must_use]
    pub fn holds(&self) -> held::Held {
        let holds = |held: &Held| held::Held {
            keys: held.keys.len(),
            points: held.keys.len(),
            bytes: held.keys.memory()
                + held.times.capacity() * 8
                + held.namesakes.capacity() * size_of::<Namesake>()
                + held.columns.iter().map(Slots::memory).sum::<usize>(),
        };
        self.held.as_ref().map_or_else(held::Held::default, holds)
    }
}

impl Held {
    /// The rows of these keys, as of a time.
    fn rows(&self, numbers: &[u32], time: i64) -> Result<Rows, EngineError> {
        let values = self.keys.keys(numbers)?;
        let columns = self.columns.iter().map(|column| column.take(numbers)).collect::<Result<_, _>>()?;
        let len = numbers.len();
        let places = Places::new(vec![time; len].into(), Lane::One(AFTER), vec![0; len].into());
        Ok(Rows { places, key: Some(Keys { hashes: super::hash(&values), values }), columns })
    }

    /// Keeps the last row of each key. `of_region`: the keys' numbers in their regions.
    fn put(&mut self, rows: &Rows, of_region: Option<&UInt32Array>) -> Result<(), EngineError> {
        let keys = rows.key.as_ref().ok_or_else(|| EngineError::mismatch("answer", "keys", "none"))?;
        self.numbers.clear();
        match of_region {
            Some(numbers) => self.translate(keys, numbers.values())?,
            None => self.keys.number(keys, &mut self.numbers)?,
        }
        array::fill(&mut self.times, self.keys.len(), i64::MIN);
        for (number, time) in self.numbers.iter().zip(&rows.places.time) {
            self.times[*number as usize] = *time;
        }
        if rows.columns.len() != self.columns.len() {
            return Err(EngineError::mismatch("answer", self.columns.len(), rows.columns.len()));
        }
        // Few keys come often: all but the last of their rows need not be put. Of many, most come once.
        let last = (self.keys.len() < rows.len()).then(|| last_of_each(&self.numbers, self.keys.len()));
        let numbers =
            last.as_ref().map(|last| last.values().iter().map(|row| self.numbers[*row as usize]).collect());
        let numbers: &Vec<u32> = numbers.as_ref().unwrap_or(&self.numbers);
        for (slots, values) in self.columns.iter_mut().zip(&rows.columns) {
            slots.grow(self.keys.len());
            match &last {
                Some(last) => {
                    let values = take(values, last, None).map_err(EngineError::kernel("snapshot"))?;
                    slots.put(numbers, &values)?;
                }
                None => slots.put(numbers, values)?,
            }
        }
        Ok(())
    }

    /// Numbers keys by the numbers that they have in their regions; looks up only those that came with none
    /// of these before.
    fn translate(&mut self, keys: &Keys, of_region: &[u32]) -> Result<(), EngineError> {
        let known = of_region.iter().max().map_or(0, |last| *last as usize + 1);
        array::fill(&mut self.namesakes, known, Namesake { number: NONE, hash: 0 });
        let of_region = of_region.iter().map(|number| *number as usize);
        let hashes = keys.hashes.iter().map(|hash| *hash as u32);
        let namesakes = self.namesakes.as_slice();
        self.numbers.extend(of_region.clone().zip(hashes.clone()).map(|(number, hash)| {
            let namesake = namesakes[number];
            if namesake.hash == hash { namesake.number } else { NONE }
        }));
        let rows = (0..).zip(&self.numbers).filter(|(_, number)| **number == NONE).map(|(row, _)| row);
        let new: UInt32Array = rows.collect::<Vec<u32>>().into();
        if new.is_empty() {
            return Ok(());
        }
        let values = take(&keys.values, &new, None).map_err(EngineError::kernel("snapshot"))?;
        let mut numbers = Vec::with_capacity(new.len());
        let new = new.values().iter().map(|row| *row as usize);
        self.keys.number(
            &Keys { values, hashes: new.clone().map(|row| keys.hashes[row]).collect() },
            &mut numbers,
        )?;
        new.zip(numbers).for_each(|(row, number)| self.numbers[row] = number);
        for ((number, hash), here) in of_region.zip(hashes).zip(&self.numbers) {
            self.namesakes[number] = Namesake { number: *here, hash };
        }
        Ok(())
    }
}

/// Rows as they are shown, and the numbers that their keys have in their regions, where those came with them.
fn parted(mut rows: Rows, columns: usize) -> (Rows, Option<ArrayRef>) {
    let numbers = if rows.columns.len() > columns { rows.columns.pop() } else { None };
    (rows, numbers)
}

/// The last row of each number that occurs, in order of rows; all numbers are below `known`.
fn last_of_each(numbers: &[u32], known: usize) -> UInt32Array {
    let mut seen = vec![false; known];
    let mut last: Vec<u32> = Vec::new();
    for (row, number) in (0..numbers.len() as u32).zip(numbers).rev() {
        if !std::mem::replace(&mut seen[*number as usize], true) {
            last.push(row);
        }
    }
    last.reverse();
    last.into()
}

/// The newest row of each key, as of the nanosecond after it.
fn newest(key_type: &DataType, rows: &Rows) -> Result<Rows, EngineError> {
    let keys = rows.key.as_ref().ok_or_else(|| EngineError::mismatch("answer", "keys", "none"))?;
    let mut index = KeyIndex::new(key_type)?;
    let mut numbers = Vec::new();
    index.number(keys, &mut numbers)?;
    let last = last_of_each(&numbers, index.len());
    let mut rows = rows.select(&last).map_err(EngineError::kernel("snapshot"))?;
    rows.places.time = rows.places.time.iter().map(|time| time.saturating_add(1)).collect();
    Ok(rows)
}

/// The rows from `since` up to and including `until`; nothing is copied.
fn between(rows: &Rows, since: Option<i64>, until: Option<i64>) -> Rows {
    let times = &rows.places.time;
    let start = since.map_or(0, |since| times.partition_point(|time| *time < since));
    let end = until.map_or(times.len(), |until| times.partition_point(|time| *time <= until));
    rows.slice(start, end.saturating_sub(start))
}
