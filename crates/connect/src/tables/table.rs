//! A table: its rows, as they are pushed and kept.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, Weak};

use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, DataType};
use skytide_timestream::catalog::StreamDef;

use super::bell::Bell;
use super::builder::Builder;
use super::cell::Fraction;
use super::definition::Definition;
use super::error::{LARGEST_ROW, TableError};
use super::lock::Lock;
use super::piped::PipeError;
use super::reader::{Mark, Reader};
use super::value::{Value, across, unknown};
use crate::columns::{Chunk, Fitted, Names, Roles, fitted, known, ordinals, plain, present, read, times};

/// Rows gathered one by one that make a chunk of their own at the latest.
const OPEN_ROWS: usize = 4096;
/// So do those that take so many bytes, about. Chunks are joined up to it, too.
const OPEN_BYTES: usize = 64 << 20;
/// So many chunks in a row below a size are joined into one, so that rows pushed one by one do not stay so:
/// each is copied once for each of the sizes, whatever is there.
const JOINED: usize = 64;
const SMALL: [usize; 2] = [64, 4096];
/// Rows that a reader may be behind before a push asks to wait.
const ROOM: u64 = 65_536;

/// What happened to the rows of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableCounts {
    /// Rows taken.
    pub rows: u64,
    /// Values that did not fit their column, and are null.
    pub misfits: u64,
    /// Rows without a time, which were dropped.
    pub untimed: u64,
    /// Values of columns that the table does not have, and of fields that its records do not have, which were
    /// left out.
    pub unknown: u64,
}

/// A source that several tables can be streams of: their rows stand in the one order in which they came, and
/// never pair.
#[derive(Debug, Clone, Default)]
pub struct Origin(Arc<Arrivals>);

/// What its streams have in common.
struct Arrivals {
    /// How many rows were pushed.
    count: AtomicU64,
    /// The newest time of all that are columns by now.
    newest: AtomicI64,
    tables: Lock<Vec<Weak<Shared>>>,
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals")
            .field("count", &self.count)
            .field("newest", &self.newest)
            .finish_non_exhaustive()
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { count: AtomicU64::new(0), newest: AtomicI64::new(i64::MIN), tables: Lock::new(Vec::new()) }
    }
}

impl Origin {
    /// Whether two are one.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The newest time of its rows; `i64::MIN` while there are none.
    pub(super) fn newest(&self) -> Result<i64, ArrowError> {
        let tables: Vec<_> = self.0.tables.lock().iter().filter_map(Weak::upgrade).collect();
        for table in tables {
            table.close(&mut table.state.lock())?;
        }
        Ok(self.0.newest.load(Ordering::Relaxed))
    }
}

/// Rows that a program pushes. Clones are the same table.
#[derive(Clone)]
pub struct Table {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) definition: Definition,
    pub(super) origin: Origin,
    /// Its columns by their names.
    known: Names,
    time: usize,
    subsort: Option<usize>,
    pub(super) state: Lock<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) chunks: VecDeque<Chunk>,
    /// Number of the first row there.
    pub(super) start: u64,
    /// Number of the row after the last that is in them.
    pub(super) end: u64,
    open: Option<Open>,
    last: Option<(i64, u64)>,
    is_unordered: bool,
    counts: TableCounts,
    /// The first value that is no time.
    unread: Option<String>,
    readers: Vec<Weak<Mark>>,
    /// No more is pushed, and why, if that is no end but an error.
    pub(super) ended: Option<Option<Arc<PipeError>>>,
}

impl State {
    /// Number of the row after the last, those that were pushed one by one counted.
    pub(super) fn last(&self) -> u64 {
        self.end + self.open.as_ref().map_or(0, |open| open.ordinal.len() as u64)
    }
}

/// Rows that were pushed one by one.
struct Open {
    columns: Vec<Builder>,
    ordinal: Vec<u64>,
    /// What they take, about.
    bytes: usize,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("definition", &self.shared.definition).finish_non_exhaustive()
    }
}

