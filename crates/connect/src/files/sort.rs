//! Sorting of what may not fit into memory: sorted runs are kept in files without a name, then merged.
//!
//! Rows are gathered until they take their share of memory; then they are sorted and written as Arrow IPC to
//! a file that has no name from the moment it is made, so that nothing remains of it however the process
//! ends. When there are many runs, neighbours are merged into one, so that few files are open and few batches
//! in memory. Runs stand in the order in which their rows came, which decides between rows of equal time and
//! ordinal.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, UInt64Array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use arrow_select::interleave::interleave;

use crate::columns::Chunk;

/// Rows of a chunk that is given out, at most.
pub(super) const ROWS: usize = 16_384;
/// So many runs are merged at once.
const WIDTH: usize = 32;
/// Bytes a row takes while it is sorted, besides its columns.
const ORDER_BYTES: usize = size_of::<(i64, u64, u32, u32)>();
/// So many chunks share the memory that is left to sorting: the batches of the runs that are merged, what is made of
/// them, and what is written.
const SHARES: usize = 4 * WIDTH;

/// Rows that are being sorted.
pub(super) struct Sorter {
    schema: SchemaRef,
    memory: usize,
    folder: PathBuf,
    held: Vec<Chunk>,
    bytes: usize,
    /// Runs as they were made, then runs of those, …; by level in the order of their rows, higher levels
    /// before lower ones.
    levels: Vec<Vec<Run>>,
    joining: Option<Joining>,
    spilled: u64,
}

/// Runs that become one of the next level.
struct Joining {
    merge: Merge,
    writer: RunWriter,
    level: usize,
}

impl Sorter {
    /// Sorts rows of these columns, holding about `memory` bytes of them; what is more goes to `folder`.
    pub(super) fn new(columns: &Fields, memory: usize, folder: &Path) -> Self {
        let fixed = [("t", DataType::Int64), ("o", DataType::UInt64)];
        let fixed = fixed.into_iter().map(|(name, data_type)| Arc::new(Field::new(name, data_type, false)));
        let schema = Arc::new(Schema::new(fixed.chain(columns.iter().cloned()).collect::<Fields>()));
        let folder = folder.to_owned();
        Self {
            schema,
            memory,
            folder,
            held: Vec::new(),
            bytes: 0,
            levels: Vec::new(),
            joining: None,
            spilled: 0,
        }
    }

    /// Bytes written to files.
    pub(super) fn spilled(&self) -> u64 {
        self.spilled
    }

    /// Takes rows that came after those before.
    pub(super) fn push(&mut self, chunk: Chunk) -> Result<(), ArrowError> {
        while self.work()? {}
        if chunk.len() == 0 {
            return Ok(());
        }
        self.bytes += chunk.memory() + chunk.len() * ORDER_BYTES;
        self.held.push(chunk);
        // Half is for what is held, half for batches that are read, written and given out.
        if self.bytes > self.memory / 2 { self.spill() } else { Ok(()) }
    }

    /// Does a piece of what is to be done before more is taken; tells whether there was something. Whoever
    /// must not be kept waiting calls it until there is nothing.
    pub(super) fn work(&mut self) -> Result<bool, ArrowError> {
        let Some(mut joining) = self.joining.take() else { return Ok(false) };
        match joining.merge.next(ROWS)? {
            Some(chunk) => {
                joining.writer.write(&chunk)?;
                self.joining = Some(joining);
            }
            None => {
                let (run, bytes) = joining.writer.finish()?;
                self.spilled += bytes;
                self.add(run, joining.level)?;
            }
        }
        Ok(true)
    }

    /// Everything was taken: writes the rest beside what was written before; tells whether there was a rest to write.
    pub(super) fn flush(&mut self) -> Result<bool, ArrowError> {
        let is_rest = !self.held.is_empty() && self.levels.iter().any(|runs| !runs.is_empty());
        if is_rest {
            self.spill()?;
        }
        Ok(is_rest)
    }

    /// The rows in order, after [`Self::flush`] and what [`Self::work`] has to do then.
    pub(super) fn finish(self) -> Sorted {
        let runs: Vec<Run> = self.levels.into_iter().rev().flatten().collect();
        if runs.is_empty() {
            return Sorted::Held(Box::new(Interleaved::new(self.held)));
        }
        Sorted::Spilled(Box::new(Merge::new(runs)))
    }

