//! What batches of a file become: times, places and the wanted columns in the engine's types.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt32Array, new_empty_array, new_null_array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields, TimeUnit};
use arrow_select::filter::FilterBuilder;
use skytide_timestream::plan::{PathStep, Scan};

use super::projection::Projection;
use crate::columns::{Chunk, Sieve, fitted, is_rising, lengths, ordinals, plain, times};

/// Rows a unit may have before their numbers meet those of the next one.
const ROWS_BITS: u32 = 40;

/// What is made of batches.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// The columns that are wanted.
    pub(super) wanted: Projection,
    /// They as they are handed on: texts of which nothing but the length is asked for as their lengths.
    pub(super) made: Fields,
    /// Those and what orders rows.
    pub(super) timed: Projection,
    /// What orders rows alone.
    pub(super) times: Projection,
    time: String,
    /// The column that orders rows of one time, and its type.
    subsort: Option<(String, DataType)>,
    unit: TimeUnit,
    /// Which rows are handed on; all where there is none.
    sieve: Option<Sieve>,
}

/// What a batch became.
pub(super) struct Made {
    /// The rows that have a time and are wanted.
    pub(super) chunk: Chunk,
    /// How many rows have no time.
    pub(super) untimed: u64,
    /// How many values fit no column.
    pub(super) misfits: u64,
}

/// When rows are, and which of one time is first.
#[derive(Debug, Clone)]
pub(super) struct Times {
    pub(super) time: ScalarBuffer<i64>,
    /// Which rows have a time; all where there is none.
    valid: Option<NullBuffer>,
    ordinal: Ordinals,
    /// The first value that is no time.
    pub(super) unread: Option<String>,
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

    fn at(&self, row: usize) -> u64 {
        match self {
            Self::From(first) => first + row as u64,
            Self::Each(each) => each[row],
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
            unread: self.unread.clone(),
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
            unread: pieces.iter().find_map(|piece| piece.unread.clone()),
        }
    }

    /// The rows that have a time; none where all have.
    fn timed(&self) -> Option<UInt32Array> {
        let valid = self.valid.as_ref().filter(|valid| valid.null_count() > 0)?;
        Some((0..).zip(valid.iter()).filter(|(_, valid)| *valid).map(|(row, _)| row).collect())
    }

    /// The newest of them.
    pub(super) fn newest(&self) -> Option<i64> {
        match self.timed() {
            None => self.time.iter().copied().max(),
            Some(rows) => rows.values().iter().map(|row| self.time[*row as usize]).max(),
        }
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
    /// What `scans` want of these columns, with rows ordered by `time` (numbers in `unit`) and `subsort`;
    /// `key` is the column of their keys.
    pub(super) fn new(
        scans: &[Scan],
        columns: &Fields,
        key: &str,
        time: &str,
        subsort: Option<&str>,
        unit: TimeUnit,
    ) -> Self {
        let wanted = Projection::of(scans, columns, key);
        let sieve = Sieve::of(scans, columns);
        let is_measured = |name: &str| {
            let is_key = scans.iter().any(|scan| scan.keyed) && name == key;
            let mut uses = scans.iter().flat_map(|scan| &scan.columns).filter(|column| column.is_of(name));
            !is_key && uses.all(|column| matches!(column.path.as_slice(), [_, PathStep::Length]))
        };
        let wanted = wanted.viewing(|name| sieve.is_some() || is_measured(name));
        let made = |field: &Arc<Field>| match is_measured(field.name()) {
            true => Arc::new(Field::clone(field).with_data_type(DataType::Int64)),
            false => Arc::clone(field),
        };
        let made = wanted.fields.iter().map(made).collect();
        let mut timed = wanted.and(time, columns);
        if let Some(subsort) = subsort {
            timed = timed.and(subsort, columns);
        }
        let times = Projection::whole(std::iter::once(time).chain(subsort), columns);
        let of =
            |name: &str| columns.find(name).map_or(DataType::Int64, |(_, field)| field.data_type().clone());
        let (time, subsort) = (time.to_owned(), subsort.map(|name| (name.to_owned(), of(name))));
        Self { wanted, made, timed, times, time, subsort, unit, sieve }
    }

    /// The times of a batch whose first row has this number.
    pub(super) fn times(&self, batch: &RecordBatch, first: u64) -> Result<Times, ArrowError> {
        let missing = |name: &str| ArrowError::SchemaError(format!("there is no column {name:?}"));
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| missing(name));
        let values = column(&self.time)?;
        let to = plain(&Field::new("", values.data_type().clone(), true));
        let times: Int64Array = times::nanos(&fitted(values, to.data_type())?.values, self.unit)?;
        let ordinal = match &self.subsort {
            None => Ordinals::From(first),
            Some((name, of)) => Ordinals::Each(ordinals(column(name)?, of)?.into()),
        };
        let valid = times.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        let unread = valid.as_ref().and_then(|_| times::first_unread(values, &times));
        Ok(Times { time: times.values().clone(), valid, ordinal, unread })
    }

