//! What batches of a file become: times, places and the wanted columns in the engine's types.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, UInt32Array, new_null_array};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, Fields, TimeUnit};

use super::projection::Projection;
use crate::columns::{Chunk, fitted, is_rising, ordinals, plain, times};

/// Rows a unit may have before their numbers meet those of the next one.
const ROWS_BITS: u32 = 40;

/// What is made of batches.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// The columns that are handed on.
    pub(super) wanted: Projection,
    /// Those and what orders rows.
    pub(super) timed: Projection,
    /// What orders rows alone.
    pub(super) times: Projection,
    time: String,
    subsort: Option<String>,
    unit: TimeUnit,
}

/// When rows are, and which of one time is first.
#[derive(Debug, Clone)]
pub(super) struct Times {
    pub(super) time: ScalarBuffer<i64>,
    /// Which rows have a time; all where there is none.
    valid: Option<NullBuffer>,
    ordinal: Ordinals,
}

/// Places of rows among those of their time.
#[derive(Debug, Clone)]
enum Ordinals {
    /// Numbers in a row, from this one on: as the rows stand in the file.
    From(u64),
    Each(ScalarBuffer<u64>),
}

impl Ordinals {
    fn slice(&self, start: usize, len: usize) -> Self {
        match self {
            Self::From(first) => Self::From(first + start as u64),
            Self::Each(each) => Self::Each(each.slice(start, len)),
        }
    }

    fn of(&self, len: usize) -> ScalarBuffer<u64> {
        match self {
            Self::From(first) => (*first..first + len as u64).collect(),
            Self::Each(each) => each.clone(),
        }
    }
}

impl Times {
    pub(super) fn len(&self) -> usize {
        self.time.len()
    }

    /// The rows from `start` on, `len` of them.
    pub(super) fn slice(&self, start: usize, len: usize) -> Self {
        Self {
            time: self.time.slice(start, len),
            valid: self.valid.as_ref().map(|valid| valid.slice(start, len)),
            ordinal: self.ordinal.slice(start, len),
        }
    }

    /// Several in a row of one unit as one.
    pub(super) fn joined(pieces: &[Self]) -> Self {
        if let [one] = pieces {
            return one.clone();
        }
        let has_nulls = pieces.iter().any(|piece| piece.valid.is_some());
        let bits = |piece: &Self| -> Vec<bool> {
            piece.valid.as_ref().map_or_else(|| vec![true; piece.len()], |valid| valid.iter().collect())
        };
        Self {
            time: pieces.iter().flat_map(|piece| piece.time.iter().copied()).collect(),
            valid: has_nulls.then(|| pieces.iter().flat_map(bits).collect()),
            ordinal: match pieces.first().map(|piece| &piece.ordinal) {
                Some(Ordinals::From(first)) => Ordinals::From(*first),
                _ => Ordinals::Each(
                    pieces.iter().flat_map(|piece| piece.ordinal.of(piece.len()).to_vec()).collect(),
                ),
            },
        }
    }

    /// The rows that have a time; none where all have.
    fn timed(&self) -> Option<UInt32Array> {
        let valid = self.valid.as_ref().filter(|valid| valid.null_count() > 0)?;
        Some((0..).zip(valid.iter()).filter(|(_, valid)| *valid).map(|(row, _)| row).collect())
    }

    /// The place of the last row, if all rows that have a time stand in order, and after `last`; none if they do not.
    #[expect(clippy::option_option, reason = "no place and no order are two things")]
    pub(super) fn rise(&self, last: Option<(i64, u64)>) -> Option<Option<(i64, u64)>> {
        let (time, ordinal) = match (self.timed(), &self.ordinal) {
            (None, Ordinals::From(first)) => {
                // Numbers in a row rise by themselves.
                let ends = self.time.len().checked_sub(1);
                let Some(end) = ends else { return Some(last) };
                let follows = last.is_none_or(|last| last <= (self.time[0], *first));
                let is_rising =
                    follows && self.time.windows(2).fold(true, |rises, pair| rises & (pair[0] <= pair[1]));
                return is_rising.then(|| Some((self.time[end], first + end as u64)));
            }
            (None, Ordinals::Each(each)) => (self.time.clone(), each.clone()),
            (Some(rows), ordinal) => {
                let ordinal = ordinal.of(self.len());
                let rows = rows.values().iter().map(|row| *row as usize);
                (rows.clone().map(|row| self.time[row]).collect(), rows.map(|row| ordinal[row]).collect())
            }
        };
        let place = |row: usize| (time[row], ordinal[row]);
        let Some(end) = time.len().checked_sub(1) else { return Some(last) };
        let follows = last.is_none_or(|last| last <= place(0));
        (follows && is_rising(&time, &ordinal)).then(|| Some(place(end)))
    }
}

impl Shape {
    /// What `wanted` of these columns needs, with rows ordered by `time` (numbers in `unit`) and `subsort`.
    pub(super) fn new(
        wanted: Projection,
        columns: &Fields,
        time: &str,
        subsort: Option<&str>,
        unit: TimeUnit,
    ) -> Self {
        let mut timed = wanted.and(time, columns);
        if let Some(subsort) = subsort {
            timed = timed.and(subsort, columns);
        }
        let times = Projection::whole(std::iter::once(time).chain(subsort), columns);
        Self { wanted, timed, times, time: time.to_owned(), subsort: subsort.map(str::to_owned), unit }
    }

    /// The times of a batch whose first row has this number.
    pub(super) fn times(&self, batch: &RecordBatch, first: u64) -> Result<Times, ArrowError> {
        let missing = |name: &str| ArrowError::SchemaError(format!("there is no column {name:?}"));
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| missing(name));
        let values = column(&self.time)?;
        let to = plain(&arrow_schema::Field::new("", values.data_type().clone(), true));
        let times: Int64Array = times::nanos(&fitted(values, to.data_type())?.0, self.unit)?;
        let ordinal = match &self.subsort {
            None => Ordinals::From(first),
            Some(name) => Ordinals::Each(ordinals(column(name)?)?.into()),
        };
        let valid = times.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        Ok(Times { time: times.values().clone(), valid, ordinal })
    }

    /// The rows of a batch that have a time, with the wanted columns; how many have none; how many values fit no column.
    pub(super) fn chunk(&self, batch: &RecordBatch, times: &Times) -> Result<(Chunk, u64, u64), ArrowError> {
        let mut misfits = 0;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.wanted.fields.len());
        for field in &self.wanted.fields {
            match batch.column_by_name(field.name()) {
                None => columns.push(new_null_array(field.data_type(), batch.num_rows())),
                Some(values) => {
                    let (column, lost) = fitted(values, field.data_type())?;
                    misfits += lost;
                    columns.push(column);
                }
            }
        }
        let chunk = Chunk { time: times.time.clone(), ordinal: times.ordinal.of(times.len()), columns };
        match times.timed() {
            None => Ok((chunk, 0, misfits)),
            Some(rows) => {
                let untimed = (times.len() - rows.len()) as u64;
                Ok((chunk.select(rows.values())?, untimed, misfits))
            }
        }
    }
}

/// The number of the first row of a unit.
pub(super) fn first_number(unit: usize) -> u64 {
    (unit as u64) << ROWS_BITS
}

/// The engine's types of columns as a file has them.
pub(super) fn plain_fields(fields: &Fields) -> Fields {
    fields.iter().map(|field| Arc::new(plain(field))).collect()
}
