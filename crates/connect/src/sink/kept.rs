//! Rows of a file that is not whole yet, kept so that whoever goes on can write them again.
//!
//! A Parquet or Arrow file cannot be gone on with where a run was killed, and to end one at every save would
//! make thousands of small ones a day. So the rows of the file that is being written are in another one, too,
//! which grows as text does and is cut back to where it was when the run was saved.
//!
//! Live rows come one at a time, and a batch of Arrow takes some thousand bytes for its columns however few
//! its rows are. So they are gathered until a save needs them, or there are enough of them: what is not saved
//! would be cut off anyway.

use std::fs::File;
use std::hash::Hasher;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use twox_hash::XxHash3_64;

use super::SinkError;
use super::whole::settled;

/// Rows that are written together.
const TOGETHER: usize = 8192;
/// What they may take in memory meanwhile, in bytes.
const MOST: usize = 4 << 20;

/// Rows as an Arrow IPC stream in a file that grows.
pub(super) struct Kept {
    path: PathBuf,
    writer: StreamWriter<Tail>,
    gathered: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

/// Where kept rows end, and the XXH3 (64 bits, seed 0) of the bytes up to there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct End {
    pub(super) bytes: u64,
    pub(super) sum: u64,
}

/// The file, as far as it is written.
struct Tail {
    file: BufWriter<File>,
    bytes: u64,
    sum: XxHash3_64,
    /// What is written now is in the file already.
    is_there: bool,
}

impl Kept {
    /// Begins the rows of a file anew.
    pub(super) fn create(path: PathBuf, schema: &SchemaRef) -> Result<Self, SinkError> {
        let begin = || {
            let file = File::create(&path)?;
            // It is to be found after a crash.
            settled(&path)?;
            Ok(file)
        };
        let file = begin().map_err(|error: io::Error| SinkError::file(&path, &error))?;
        let tail = Tail { file: BufWriter::new(file), bytes: 0, sum: XxHash3_64::new(), is_there: false };
        Self::of(path, tail, schema)
    }

    /// Goes on after an end, and gives the rows up to there; what is behind it is cut off.
    pub(super) fn reopen(
        path: PathBuf,
        schema: &SchemaRef,
        end: End,
        mut each: impl FnMut(&RecordBatch) -> Result<(), SinkError>,
    ) -> Result<Self, SinkError> {
        let tail = Tail::up_to(&path, end).map_err(|error| SinkError::file(&path, &error))?;
        let damaged = |reason: String| SinkError::File { path: path.clone(), reason, code: None };
        let file = File::open(&path).map_err(|error| SinkError::file(&path, &error))?;
        let bytes = BufReader::new(file).take(end.bytes);
        let mut rows = guarded(|| StreamReader::try_new(bytes, None)).map_err(damaged)?;
        if rows.schema() != *schema {
            return Err(damaged("its rows have other columns".to_owned()));
        }
        while let Some(batch) = guarded(|| rows.next().transpose()).map_err(damaged)? {
            each(&batch)?;
        }
        // Only what is gone on with is cut.
        tail.file.get_ref().set_len(end.bytes).map_err(|error| SinkError::file(&path, &error))?;
        let mut this = Self::of(path, tail, schema)?;
        this.writer.get_mut().is_there = false;
        Ok(this)
    }

    fn of(path: PathBuf, tail: Tail, schema: &SchemaRef) -> Result<Self, SinkError> {
        match StreamWriter::try_new(tail, schema) {
            Ok(writer) => Ok(Self { path, writer, gathered: Vec::new(), rows: 0, bytes: 0 }),
            Err(error) => Err(SinkError::file(&path, &error)),
        }
    }

    /// Adds rows at the end. They may stay in memory until [`Self::end`].
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.rows += batch.num_rows();
        self.bytes += batch.get_array_memory_size();
        self.gathered.push(batch.clone());
        if self.rows >= TOGETHER || self.bytes >= MOST { self.write_gathered() } else { Ok(()) }
    }

    fn write_gathered(&mut self) -> Result<(), SinkError> {
        let gathered = std::mem::take(&mut self.gathered);
        (self.rows, self.bytes) = (0, 0);
        let written = match gathered.as_slice() {
            [] => Ok(()),
            [one] => self.writer.write(one),
            [first, ..] => {
                concat_batches(first.schema_ref(), &gathered).and_then(|all| self.writer.write(&all))
            }
        };
        written.map_err(|error| SinkError::file(&self.path, &error))
    }

    /// Brings what was written to the disk, and tells where it ends.
    pub(super) fn end(&mut self) -> Result<End, SinkError> {
        self.write_gathered()?;
        let tail = self.writer.get_mut();
        let synced = tail.file.flush().and_then(|()| tail.file.get_ref().sync_all());
        synced.map_err(|error| SinkError::file(&self.path, &error))?;
        Ok(End { bytes: tail.bytes, sum: tail.sum.finish() })
    }
}

/// The library may be given anything where somebody has made the sum fit.
fn guarded<T>(read: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, String> {
    let read = catch_unwind(AssertUnwindSafe(read));
    read.map_err(|_| "its rows cannot be read".to_owned())?.map_err(|error| error.to_string())
}

impl Tail {
    /// A file from an end on, if it has what it had there.
    fn up_to(path: &Path, end: End) -> io::Result<Self> {
        let mut file = File::options().read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        if length < end.bytes {
            let reason = format!("it has {length} bytes, and had {} when the run was saved", end.bytes);
            return Err(io::Error::other(reason));
        }
        let mut sum = XxHash3_64::new();
        let (mut buffer, mut left) = (vec![0; 64 << 10], end.bytes);
        while left > 0 {
            let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            file.read_exact(&mut buffer[..most])?;
            sum.write(&buffer[..most]);
            left -= most as u64;
        }
        if sum.finish() != end.sum {
            return Err(io::Error::other("it is not what it was when the run was saved"));
        }
        file.seek(SeekFrom::Start(end.bytes))?;
        Ok(Self { file: BufWriter::new(file), bytes: end.bytes, sum, is_there: true })
    }
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_there {
            return Ok(bytes.len());
        }
        let written = self.file.write(bytes)?;
        self.sum.write(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
