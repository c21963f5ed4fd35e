//! Where answers go: record batches as text or Arrow, to anything that can be written to.
//!
//! A sink that is made for rows of one schema has that of a plan's answer from
//! [`answer_schema`](skytide_timestream::engine::answer_schema), before there are any.

mod delimited;
mod file;
mod for_parquet;
mod growing;
mod kept;
mod named;
mod printable;
mod rewrite;
mod text;
mod whole;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_json::writer::{EncoderOptions, LineDelimited, WriterBuilder, make_encoder};
use arrow_schema::{ArrowError, FieldRef, SchemaRef};
use skytide_timestream::types;

pub use delimited::Csv;
pub use file::{FileFormat, FileSink, Roll};
pub use growing::GrowingFile;
pub use printable::printable;
pub use text::TextFile;
pub use whole::followed;
pub(crate) use whole::{Whole, sweep};

/// Takes the rows of an answer, in order.
pub trait Sink {
    /// Writes a batch; when it returns, the rows have left this process (a pipe's reader sees them).
    ///
    /// # Errors
    /// The target is gone or full, or a value has no form in this format.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError>;

    /// Writes what belongs after the last row. A [run](crate::run::run) whose source fails before it has
    /// given a row does not finish its sink: what a file held before it stays.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn finish(&mut self) -> Result<(), SinkError>;

    /// How many values had no form in this format so far, as a date that is in no calendar has none in text.
    /// They are null there; keys of maps are left out with what they stand for.
    fn misfits(&self) -> u64 {
        0
    }

    /// Brings what was written to the disk, and tells where it ends; none where nothing can be taken back, as
    /// of a pipe. Then rows that are written after the place that a run was saved with come twice when it
    /// goes on.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn place(&mut self) -> Result<Option<Place>, SinkError> {
        Ok(None)
    }

    /// Takes away what is after a place, of files in a folder what the same run made; everything where there
    /// is none, but for a folder, of which nothing is known then. A sink without places has nothing to do.
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
    /// Bytes of it; where files are written whole, of the rows that are [kept](FileSink::kept_in) of the one
    /// that is not whole yet.
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
    /// A column is of a type that has no form in this format.
    #[error("cannot write the column {column:?} as {format}: {reason}")]
    Column {
        /// Its name.
        column: String,
        /// What was to be written.
        format: &'static str,
        /// What there is no form for.
        reason: String,
    },
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
    /// What went wrong with a file; that the reader of a named pipe went away is told as of any other pipe.
    fn file(path: &Path, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut causes = std::iter::successors(Some(error), |&error| error.source());
        let system = causes.find_map(|error| error.downcast_ref::<io::Error>());
        let code = system.and_then(io::Error::raw_os_error);
        if system.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return Self::Io(
                code.map_or_else(|| io::ErrorKind::BrokenPipe.into(), io::Error::from_raw_os_error),
            );
        }
        Self::File { path: path.to_owned(), reason: error.to_string(), code }
    }

    /// Why rows could not be written as JSON: a column that it has no form for, by its name, if there is one.
    fn json(batch: &RecordBatch, error: ArrowError) -> Self {
        text_form(&batch.schema()).err().unwrap_or_else(|| error.into())
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

/// Whether JSON lines and CSV, where lists and records are JSON, have a form for the columns of rows. What is
/// asked before there are any tells what the first of them would be refused with.
///
/// # Errors
/// The first column that they have none for, by its name.
pub fn text_form(schema: &SchemaRef) -> Result<(), SinkError> {
    let (batch, _) = printable(&RecordBatch::new_empty(Arc::clone(schema)))?;
    let options = EncoderOptions::default();
    for (field, values) in batch.schema().fields().iter().zip(batch.columns()) {
        make_encoder(field, values, &options).map_err(|_| SinkError::Column {
            column: field.name().clone(),
            format: "JSON",
            reason: format!("it has no form for the type {}; Arrow has", types::name(field.data_type())),
        })?;
    }
    Ok(())
}

/// That rows have the columns that a sink was made for: a file of others would have the wrong names, or be none.
fn same_columns(made_for: &SchemaRef, batch: &RecordBatch, format: &'static str) -> Result<(), SinkError> {
    let (wanted, found) = (made_for.fields(), batch.schema_ref().fields());
    let differ = (0..wanted.len().max(found.len())).find_map(|at| match (wanted.get(at), found.get(at)) {
        (Some(a), Some(b)) if a.name() == b.name() && a.data_type() == b.data_type() => None,
        (wanted, found) => Some((wanted, found)),
    });
    let Some((wanted, found)) = differ else { return Ok(()) };
    let [has, given] = [wanted, found].map(|field: Option<&FieldRef>| match field {
        Some(field) => format!("`{}`, {}", field.name(), types::name(field.data_type())),
        None => "no column".to_owned(),
    });
    Err(SinkError::Column {
        column: found.or(wanted).map_or_else(String::new, |field| field.name().clone()),
        format,
        reason: format!("the sink was made for rows of another schema, with {has} in the place of {given}"),
    })
}

/// Newline-delimited JSON: an object a row, nulls written out.
pub struct Ndjson<W: Write> {
    target: W,
    buffer: Vec<u8>,
    misfits: u64,
}

shown!(Ndjson<W: Write> {});

impl<W: Write> Ndjson<W> {
    /// Writes to `target`.
    pub fn new(target: W) -> Self {
        Self { target, buffer: Vec::new(), misfits: 0 }
    }
}

impl<W: Write> Sink for Ndjson<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let (batch, lost) = printable(batch)?;
        self.misfits += lost;
        self.buffer.clear();
        let mut writer =
            WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut self.buffer);
        writer.write(&batch).map_err(|error| SinkError::json(&batch, error))?;
        writer.finish()?;
        drop(writer);
        self.target.write_all(&self.buffer)?;
        self.target.flush()?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(self.target.flush()?)
    }

    fn misfits(&self) -> u64 {
        self.misfits
    }
}

/// The Arrow IPC stream format.
pub struct Arrow<W: Write> {
    writer: StreamWriter<W>,
    schema: SchemaRef,
}

shown!(Arrow<W: Write> {});

impl<W: Write> Arrow<W> {
    /// Writes batches of a schema ([`answer_schema`](skytide_timestream::engine::answer_schema)), and no other, to
    /// `target`; the schema is written at once.
    ///
    /// # Errors
    /// The target is gone or full.
    pub fn new(target: W, schema: &SchemaRef) -> Result<Self, SinkError> {
        Ok(Self { writer: StreamWriter::try_new(target, schema)?, schema: Arc::clone(schema) })
    }
}

impl<W: Write> Sink for Arrow<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        same_columns(&self.schema, batch, "Arrow")?;
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

    fn misfits(&self) -> u64 {
        (**self).misfits()
    }

    fn place(&mut self) -> Result<Option<Place>, SinkError> {
        (**self).place()
    }

    fn go_back(&mut self, place: Option<&Place>) -> Result<(), SinkError> {
        (**self).go_back(place)
    }
}
