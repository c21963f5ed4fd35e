//! Rows in a file that grows, and that is as it was until there are any.
//!
//! A run whose source never gives anything has no answer to put in the place of an earlier one: the file is begun anew with its first
//! rows, or where the run ends well without any.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;

use super::{Sink, SinkError};

/// What writes rows to a file.
type Rows = Box<dyn Sink + Send>;

/// What makes it, once the file is empty.
type Make = Box<dyn FnOnce(Box<dyn Write + Send>) -> Result<Rows, SinkError> + Send>;

/// Writes rows to a file as they come; what it holds before stays until the first of them, or the end.
pub struct GrowingFile(State);

enum State {
    Waits(Named, Make),
    Grows(Rows),
    /// It could not be begun.
    Failed,
}

impl GrowingFile {
    /// Opens a file, which is made if it is not there, for the rows of the sink that `make` gives. That is called once what the file
    /// holds is gone.
    ///
    /// # Errors
    /// The file cannot be made or written to.
    pub fn new<S: Sink + Send + 'static>(
        path: &Path,
        make: impl FnOnce(Box<dyn Write + Send>) -> Result<S, SinkError> + Send + 'static,
    ) -> Result<Self, SinkError> {
        let file = File::options().create(true).truncate(false).write(true).open(path);
        let file = file.map_err(|error| SinkError::file(path, &error))?;
        let make = |target| make(target).map(|sink| Box::new(sink) as Rows);
        Ok(Self(State::Waits(Named { file, path: path.to_owned() }, Box::new(make))))
    }

    /// What writes its rows, which begins it if nothing has.
    fn rows(&mut self) -> Result<&mut Rows, SinkError> {
        if let State::Waits(..) = self.0
            && let State::Waits(target, make) = std::mem::replace(&mut self.0, State::Failed)
        {
            target.clear().map_err(|error| SinkError::file(&target.path, &error))?;
            self.0 = State::Grows(make(Box::new(BufWriter::new(target)))?);
        }
        match &mut self.0 {
            State::Grows(rows) => Ok(rows),
            State::Waits(..) | State::Failed => {
                Err(SinkError::Io(io::Error::other("the file could not be begun")))
            }
        }
    }
}

impl Sink for GrowingFile {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.rows()?.write(batch)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.rows()?.finish()
    }
}

/// A file whose errors tell its name.
struct Named {
    file: File,
    path: PathBuf,
}

impl Named {
    /// Takes away what is in it, if it is a file and no device or pipe.
    fn clear(&self) -> io::Result<()> {
        if self.file.metadata()?.is_file() { self.file.set_len(0) } else { Ok(()) }
    }

    fn failed(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
    }
}

impl Write for Named {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| self.failed(&error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(|error| self.failed(&error))
    }
}