impl Table {
    /// An empty table.
    ///
    /// # Errors
    /// The definition names columns that are not there, or cannot be what they are to be.
    pub fn new(definition: Definition) -> Result<Self, TableError> {
        Self::of(definition, Origin::default())
    }

    /// An empty table that is a stream of a source.
    ///
    /// # Errors
    /// As of [`Self::new`].
    pub fn of(mut definition: Definition, origin: Origin) -> Result<Self, TableError> {
        definition.fields = definition.fields.iter().map(|field| known(&plain(field))).collect();
        let Definition { fields, time, key, subsort, .. } = &definition;
        let Roles { time, subsort, .. } = Roles::of(fields, time, key, subsort.as_deref())?;
        let state = Lock::new(State::default());
        let known = Names::of(fields);
        let shared = Arc::new(Shared { definition, origin, known, time, subsort, state });
        let mut tables = shared.origin.0.tables.lock();
        tables.retain(|table| table.strong_count() > 0);
        tables.push(Arc::downgrade(&shared));
        drop(tables);
        Ok(Self { shared })
    }

    /// What it is made of.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.shared.definition
    }

    /// The source that it is a stream of.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.shared.origin
    }

    /// Whether two are one.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// To be called in a process that may have been forked, by one thread, before the table is used there.
    /// Nothing is done in the one that made it.
    ///
    /// # Errors
    /// [`TableError::Forked`]: a thread of the other process was at it, or at one beside it, and holds it
    /// here for ever.
    pub fn enter(&self) -> Result<(), TableError> {
        let enter = |table: &Arc<Shared>| {
            table.state.enter(|state| {
                // Nobody reads here what is read there.
                state.readers.clear();
                true
            })
        };
        let tables = &self.shared.origin.0.tables;
        match tables.enter(|tables| tables.iter().filter_map(Weak::upgrade).all(|table| enter(&table))) {
            true => Ok(()),
            false => Err(TableError::Forked),
        }
    }

    /// Its stream, of the source of this number.
    #[must_use]
    pub fn stream(&self, source: u16) -> StreamDef {
        let Definition { name, fields, key, time, hides_time, .. } = self.definition();
        let shown = fields.iter().filter(|field| !hides_time || field.name() != time);
        StreamDef {
            name: name.clone(),
            source,
            fields: shown.cloned().collect(),
            key: key.clone(),
            time: Some(time.clone()),
        }
    }

    /// Adds rows. They are there when this returns. What a row has in no column of the table is left out and
    /// counted; the fraction of a number in a column of whole ones is cut off.
    ///
    /// # Errors
    /// The table has [ended](Self::end). A row takes more than 1 GiB: none of them is taken then.
    pub fn push_rows(&self, rows: &[Value<'_>]) -> Result<(), TableError> {
        self.push(rows, Fraction::IsCutOff)
    }

    /// The same, with fractions as they are to be.
    pub(super) fn push(&self, rows: &[Value<'_>], fraction: Fraction) -> Result<(), TableError> {
        let shared = &*self.shared;
        let sizes: Vec<usize> = rows.iter().map(Value::size).collect();
        if let Some(at) = sizes.iter().position(|bytes| *bytes > LARGEST_ROW) {
            return Err(TableError::Large { row: at + 1, bytes: sizes[at] });
        }
        let mut state = shared.lock_to_push()?;
        let first = shared.origin.0.count.fetch_add(rows.len() as u64, Ordering::Relaxed);
        for ((row, bytes), ordinal) in rows.iter().zip(sizes).zip(first..) {
            let open = state.open.get_or_insert_with(|| Open {
                columns: shared
                    .definition
                    .fields
                    .iter()
                    .map(|field| Builder::new(field.data_type()))
                    .collect(),
                ordinal: Vec::new(),
                bytes: 0,
            });
            let cells = open.columns.iter_mut().zip(across(row, &shared.known));
            let misfits: u64 = cells.map(|(column, value)| column.push(value, fraction)).sum();
            open.ordinal.push(ordinal);
            open.bytes += bytes;
            let is_full = open.ordinal.len() >= OPEN_ROWS || open.bytes >= OPEN_BYTES;
            state.counts.misfits += misfits;
            state.counts.unknown += unknown(row, &shared.known);
            state.counts.rows += 1;
            if is_full {
                shared.close(&mut state)?;
            }
        }
        shared.tell(state)
    }

    /// Adds the rows of a batch: its columns by name, and so the fields of records; those that are missing
    /// are null, values of those that the table does not have are left out and counted. What fits of rows
    /// fits of columns: other values are null and counted. They are there when this returns.
    ///
    /// # Errors
    /// The table has [ended](Self::end); a column could not be brought to its type.
    pub fn push_batch(&self, batch: &RecordBatch) -> Result<(), TableError> {
        self.push_columns(batch, fitted)
    }

    /// The same of cells that are text.
    pub(super) fn push_cells(&self, cells: &RecordBatch) -> Result<(), TableError> {
        self.push_columns(cells, read)
    }

    fn push_columns(
        &self,
        batch: &RecordBatch,
        fitted: fn(&ArrayRef, &DataType) -> Result<Fitted, ArrowError>,
    ) -> Result<(), TableError> {
        let shared = &*self.shared;
        let (mut misfits, mut unknown) = (0, 0);
        let mut columns = Vec::with_capacity(shared.definition.fields.len());
        let names = batch.schema_ref().fields().iter().map(|field| field.name().as_str());
        // Of two of one name the first.
        let given: HashMap<&str, &ArrayRef> = names.zip(batch.columns()).rev().collect();
        for field in &shared.definition.fields {
            let Some(given) = given.get(field.name().as_str()) else {
                columns.push(new_null_array(field.data_type(), batch.num_rows()));
                continue;
            };
            let fit = fitted(given, field.data_type())?;
            misfits += fit.misfits;
            unknown += fit.unknown;
            columns.push(fit.values);
        }
        let others = batch.schema_ref().fields().iter().zip(batch.columns()).enumerate();
        let others = others.filter(|(at, (field, _))| shared.known.get(field.name(), *at).is_none());
        unknown += others.map(|(_, (_, column))| present(column)).sum::<u64>();
        let rows = batch.num_rows() as u64;
        let mut state = shared.lock_to_push()?;
        shared.close(&mut state)?;
        let first = shared.origin.0.count.fetch_add(rows, Ordering::Relaxed);
        shared.append(&mut state, columns, (first..first + rows).collect())?;
        state.counts.misfits += misfits;
        state.counts.unknown += unknown;
        state.counts.rows += rows;
        shared.tell(state)
    }

    /// No more is pushed from now on, which is refused: live queries over it come to their end behind the
    /// rows that are there, as far as they read nothing else. Ending it twice does nothing.
    pub fn end(&self) {
        self.end_with(None);
    }

    /// As [`end`](Self::end); where there is an error they come to that.
    pub(super) fn end_with(&self, failed: Option<Arc<PipeError>>) {
        let mut state = self.shared.state.lock();
        state.ended.get_or_insert(failed);
        let readers: Vec<Arc<Mark>> = state.readers.iter().filter_map(Weak::upgrade).collect();
        drop(state);
        readers.iter().for_each(|reader| reader.bell.ring());
    }

    /// Whether anyone reads it.
    pub(super) fn has_readers(&self) -> bool {
        self.shared.state.lock().readers.iter().any(|reader| reader.strong_count() > 0)
    }

    /// Whether no reader is far behind, but for those that nobody reads from.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let state = self.shared.state.lock();
        let readers = state.readers.iter().filter_map(Weak::upgrade);
        let pending = state.last();
        readers.into_iter().all(|reader| {
            reader.stalled.load(Ordering::Relaxed)
                || pending - reader.at.load(Ordering::Relaxed).min(pending) < ROOM
        })
    }

    /// What happened to what was pushed, all of it.
    ///
    /// # Errors
    /// What was pushed last could not be made columns.
    pub fn counts(&self) -> Result<TableCounts, TableError> {
        let mut state = self.shared.state.lock();
        // Whether a row has a time is known once it is.
        self.shared.close(&mut state)?;
        Ok(state.counts)
    }

    /// The counts of a table that a reader has.
    pub(super) fn counts_of(shared: &Shared) -> TableCounts {
        shared.state.lock().counts
    }

    /// The first value of its column of times that is none, as text.
    pub(super) fn unread_of(shared: &Shared) -> Option<String> {
        shared.state.lock().unread.clone()
    }

    /// Someone who takes its rows: from the first on where they are kept, else from now on, though rows may
    /// be there for others. `stalled` says that it cannot go on.
    pub(super) fn reader(&self, bell: &Bell, stalled: &Arc<AtomicBool>) -> Result<Reader, TableError> {
        self.enter()?;
        let shared = &self.shared;
        let mut state = shared.state.lock();
        shared.close(&mut state)?;
        let first = if shared.definition.keeps { state.start } else { state.end };
        let mark =
            Arc::new(Mark { at: AtomicU64::new(first), stalled: Arc::clone(stalled), bell: bell.clone() });
        state.readers.retain(|reader| reader.strong_count() > 0);
        state.readers.push(Arc::downgrade(&mark));
        let (end, is_unordered) = (state.end, state.is_unordered);
        drop(state);
        Ok(Reader { shared: Arc::clone(shared), mark, end, is_unordered })
    }
}

