//! An answer written to a file, by a thread of its own: a named pipe may wait for its reader for ever, and
//! Ctrl-C ends that, too.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use arrow_schema::SchemaRef;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use skytide_connect::files::Format;
use skytide_connect::sink::{Csv, FileFormat, FileSink, GrowingFile, Ndjson, Sink, SinkError, text_form};

use super::errors::{self, Failed};
use super::run::{GLANCE, Line, Waited};

/// What is written when Ctrl-C comes has so long to be left in order.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes an answer to its end, to a file whose form its name tells; gives the number of rows.
pub(super) fn write(py: Python<'_>, line: &Arc<Line>, schema: &SchemaRef, path: &Path) -> PyResult<usize> {
    let Some(format) = Format::of_name(path).filter(|format| *format != Format::Tsv) else {
        let name = path.display();
        let message = format!("{name}: the name tells no form: .parquet, .arrow, .csv and .jsonl do");
        return Err(PyValueError::new_err(message));
    };
    let writer = Writer {
        line: Arc::clone(line),
        schema: Arc::clone(schema),
        path: path.to_owned(),
        format,
        is_left: Arc::default(),
    };
    let is_left = Arc::clone(&writer.is_left);
    let (end, mut ended) = sync_channel(1);
    // Who waits for the end may have gone.
    let work = move || drop(end.send(writer.write()));
    thread::Builder::new().name("skytide-write".to_owned()).spawn(work).map_err(errors::runtime)?;
    loop {
        let (outcome, back) = py.detach(move || (ended.recv_timeout(GLANCE), ended));
        ended = back;
        match outcome {
            Ok(Ok(rows)) => return Ok(rows),
            Ok(Err(Failure::Sink(error))) => return Err(errors::sink(error, path)),
            Ok(Err(Failure::Query(error))) => return Err(error.into()),
            Err(RecvTimeoutError::Disconnected) => return Err(errors::runtime("the file's thread panicked")),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Err(signal) = py.check_signals() {
            is_left.store(true, Ordering::Relaxed);
            py.detach(move || drop(ended.recv_timeout(PATIENCE)));
            return Err(signal);
        }
    }
}

/// Why nothing more is written.
enum Failure {
    Sink(SinkError),
    Query(Failed),
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

/// What the thread has.
struct Writer {
    line: Arc<Line>,
    schema: SchemaRef,
    path: PathBuf,
    format: Format,
    /// Nobody waits for the end any more.
    is_left: Arc<AtomicBool>,
}

impl Writer {
    fn write(self) -> Result<usize, Failure> {
        let mut sink = self.open()?;
        let mut rows = 0;
        while !self.is_left.load(Ordering::Relaxed) {
            match self.line.next(Instant::now() + GLANCE) {
                Waited::Batch(batch) => {
                    rows += batch.num_rows();
                    sink.write(&batch)?;
                }
                Waited::End => {
                    sink.finish()?;
                    break;
                }
                Waited::Failed(error) => return Err(Failure::Query(error)),
                Waited::Nothing => {}
            }
        }
        Ok(rows)
    }

    /// What writes the file. A Parquet or Arrow file has its name once it is whole.
    fn open(&self) -> Result<Box<dyn Sink>, SinkError> {
        let (path, schema) = (&self.path, &self.schema);
        if matches!(self.format, Format::Csv | Format::JsonLines) {
            text_form(schema)?;
        }
        Ok(match self.format {
            Format::Parquet => Box::new(FileSink::file(path, FileFormat::Parquet, schema)?),
            Format::Arrow => Box::new(FileSink::file(path, FileFormat::Arrow, schema)?),
            // The ending of tabs is refused where the path is looked at.
            Format::Csv | Format::Tsv => {
                let schema = Arc::clone(schema);
                Box::new(GrowingFile::new(path, move |target| Ok(Csv::new(target, schema)))?)
            }
            Format::JsonLines => Box::new(GrowingFile::new(path, |target| Ok(Ndjson::new(target)))?),
        })
    }
}