    /// Writes what is held, in order.
    fn spill(&mut self) -> Result<(), ArrowError> {
        let rows: usize = self.held.iter().map(Chunk::len).sum();
        let row = (self.bytes / rows.max(1)).max(1);
        let piece = (self.memory / SHARES / row).clamp(1, ROWS);
        let mut sorted = Interleaved::new(std::mem::take(&mut self.held));
        self.bytes = 0;
        let mut writer = RunWriter::new(&self.folder, &self.schema)?;
        while let Some(chunk) = sorted.next(piece)? {
            writer.write(&chunk)?;
        }
        let (run, bytes) = writer.finish()?;
        self.spilled += bytes;
        self.add(run, 0)
    }

    /// Adds a run of a level; when there are many of it, they begin to be joined.
    fn add(&mut self, run: Run, level: usize) -> Result<(), ArrowError> {
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        self.levels[level].push(run);
        if self.levels[level].len() >= WIDTH {
            let merge = Merge::new(std::mem::take(&mut self.levels[level]));
            let writer = RunWriter::new(&self.folder, &self.schema)?;
            self.joining = Some(Joining { merge, writer, level: level + 1 });
        }
        Ok(())
    }
}

/// Rows in order.
pub(super) enum Sorted {
    /// All of them fit.
    Held(Box<Interleaved>),
    /// They come from files.
    Spilled(Box<Merge>),
}

impl Sorted {
    /// The next rows, at most so many; none at the end.
    pub(super) fn next(&mut self, rows: usize) -> Result<Option<Chunk>, ArrowError> {
        match self {
            Self::Held(held) => held.next(rows),
            Self::Spilled(merge) => merge.next(rows),
        }
    }
}

/// The rows of chunks, in order; of equal ones those of earlier chunks first.
pub(super) struct Interleaved {
    chunks: Vec<Chunk>,
    /// Chunk and row, in order; none where they stand so already.
    order: Option<Vec<(u32, u32)>>,
    at: usize,
    /// The chunk that is given out next, and its rows that are out; where they stand in order.
    next: (usize, usize),
}

impl Interleaved {
    fn new(chunks: Vec<Chunk>) -> Self {
        let follows = |pair: &[Chunk]| pair[0].place(pair[0].len() - 1) <= pair[1].place(0);
        let is_rising = chunks.windows(2).all(follows) && chunks.iter().all(Chunk::is_rising);
        let order = (!is_rising).then(|| {
            let mut places: Vec<(i64, u64, u32, u32)> =
                Vec::with_capacity(chunks.iter().map(Chunk::len).sum());
            for (chunk, number) in chunks.iter().zip(0..) {
                let rows = chunk.time.iter().zip(chunk.ordinal.iter()).zip(0..);
                places.extend(rows.map(|((time, ordinal), row)| (*time, *ordinal, number, row)));
            }
            places.sort_unstable();
            places.into_iter().map(|(_, _, chunk, row)| (chunk, row)).collect()
        });
        Self { chunks, order, at: 0, next: (0, 0) }
    }

    fn next(&mut self, rows: usize) -> Result<Option<Chunk>, ArrowError> {
        let Some(order) = &self.order else { return Ok(self.next_as_it_stands(rows)) };
        let picks: Vec<(usize, usize)> =
            order[self.at..].iter().take(rows).map(|(chunk, row)| (*chunk as usize, *row as usize)).collect();
        if picks.is_empty() {
            return Ok(None);
        }
        self.at += picks.len();
        let width = self.chunks.first().map_or(0, |chunk| chunk.columns.len());
        let columns = (0..width).map(|column| {
            let pieces: Vec<&dyn Array> =
                self.chunks.iter().map(|chunk| chunk.columns[column].as_ref()).collect();
            interleave(&pieces, &picks)
        });
        Ok(Some(Chunk {
            columns: columns.collect::<Result<_, _>>()?,
            time: picks.iter().map(|(chunk, row)| self.chunks[*chunk].time[*row]).collect(),
            ordinal: picks.iter().map(|(chunk, row)| self.chunks[*chunk].ordinal[*row]).collect(),
        }))
    }