    /// The rows of a batch that have a time and are wanted, with the wanted columns.
    pub(super) fn chunk(&self, batch: &RecordBatch, times: &Times) -> Result<Made, ArrowError> {
        let mut misfits = 0;
        let mut columns: Vec<Option<ArrayRef>> = Vec::with_capacity(self.wanted.fields.len());
        for field in &self.wanted.fields {
            let mut column = batch.column_by_name(field.name()).cloned();
            // What is tested must be what it is tested as; text is tested in any form.
            if let (Some(values), Some(sieve)) = (&mut column, &self.sieve)
                && sieve.tests(field.name())
                && !matches!(values.data_type(), DataType::Utf8View)
            {
                let fit = fitted(values, field.data_type())?;
                misfits += fit.misfits;
                *values = fit.values;
            }
            columns.push(column);
        }
        let kept = self.kept(times, &columns)?;
        let untimed = times.valid.as_ref().map_or(0, NullBuffer::null_count) as u64;
        let (time, ordinal) = match &kept {
            None => (times.time.clone(), times.ordinal.of(times.len())),
            Some(kept) => {
                let kept = BooleanArray::new(kept.clone(), None);
                let filter = FilterBuilder::new(&kept).optimize().build();
                for column in columns.iter_mut().flatten() {
                    *column = filter.filter(column)?;
                }
                let rows = || kept.values().set_indices();
                let time = rows().map(|row| times.time[row]).collect();
                (time, rows().map(|row| times.ordinal.at(row)).collect())
            }
        };
        let mut made = Vec::with_capacity(columns.len());
        for ((column, field), to) in columns.iter().zip(&self.wanted.fields).zip(&self.made) {
            let Some(values) = column else {
                made.push(new_null_array(to.data_type(), time.len()));
                continue;
            };
            let is_measured = field.data_type() != to.data_type();
            if is_measured && values.data_type() == &DataType::Utf8View {
                made.push(lengths(values)?);
                continue;
            }
            let fit = fitted(values, field.data_type())?;
            misfits += fit.misfits;
            made.push(if is_measured { lengths(&fit.values)? } else { fit.values });
        }
        Ok(Made { chunk: Chunk { time, ordinal, columns: made }, untimed, misfits })
    }

    /// No rows, with the wanted columns.
    pub(super) fn nothing(&self) -> Chunk {
        let columns = self.made.iter().map(|field| new_empty_array(field.data_type())).collect();
        Chunk { time: vec![].into(), ordinal: vec![].into(), columns }
    }

    /// The rows that have a time and are wanted; none if all are.
    fn kept(&self, times: &Times, columns: &[Option<ArrayRef>]) -> Result<Option<BooleanBuffer>, ArrowError> {
        let timed = times.valid.as_ref().map(|valid| valid.inner().clone());
        let wanted = match &self.sieve {
            None => None,
            Some(sieve) => {
                let at = |of: &Field| self.wanted.fields.find(of.name()).map(|(at, _)| at);
                Some(sieve.wanted(times.len(), |of| columns.get(at(of)?)?.clone())?)
            }
        };
        let kept = match (timed, wanted) {
            (Some(timed), Some(wanted)) => Some(&timed & &wanted),
            (timed, wanted) => timed.or(wanted),
        };
        Ok(kept.filter(|kept| kept.count_set_bits() < times.len()))
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
