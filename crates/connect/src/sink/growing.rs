//! Rows in a file that grows, and that is as it was until there are any.
//!
//! A run whose source never gives anything has no answer to put in the place of an earlier one: the file is
//! begun anew with its first rows, or where the run ends well without any. From then on it is the run's own:
//! one that is taken away or cut ends it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;

use super::named::Named;
use super::{Sink, SinkError};

/// What writes rows to a file.
type Rows = Box<dyn Sink + Send>;

/// What makes it, once the file is empty.
type Make = Box<dyn FnOnce(Box<dyn Write + Send>) -> Result<Rows, SinkError> + Send>;

/// Writes rows to a file as they come; what it holds before stays until the first of them, or the end. A
/// [`TextFile`](super::TextFile) is written on at its end, and can be gone on with by a saved run.
pub struct GrowingFile {
    path: PathBuf,
    state: State,
}

shown!(GrowingFile { path });

enum State {
    Waits(Named, Make),
    Grows(Rows),
    /// It could not be begun.
    Failed,
}

impl GrowingFile {
    /// Opens a file, which is made if it is not there, for the rows of the sink that `make` gives. That is
    /// called once what the file holds is gone.
    ///
    /// # Errors
    /// The file cannot be made or written to.
    pub fn new<S: Sink + Send + 'static>(
        path: &Path,
        make: impl FnOnce(Box<dyn Write + Send>) -> Result<S, SinkError> + Send + 'static,
    ) -> Result<Self, SinkError> {
        let file = File::options().create(true).truncate(false).write(true).open(path);
        let named = file.and_then(|file| Named::new(file, std::path::absolute(path)?));
        let file = named.map_err(|error| SinkError::file(path, &error))?;
        let make = |target| make(target).map(|sink| Box::new(sink) as Rows);
        Ok(Self { path: path.to_owned(), state: State::Waits(file, Box::new(make)) })
    }

    /// Writes with what writes its rows, which begins the file if nothing has.
    fn with(&mut self, write: impl FnOnce(&mut Rows) -> Result<(), SinkError>) -> Result<(), SinkError> {
        let written = self.rows().and_then(write);
        written.map_err(|error| match error {
            SinkError::Io(error) => SinkError::file(&self.path, &error),
            other => other,
        })
    }

    fn rows(&mut self) -> Result<&mut Rows, SinkError> {
        if let State::Waits(..) = self.state
            && let State::Waits(file, make) = std::mem::replace(&mut self.state, State::Failed)
        {
            file.empty()?;
            self.state = State::Grows(make(Box::new(BufWriter::new(file)))?);
        }
        match &mut self.state {
            State::Grows(rows) => Ok(rows),
            State::Waits(..) | State::Failed => {
                Err(SinkError::Io(io::Error::other("the file could not be begun")))
            }
        }
    }
}

impl Sink for GrowingFile {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.with(|rows| rows.write(batch))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.with(Sink::finish)
    }

    fn misfits(&self) -> u64 {
        if let State::Grows(rows) = &self.state { rows.misfits() } else { 0 }
    }
}