impl Shared {
    fn lock_to_push(&self) -> Result<MutexGuard<'_, State>, TableError> {
        let state = self.state.lock();
        match state.ended {
            Some(_) => Err(TableError::Ended { rows: state.counts.rows }),
            None => Ok(state),
        }
    }

    /// Makes a chunk of what was pushed one by one.
    pub(super) fn close(&self, state: &mut State) -> Result<(), ArrowError> {
        let Some(mut open) = state.open.take() else { return Ok(()) };
        let columns = open.columns.iter_mut().map(Builder::finish).collect::<Result<_, _>>()?;
        self.append(state, columns, std::mem::take(&mut open.ordinal))
    }

    /// Adds rows that have their arrival numbers.
    fn append(&self, state: &mut State, columns: Vec<ArrayRef>, arrival: Vec<u64>) -> Result<(), ArrowError> {
        let times = times::nanos(&columns[self.time], self.definition.unit)?;
        let ordinal = match self.subsort {
            None => arrival,
            Some(column) => ordinals(&columns[column], columns[column].data_type())?,
        };
        let untimed = times.null_count();
        let mut chunk = Chunk { time: times.values().clone(), ordinal: ordinal.into(), columns };
        if untimed > 0 {
            state.counts.untimed += untimed as u64;
            if state.unread.is_none() {
                state.unread = times::first_unread(&chunk.columns[self.time], &times);
            }
            let timed: Vec<u32> =
                (0..).take(times.len()).filter(|row| times.is_valid(*row as usize)).collect();
            chunk = chunk.select(&timed)?;
        }
        if chunk.len() == 0 {
            return Ok(());
        }
        if let Some(newest) = chunk.time.iter().max() {
            self.origin.0.newest.fetch_max(*newest, Ordering::Relaxed);
        }
        let follows = state.last.is_none_or(|last| last <= chunk.place(0));
        state.is_unordered |= !follows || !chunk.is_rising();
        state.last = Some(chunk.place(chunk.len() - 1));
        state.end += chunk.len() as u64;
        state.chunks.push_back(chunk);
        for below in SMALL {
            let newest = state.chunks.iter().rev().take(JOINED);
            let small = newest.clone().filter(|chunk| chunk.len() < below).count();
            if small == JOINED && newest.map(Chunk::memory).sum::<usize>() <= OPEN_BYTES {
                let first = state.chunks.len() - JOINED;
                let pieces: Vec<Chunk> = state.chunks.drain(first..).collect();
                state.chunks.extend(Chunk::joined(&pieces)?);
            }
        }
        Ok(())
    }

    /// Tells readers that there is something new, and drops what none of them needs where rows are not kept.
    fn tell(&self, mut state: MutexGuard<'_, State>) -> Result<(), TableError> {
        let readers: Vec<Arc<Mark>> = state.readers.iter().filter_map(Weak::upgrade).collect();
        if !self.definition.keeps {
            self.close(&mut state)?;
            let needed =
                readers.iter().map(|reader| reader.at.load(Ordering::Relaxed)).min().unwrap_or(state.end);
            while let Some(first) = state.chunks.front()
                && state.start + first.len() as u64 <= needed
            {
                state.start += first.len() as u64;
                state.chunks.pop_front();
            }
        }
        drop(state);
        readers.iter().for_each(|reader| reader.bell.ring());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;
    use arrow_schema::Field;

    use super::*;

    fn table() -> Table {
        let fields = [("t", DataType::Int64), ("k", DataType::Utf8), ("text", DataType::Utf8)];
        let fields = fields.map(|(name, of)| Field::new(name, of, true)).to_vec();
        Table::new(Definition::new("m", fields, "t", "k")).unwrap()
    }

    fn row<'a>(time: i64, text: Value<'a>) -> Value<'a> {
        Value::Record(vec![("t".into(), Value::Int(time)), ("k".into(), Value::Null), ("text".into(), text)])
    }

    fn chunks(table: &Table) -> Vec<usize> {
        table.shared.state.lock().chunks.iter().map(Chunk::memory).collect()
    }

    #[test]
    fn chunks_are_bounded_by_their_bytes() {
        let text = "y".repeat(1 << 20);
        let most = OPEN_BYTES + (2 << 20);
        let all: Vec<_> = (0..130).map(|time| row(time, Value::Text(text.as_str().into()))).collect();
        // Pushed at once, one by one, and as columns.
        let m = table();
        m.push_rows(&all).unwrap();
        assert_eq!(m.counts().unwrap().rows, 130);
        assert_eq!(chunks(&m).len(), 3);
        assert!(chunks(&m).iter().all(|bytes| *bytes < most), "{:?}", chunks(&m));
        let n = table();
        all.iter().for_each(|row| n.push_rows(std::slice::from_ref(row)).unwrap());
        assert_eq!(n.counts().unwrap().rows, 130);
        assert_eq!(chunks(&n), chunks(&m));
        let o = table();
        let text: ArrayRef = Arc::new(StringArray::from(vec![text.as_str(); 2]));
        let batch = RecordBatch::try_from_iter([("text", text)]).unwrap();
        let times: ArrayRef = Arc::new(arrow_array::Int64Array::from(vec![1, 2]));
        let batch =
            RecordBatch::try_from_iter([("t", times), ("text", Arc::clone(batch.column(0)))]).unwrap();
        (0..70).for_each(|_| o.push_batch(&batch).unwrap());
        assert!(chunks(&o).iter().all(|bytes| *bytes < most), "{:?}", chunks(&o));
        // Small ones are joined as ever.
        let p = table();
        let batch = batch.project(&[0]).unwrap();
        (0..70).for_each(|_| p.push_batch(&batch).unwrap());
        assert_eq!(chunks(&p).len(), 7);
    }

    #[test]
    fn a_row_that_no_column_holds_is_refused() {
        let text = "y".repeat(1 << 20);
        let m = table();
        m.push_rows(&[row(1, Value::Null)]).unwrap();
        let many = Value::List(vec![Value::Text(text.as_str().into()); 1025]);
        let error = m.push_rows(&[row(2, Value::Null), row(3, many)]).unwrap_err();
        assert_eq!(error.to_string(), "row 2 of those given takes 1025 MiB; one may take 1024 MiB");
        m.push_rows(&[row(4, Value::Null)]).unwrap();
        assert_eq!(m.counts().unwrap().rows, 2);
    }
}
