//! Arrow IPC: files, which tell at their end where batches are, and streams.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek, SeekFrom, Take};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, Fields, SchemaRef};

use super::caught::caught;
use super::known::Known;
use super::projection::Projection;
use super::unit::{Batches, Read, guarded};
use super::{FileError, framing};

/// The first bytes of a file that is no stream.
const MAGIC: &[u8] = b"ARROW1";

/// An Arrow IPC file.
pub(super) struct IpcFile {
    known: Known,
    fields: Fields,
}

enum Reader {
    File(FileReader<BufReader<File>>),
    /// And what is wrong where it ends.
    Stream(StreamReader<Take<BufReader<File>>>, Option<String>),
}

impl Iterator for Reader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::File(reader) => reader.next(),
            Self::Stream(reader, wrong) => {
                reader.next().or_else(|| wrong.take().map(|wrong| Err(ArrowError::IpcError(wrong))))
            }
        }
    }
}

impl IpcFile {
    /// Reads its schema.
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let (mut known, file) = Known::open(path)?;
        let reader = reader(path, file, None)?;
        // A stream may be read while it is written.
        known.grows = matches!(reader, Reader::Stream(..));
        let fields = schema(&reader).fields().clone();
        Ok(Self { known, fields })
    }

    /// Its columns, as they are.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Reads what is wanted of it.
    pub(super) fn read(&self, wanted: &Projection) -> Result<Batches, FileError> {
        let path = self.known.path();
        let reader = reader(path, self.known.again()?, Some(wanted.places(&self.fields)))?;
        let (path, path_too) = (path.to_owned(), path.to_owned());
        let wanted = wanted.clone();
        // The library takes columns whole.
        let of_wanted = move |batch: RecordBatch| wanted.of_whole(&batch);
        let batches = reader.enumerate().map(move |(at, batch)| match batch.and_then(&of_wanted) {
            Ok(batch) => Ok(Read::whole(batch)),
            Err(error) => Err(FileError::damaged(&path, format!(", batch {at}"), error)),
        });
        Ok(guarded(batches, move || FileError::damaged(&path_too, "", "a batch cannot be decoded")))
    }
}

fn schema(reader: &Reader) -> SchemaRef {
    match reader {
        Reader::File(reader) => reader.schema(),
        Reader::Stream(reader, _) => reader.schema(),
    }
}

/// Reads it, whichever of the two it is.
fn reader(path: &Path, file: File, columns: Option<Vec<usize>>) -> Result<Reader, FileError> {
    let mut file = BufReader::new(file);
    let mut head = Vec::with_capacity(MAGIC.len());
    (&mut file).take(MAGIC.len() as u64).read_to_end(&mut head).map_err(FileError::io(path))?;
    let damaged = |reason: &dyn ToString| {
        let reason = format!("it is no whole Arrow file or stream: {}", reason.to_string());
        FileError::damaged(path, "", reason)
    };
    let is_file = head == MAGIC;
    let (end, wrong) = if is_file {
        if let Some(wrong) = framing::of_file(&mut file).map_err(FileError::io(path))? {
            return Err(damaged(&wrong));
        }
        (0, None)
    } else {
        let readable = framing::of_stream(&mut file).map_err(FileError::io(path))?;
        // Without its first message, the schema, there is nothing to begin with.
        if let (0, Some(wrong)) = (readable.end, &readable.wrong) {
            return Err(damaged(wrong));
        }
        (readable.end, readable.wrong)
    };
    file.seek(SeekFrom::Start(0)).map_err(FileError::io(path))?;
    // The library may be given anything here.
    let opened = caught(|| {
        Ok::<_, ArrowError>(if is_file {
            Reader::File(FileReader::try_new(file, columns)?)
        } else {
            Reader::Stream(StreamReader::try_new(file.take(end), columns)?, wrong)
        })
    });
    match opened {
        Some(opened) => opened.map_err(|error| damaged(&error)),
        None => Err(damaged(&"its schema cannot be read")),
    }
}
