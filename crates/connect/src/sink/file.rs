//! Answers as Parquet or Arrow files: one, or a folder of them that are rolled by time or size.
//!
//! A file has its name only when it is whole: it is written beside it, brought to the disk, and renamed. A run that ends, is
//! stopped, or loses its source finishes its sink, so there is the whole file of what was delivered; one whose sink or operators
//! fail, or whose process is killed, leaves nothing under the name (and, killed, a hidden `.NAME.….part`). In a folder the files before
//! the last are there in any case.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_ipc::writer::FileWriter;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::WriterProperties;

use super::whole::Whole;
use super::{Sink, SinkError};

/// Rows of a row group: what a reader decodes, and a writer holds, at once.
const GROUP_ROWS: usize = 131_072;
/// Bytes of a row group at which it is written whatever its rows.
const GROUP_BYTES: usize = 64 << 20;

/// What files are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Parquet, compressed by zstd, with row groups of 131,072 rows, whose statistics and order are told.
    Parquet,
    /// An Arrow IPC file.
    Arrow,
}

impl FileFormat {
    /// What names of such files end in.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }
}

/// When a folder's next file is begun. With neither there is one file a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Roll {
    /// Where `_time` passes a multiple of so many nanoseconds since 1970.
    pub every: Option<i64>,
    /// Where the file has so many bytes, or a few more.
    pub bytes: Option<u64>,
}

/// Writes rows to files that are whole when they have their names.
pub struct FileSink {
    format: FileFormat,
    schema: SchemaRef,
    place: Place,
    open: Option<Open>,
}

enum Place {
    File,
    Folder { folder: PathBuf, roll: Roll, next: u64 },
}

/// The file being written.
struct Open {
    writer: Writer,
    path: PathBuf,
    /// Which stretch of time its rows are of.
    stretch: Option<i64>,
}

enum Writer {
    Parquet(Box<ArrowWriter<Whole>>),
    Arrow(Box<FileWriter<Whole>>),
}

impl FileSink {
    /// Writes one file. Without rows it has a schema alone.
    ///
    /// # Errors
    /// No file can be made beside it.
    pub fn file(path: &Path, format: FileFormat, schema: &SchemaRef) -> Result<Self, SinkError> {
        let open = Open::new(path, format, schema)?;
        Ok(Self { format, schema: Arc::clone(schema), place: Place::File, open: Some(open) })
    }

    /// Writes `part-00000000.parquet`, … to a folder, which is made if it is not there; numbers go on after those that are there.
    /// Without rows there is no file.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn folder(
        folder: &Path,
        format: FileFormat,
        schema: &SchemaRef,
        roll: Roll,
    ) -> Result<Self, SinkError> {
        let failed = |error| SinkError::file(folder, &error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut next = 0;
        for entry in folder.read_dir().map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            next = next.max(number(&name.to_string_lossy()).map_or(0, |number| number.saturating_add(1)));
        }
        let place = Place::Folder { folder: folder.to_owned(), roll, next };
        Ok(Self { format, schema: Arc::clone(schema), place, open: None })
    }

    /// Writes rows of one stretch of time.
    fn put(&mut self, batch: &RecordBatch, stretch: Option<i64>) -> Result<(), SinkError> {
        if let Place::Folder { folder, next, .. } = &mut self.place {
            if let Some(open) = self.open.take_if(|open| open.stretch != stretch) {
                open.finish_new(|| numbered(folder, next, self.format))?;
            }
            if self.open.is_none() {
                let path = numbered(folder, next, self.format);
                let open = Open::new(&path, self.format, &self.schema)?;
                self.open = Some(Open { stretch, ..open });
            }
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.write(batch)?;
        if let Place::Folder { roll: Roll { bytes: Some(bytes), .. }, .. } = self.place
            && open.bytes() >= bytes
        {
            self.close()?;
        }
        Ok(())
    }

    /// Finishes the file that is open.
    fn close(&mut self) -> Result<(), SinkError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        match &mut self.place {
            Place::File => open.finish(),
            Place::Folder { folder, next, .. } => open.finish_new(|| numbered(folder, next, self.format)),
        }
    }
}

/// The name of a folder's next file.
fn numbered(folder: &Path, next: &mut u64, format: FileFormat) -> PathBuf {
    let path = folder.join(format!("part-{next:08}.{}", format.ending()));
    *next += 1;
    path
}

/// The number in a file's name.
fn number(name: &str) -> Option<u64> {
    name.strip_prefix("part-")?.split('.').next()?.parse().ok()
}

impl Sink for FileSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let Place::Folder { roll: Roll { every: Some(every), .. }, .. } = self.place else {
            return self.put(batch, None);
        };
        let times = batch.column(0).as_primitive::<TimestampNanosecondType>().values().clone();
        let stretch = |row: usize| times[row].div_euclid(every.max(1));
        let mut start = 0;
        for row in 1..=times.len() {
            if row == times.len() || stretch(row) != stretch(start) {
                self.put(&batch.slice(start, row - start), Some(stretch(start)))?;
                start = row;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.close()
    }
}

impl Open {
    fn new(path: &Path, format: FileFormat, schema: &SchemaRef) -> Result<Self, SinkError> {
        let file = Whole::create(path).map_err(|error| SinkError::file(path, &error))?;
        let failed = |error: &dyn std::error::Error| SinkError::file(path, error);
        let writer = match format {
            FileFormat::Parquet => {
                let rising = SortingColumn { column_idx: 0, descending: false, nulls_first: false };
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(GROUP_ROWS))
                    .set_max_row_group_bytes(Some(GROUP_BYTES))
                    .set_sorting_columns(Some(vec![rising]))
                    .build();
                let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties));
                Writer::Parquet(Box::new(writer.map_err(|error| failed(&error))?))
            }
            FileFormat::Arrow => {
                Writer::Arrow(Box::new(FileWriter::try_new(file, schema).map_err(|error| failed(&error))?))
            }
        };
        Ok(Self { writer, path: path.to_owned(), stretch: None })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        match &mut self.writer {
            Writer::Parquet(writer) => {
                writer.write(batch).map_err(|error| SinkError::file(&self.path, &error))
            }
            Writer::Arrow(writer) => writer.write(batch).map_err(|error| SinkError::file(&self.path, &error)),
        }
    }

    /// Bytes so far, those of a row group that is not written yet as they are guessed.
    fn bytes(&self) -> u64 {
        match &self.writer {
            Writer::Parquet(writer) => (writer.bytes_written() + writer.in_progress_size()) as u64,
            Writer::Arrow(writer) => writer.get_ref().bytes(),
        }
    }

    fn finish(self) -> Result<(), SinkError> {
        let path = self.path.clone();
        self.ended()?.finish().map_err(|error| SinkError::file(&path, &error))
    }

    /// As [`Self::finish`], under another of `names` where another run has taken its own.
    fn finish_new(self, names: impl FnMut() -> PathBuf) -> Result<(), SinkError> {
        let path = self.path.clone();
        self.ended()?.finish_new(names).map_err(|error| SinkError::file(&path, &error))
    }

    /// Writes what the format has at its end.
    fn ended(self) -> Result<Whole, SinkError> {
        let failed = |error: &dyn std::error::Error| SinkError::file(&self.path, error);
        match self.writer {
            Writer::Parquet(writer) => writer.into_inner().map_err(|error| failed(&error)),
            Writer::Arrow(mut writer) => {
                writer.finish().and_then(|()| writer.into_inner()).map_err(|error| failed(&error))
            }
        }
    }
}
