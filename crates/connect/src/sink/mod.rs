//! Where answers go: record batches as text or Arrow, to anything that can be written to.

mod delimited;
mod file;
mod growing;
mod kept;
mod printable;
mod text;
mod whole;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_json::writer::{JsonArray, LineDelimited, WriterBuilder};
use arrow_schema::{ArrowError, SchemaRef};

pub use delimited::Csv;
pub use file::{FileFormat, FileSink, Roll};
pub use growing::GrowingFile;
pub use printable::printable;
pub use text::TextFile;
pub(crate) use whole::{Whole, sweep};

/// Takes the rows of an answer, in order.
pub trait Sink {
    /// Writes a batch; when it returns, the rows have left this process (a pipe's reader sees them).
    ///
    /// # Errors
    /// The target is gone or full, or a value has no form in this format.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError>;

    /// Writes what belongs after the last row. A [run](crate::run::run) whose source fails before it has given a row does not finish its
    /// sink: what a file held before it stays.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn finish(&mut self) -> Result<(), SinkError>;

    /// Brings what was written to the disk, and tells where it ends; none where nothing can be taken back, as of a pipe. Then rows that
    /// are written after the place that a run was saved with come twice when it goes on.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn place(&mut self) -> Result<Option<Place>, SinkError> {
        Ok(None)
    }

    /// Takes away what is after a place, of files in a folder what the same run made; everything where there is none, but for a folder, of which nothing
    /// is known then. A sink without places has nothing to do.
    ///
    /// # Errors
    /// The place is not in this target, or the target does not reach up to it.
    fn go_back(&mut self, place: Option<&Place>) -> Result<(), SinkError> {
        let _ = place;
        Ok(())
    }
}

/// Where the rows of a file end, or of a folder of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file or folder.
    pub file: PathBuf,
    /// Bytes of it; where files are written whole, of the rows that are [kept](FileSink::kept_in) of the one that is not whole yet.
    pub bytes: u64,
    /// Of files that are written whole, those that are.
    pub parts: Option<Parts>,
}

/// The files of a run that are whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// What tells the files of this run from those of others, as their names have it.
    pub(crate) run: u64,
    /// The number of the first one that is not whole.
    pub(crate) next: u64,
    /// The name and the bytes of the last one that is.
    pub(crate) last: Option<(String, u64)>,
    /// The sum of the rows that are kept.
    pub(crate) sum: u64,
}

/// Why rows could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The target is gone or full.
    #[error("cannot write the answer: {0}")]
    Io(#[from] io::Error),
    /// A file cannot be written.
    #[error("cannot write {}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
        /// The system's number for it, where it is the system that says so.
        code: Option<i32>,
    },
    /// A value has no form in this format.
    #[error("cannot write the answer in this format: {0}")]
    Format(ArrowError),
}

impl From<ArrowError> for SinkError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, source) => Self::Io(source),
            other => Self::Format(other),
        }
    }
}

impl SinkError {
    /// What went wrong with a file.
    fn file(path: &Path, error: &(dyn std::error::Error + 'static)) -> Self {
        let causes = || std::iter::successors(Some(error), |&error| error.source());
        let code = causes().find_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error());
        Self::File { path: path.to_owned(), reason: error.to_string(), code }
    }

    /// A place that is of another file, or of another form of rows.
    fn elsewhere(path: PathBuf, place: &Place) -> Self {
        let reason = if place.file == path {
            "the rows before are there in another form".to_owned()
        } else {
            format!("the rows before are in {}", place.file.display())
        };
        Self::File { path, reason, code: None }
    }

    /// Whether the reader of a pipe went away, which is its right and no failure.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Hands each batch to a function of the program; what it fails with ends the run.
pub struct Callback<F>(pub F);

shown!(Callback<F: Sized> {});

impl<F: FnMut(&RecordBatch) -> Result<(), SinkError>> Sink for Callback<F> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        (self.0)(batch)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Newline-delimited JSON: an object a row, nulls written out.
pub struct Ndjson<W: Write> {
    target: W,
    buffer: Vec<u8>,
}

shown!(Ndjson<W: Write> {});

impl<W: Write> Ndjson<W> {
    /// Writes to `target`.
    pub fn new(target: W) -> Self {
        Self { target, buffer: Vec::new() }
    }
}

impl<W: Write> Sink for Ndjson<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.buffer.clear();
        let mut writer =
            WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut self.buffer);
        writer.write(&printable(batch)?)?;
        writer.finish()?;
        drop(writer);
        self.target.write_all(&self.buffer)?;
        self.target.flush()?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(self.target.flush()?)
    }
}

/// The Arrow IPC stream format.
pub struct Arrow<W: Write> {
    writer: StreamWriter<W>,
}

shown!(Arrow<W: Write> {});

impl<W: Write> Arrow<W> {
    /// Writes batches of a schema to `target`; the schema is written at once.
    ///
    /// # Errors
    /// The target is gone or full.
    pub fn new(target: W, schema: &SchemaRef) -> Result<Self, SinkError> {
        Ok(Self { writer: StreamWriter::try_new(target, schema)? })
    }
}

impl<W: Write> Sink for Arrow<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.writer.write(batch)?;
        Ok(self.writer.flush()?)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.writer.finish()?;
        Ok(self.writer.flush()?)
    }
}

impl Sink for Box<dyn Sink + Send> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        (**self).write(batch)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        (**self).finish()
    }

    fn place(&mut self) -> Result<Option<Place>, SinkError> {
        (**self).place()
    }

    fn go_back(&mut self, place: Option<&Place>) -> Result<(), SinkError> {
        (**self).go_back(place)
    }
}

/// A value as JSON text, for formats that have no lists or records of their own. Null where the value is null.
///
/// # Errors
/// A type that JSON has no form for.
pub(crate) fn json_texts(batch: &RecordBatch) -> Result<Vec<serde_json::Value>, SinkError> {
    let mut bytes = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(&mut bytes);
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    serde_json::from_slice(&bytes)
        .map_err(|error| SinkError::Format(ArrowError::JsonError(error.to_string())))
}