    fn next_as_it_stands(&mut self, rows: usize) -> Option<Chunk> {
        let (chunk, from) = self.next;
        let whole = self.chunks.get(chunk)?;
        let len = rows.min(whole.len() - from);
        let piece = whole.slice(from, len);
        self.next = if from + len == whole.len() { (chunk + 1, 0) } else { (chunk, from + len) };
        Some(piece)
    }
}

/// Rows in order, in a file.
struct Run {
    reader: StreamReader<BufReader<File>>,
    /// What was read of it and not given out, never empty.
    head: Option<Chunk>,
    has_ended: bool,
}

impl Run {
    /// Reads on if nothing of it is there.
    fn fill(&mut self) -> Result<(), ArrowError> {
        while self.head.is_none() && !self.has_ended {
            match self.reader.next().transpose()? {
                None => self.has_ended = true,
                Some(batch) => self.head = Some(chunk_of(&batch)).filter(|chunk| chunk.len() > 0),
            }
        }
        Ok(())
    }
}

/// Several runs as one.
pub(super) struct Merge {
    runs: Vec<Run>,
    ready: Option<Interleaved>,
}

impl Merge {
    fn new(runs: Vec<Run>) -> Self {
        Self { runs, ready: None }
    }

    fn next(&mut self, rows: usize) -> Result<Option<Chunk>, ArrowError> {
        loop {
            if let Some(ready) = &mut self.ready
                && let Some(chunk) = ready.next(rows)?
            {
                return Ok(Some(chunk));
            }
            for run in &mut self.runs {
                run.fill()?;
            }
            self.runs.retain(|run| run.head.is_some());
            // Up to where the first run whose batch ends has been read, all rows are here.
            let last = |run: &Run| run.head.as_ref().map(|head| head.place(head.len() - 1));
            let ends = self.runs.iter().enumerate().filter_map(|(at, run)| Some((last(run)?, at)));
            let Some((until, first)) = ends.min() else { return Ok(None) };
            let mut pieces = Vec::new();
            for (at, run) in self.runs.iter_mut().enumerate() {
                let Some(head) = run.head.take() else { continue };
                // Of later runs those of the same place wait: the first one may have more of it.
                let is_out =
                    |row: usize| if at <= first { head.place(row) <= until } else { head.place(row) < until };
                let out = partition_point(head.len(), is_out);
                if out > 0 {
                    pieces.push(head.slice(0, out));
                }
                run.head = (out < head.len()).then(|| head.slice(out, head.len() - out));
            }
            self.ready = Some(Interleaved::new(pieces));
        }
    }
}

/// The first number below `len` for which it does not hold, if it holds for all before some number and none after.
fn partition_point(len: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// A run that is being written.
struct RunWriter {
    writer: StreamWriter<BufWriter<File>>,
    schema: SchemaRef,
}

impl RunWriter {
    fn new(folder: &Path, schema: &SchemaRef) -> Result<Self, ArrowError> {
        let file = BufWriter::new(tempfile::tempfile_in(folder)?);
        Ok(Self { writer: StreamWriter::try_new(file, schema)?, schema: Arc::clone(schema) })
    }

    fn write(&mut self, chunk: &Chunk) -> Result<(), ArrowError> {
        let time: ArrayRef = Arc::new(Int64Array::new(chunk.time.clone(), None));
        let ordinal: ArrayRef = Arc::new(UInt64Array::new(chunk.ordinal.clone(), None));
        let columns = [time, ordinal].into_iter().chain(chunk.columns.iter().cloned()).collect();
        self.writer.write(&RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// What was written, to be read, and how many bytes it is.
    fn finish(mut self) -> Result<(Run, u64), ArrowError> {
        self.writer.finish()?;
        let mut buffer = self.writer.into_inner()?;
        buffer.flush()?;
        let mut file = buffer.into_inner().map_err(|error| ArrowError::from(error.into_error()))?;
        let bytes = file.stream_position()?;
        file.seek(SeekFrom::Start(0))?;
        let reader = StreamReader::try_new(BufReader::new(file), None)?;
        Ok((Run { reader, head: None, has_ended: false }, bytes))
    }
}

/// What was written of a chunk.
fn chunk_of(batch: &RecordBatch) -> Chunk {
    Chunk {
        time: batch.column(0).as_primitive::<Int64Type>().values().clone(),
        ordinal: batch.column(1).as_primitive::<UInt64Type>().values().clone(),
        columns: batch.columns()[2..].to_vec(),
    }
}
