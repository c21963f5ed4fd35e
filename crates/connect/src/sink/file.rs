//! Answers as Parquet or Arrow files: one, or a folder of them that are rolled by time or size.
//!
//! A file has its name only when it is whole: it is written beside it, brought to the disk, and renamed. A
//! run that ends, is stopped, or loses its source finishes its sink, so there is the whole file of what was
//! delivered; one whose source fails before anything was, whose sink or operators fail, or whose process is
//! killed, leaves what was there before, or nothing under the name (and, killed, a hidden `.NAME.….part`). In
//! a folder the files before the last are there in any case.
//!
//! A run that is [saved](crate::recovery) goes on with the same files: the rows of the one that is not whole
//! yet are [kept](FileSink::kept_in) as they come, and are the first of it when it is written anew. So a save
//! makes no file, and the files are those of a run that was never killed.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_buffer::ScalarBuffer;
use arrow_ipc::writer::FileWriter;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::WriterProperties;

use super::kept::{End, Kept};
use super::whole::{SUFFIX, Whole, folder, followed, sweep};
use super::{Parts, Place, Sink, SinkError, for_parquet, same_columns};

/// Rows of a row group: what a reader decodes, and a writer holds, at once.
const GROUP_ROWS: usize = 131_072;
/// Bytes of a row group at which it is written whatever its rows.
const GROUP_BYTES: usize = 64 << 20;

/// A file that lacks such a part of its size, or less, has it: another row group would be a small one.
const NEARLY: u64 = 10;

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

    /// How people call it.
    const fn name(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::Arrow => "Arrow",
        }
    }

    /// The columns of rows as they are written.
    fn formed_schema(self, schema: &SchemaRef) -> Result<SchemaRef, SinkError> {
        match self {
            Self::Parquet => for_parquet::formed_schema(schema),
            Self::Arrow => Ok(Arc::clone(schema)),
        }
    }
}

/// When a folder's next file is begun, by what is more than nothing. With neither there is one file a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Roll {
    /// Where `_time` passes a multiple of so many nanoseconds since 1970.
    pub every: Option<i64>,
    /// Where the file has so many bytes, give or take a tenth.
    pub bytes: Option<u64>,
}

/// Writes rows of one schema ([`answer_schema`](skytide_timestream::engine::answer_schema)), and no other, to files
/// that are whole when they have their names.
pub struct FileSink {
    format: FileFormat,
    schema: SchemaRef,
    to: To,
    open: Option<Open>,
    keeping: Option<Keeping>,
    misfits: u64,
}

shown!(FileSink { format });

enum To {
    File(PathBuf),
    Folder {
        folder: PathBuf,
        roll: Roll,
        /// The number of the next file.
        next: u64,
    },
}

/// What it takes to go on in another process.
struct Keeping {
    /// What the names of kept rows begin with.
    path: PathBuf,
    /// Tells this run's files from others'. One that goes on may so take away what it made after it was saved.
    run: u64,
    /// The last file that is whole.
    last: Option<(String, u64)>,
    /// Rows of the file that is open.
    rows: Option<Kept>,
    /// The number of the file whose rows are in what is saved: those before are needed no more.
    saved: u64,
}

/// The file being written.
struct Open {
    writer: Writer,
    path: PathBuf,
    number: u64,
    /// Which stretch of time its rows are of.
    stretch: Option<i64>,
    /// Bytes that were held of a row group when it was written to look at the size, and those that it came to.
    looked: (f64, f64),
}

enum Writer {
    Parquet(Box<ArrowWriter<Whole>>),
    Arrow(Box<FileWriter<Whole>>),
}

impl FileSink {
    /// Writes one file. Without rows it has a schema alone.
    ///
    /// # Errors
    /// No file can be made beside it, or the format has no form for a column.
    pub fn file(path: &Path, format: FileFormat, schema: &SchemaRef) -> Result<Self, SinkError> {
        Self::file_through(path, format, schema, |file| Box::new(file))
    }

    /// As [`file`](Self::file); what is there and is no file, as a named pipe, is written to through what
    /// `through` makes of it.
    ///
    /// # Errors
    /// As of [`file`](Self::file).
    pub fn file_through(
        path: &Path,
        format: FileFormat,
        schema: &SchemaRef,
        through: impl FnOnce(File) -> Box<dyn Write + Send>,
    ) -> Result<Self, SinkError> {
        let open = Open::through(path, 0, format, schema, through)?;
        let to = To::File(path.to_owned());
        Ok(Self { format, schema: Arc::clone(schema), to, open: Some(open), keeping: None, misfits: 0 })
    }

    /// Writes `part-00000000.parquet`, … to a folder, which is made if it is not there; numbers go on after
    /// those that are there. Without rows there is no file.
    ///
    /// # Errors
    /// The folder cannot be made or read, the format has no form for a column, or files are to be rolled by nothing.
    pub fn folder(
        folder: &Path,
        format: FileFormat,
        schema: &SchemaRef,
        roll: Roll,
    ) -> Result<Self, SinkError> {
        format.formed_schema(schema)?;
        let failed = |error| SinkError::file(folder, &error);
        if roll.every.is_some_and(|every| every <= 0) || roll.bytes == Some(0) {
            let reason = "files are rolled by a length of time or a size that is more than nothing";
            return Err(failed(io::Error::other(reason)));
        }
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut next = 0;
        for entry in folder.read_dir().map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            next =
                next.max(number(&name.to_string_lossy(), None).map_or(0, |number| number.saturating_add(1)));
        }
        let to = To::Folder { folder: folder.to_owned(), roll, next };
        Ok(Self { format, schema: Arc::clone(schema), to, open: None, keeping: None, misfits: 0 })
    }

    /// Makes it a sink whose run can be [saved](crate::recovery) and gone on with: rows of the file that is
    /// not whole yet are kept in files that begin with the path `rows`, where
    /// [`Recovery::rows`](crate::recovery::Recovery::rows) says, and of which nobody else's may begin so.
    ///
    /// The names of a folder's files have a number of the run before their own, `part-RUN-00000000.parquet`,
    /// by which a run that goes on knows what it made after it was saved: that is taken away and made again.
    /// The last file that was whole is to be there then; those before it may be gone.
    ///
    /// # Errors
    /// It is one file, and what is there is none, as a device or a named pipe.
    pub fn kept_in(mut self, rows: &Path) -> Result<Self, SinkError> {
        match &mut self.to {
            To::File(path) if path.metadata().is_ok_and(|found| !found.is_file()) => {
                let reason = "it is no file, whose rows could be written again";
                return Err(SinkError::file(path, &io::Error::other(reason)));
            }
            // What a run left that was killed; this one's is begun after it is swept away.
            To::File(path) => {
                self.open = None;
                sweep(path).map_err(|error| SinkError::file(path, &error))?;
                self.open = Some(Open::new(path, 0, self.format, &self.schema)?);
            }
            To::Folder { next, .. } => *next = 0,
        }
        // Any number will do that nobody else has.
        let run = RandomState::new().hash_one(rows) >> 16;
        self.keeping = Some(Keeping { path: rows.to_owned(), run, last: None, rows: None, saved: 0 });
        Ok(self)
    }

    /// Writes rows of one stretch of time; where a file ends by its size, a few at a time, so that it does so
    /// near there.
    fn put(&mut self, batch: &RecordBatch, stretch: Option<i64>) -> Result<(), SinkError> {
        let rows = batch.num_rows();
        let few = match self.to {
            To::Folder { roll: Roll { bytes: Some(most), .. }, .. } => few(batch, most),
            _ => rows.max(1),
        };
        let mut pieces = (0..rows).step_by(few).map(|at| batch.slice(at, few.min(rows - at)));
        pieces.try_for_each(|piece| self.put_piece(&piece, stretch))
    }

    fn put_piece(&mut self, batch: &RecordBatch, stretch: Option<i64>) -> Result<(), SinkError> {
        if matches!(self.to, To::Folder { .. })
            && self.open.as_ref().is_some_and(|open| open.stretch != stretch)
        {
            self.close()?;
        }
        let Some(open) = self.begun(stretch)? else { return Ok(()) };
        let lost = open.write(batch)?;
        let number = open.number;
        self.misfits += lost;
        if let Some(keeping) = &mut self.keeping {
            keeping.keep(number, batch)?;
        }
        if let (To::Folder { roll: Roll { bytes: Some(most), .. }, .. }, Some(open)) =
            (&self.to, &mut self.open)
            && open.has(*most)?
        {
            self.close()?;
        }
        Ok(())
    }

    /// The file that rows of a stretch of time go to; none where there was one alone, and it is finished.
    fn begun(&mut self, stretch: Option<i64>) -> Result<Option<&mut Open>, SinkError> {
        if let (To::Folder { folder, next, .. }, None) = (&mut self.to, &self.open) {
            let run = self.keeping.as_ref().map(|keeping| keeping.run);
            let number = *next;
            let path = numbered(folder, next, run, self.format);
            let open = Open::new(&path, number, self.format, &self.schema)?;
            self.open = Some(Open { stretch, ..open });
        }
        Ok(self.open.as_mut())
    }

    /// Finishes the file that is open.
    fn close(&mut self) -> Result<(), SinkError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let To::Folder { folder, next, .. } = &mut self.to else { return open.finish() };
        let run = self.keeping.as_ref().map(|keeping| keeping.run);
        let whole = open.finish_new(|| numbered(folder, next, run, self.format))?;
        if let Some(keeping) = &mut self.keeping {
            (keeping.last, keeping.rows) = (whole, None);
        }
        Ok(())
    }

    /// The number of the first file that is not whole.
    fn first_open(&self) -> u64 {
        match (&self.open, &self.to) {
            (Some(open), _) => open.number,
            (None, To::File(_)) => 0,
            (None, To::Folder { next, .. }) => *next,
        }
    }

    /// How it is known where its rows are.
    fn known_as(&self) -> PathBuf {
        match &self.to {
            To::File(path) => followed(path),
            To::Folder { folder, .. } => followed(folder),
        }
    }
}

impl Keeping {
    /// Where rows of a file are kept.
    fn rows_of(&self, number: u64) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(format!("-{number:08}"));
        path.into()
    }

    /// Keeps rows of a file.
    fn keep(&mut self, number: u64, batch: &RecordBatch) -> Result<(), SinkError> {
        if self.rows.is_none() {
            self.rows = Some(Kept::create(self.rows_of(number), &batch.schema())?);
        }
        self.rows.as_mut().map_or(Ok(()), |rows| rows.write(batch))
    }

    /// Removes rows that are kept of files with such a number.
    fn let_go(&self, is_gone: impl Fn(u64) -> bool) -> Result<(), SinkError> {
        let begins = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned() + "-";
        remove(folder(&self.path), |name| {
            name.strip_prefix(&begins).and_then(|number| number.parse().ok()).is_some_and(&is_gone)
        })
    }

    /// Checks that the last file that was whole is there as it was.
    fn check_last(&self, folder: &Path) -> Result<(), SinkError> {
        if let Some((name, size)) = &self.last {
            let path = folder.join(name);
            let length = path.metadata().map_err(|error| SinkError::file(&path, &error))?.len();
            if length != *size {
                let reason = format!("it has {length} bytes, and had {size} when the run was saved");
                return Err(SinkError::File { path, reason, code: None });
            }
        }
        Ok(())
    }

    /// Takes away what the run made of the file with a number and of those after it: those that are whole, or
    /// those that never were.
    fn take_back(&self, folder: &Path, next: u64, are_whole: bool) -> Result<(), SinkError> {
        remove(folder, |name| {
            let unfinished = || name.strip_prefix('.').filter(|name| name.ends_with(SUFFIX));
            let name = if are_whole { Some(name) } else { unfinished() };
            name.and_then(|name| number(name, Some(self.run))).is_some_and(|number| number >= next)
        })
    }
}

/// Removes the files of a folder that are called so.
fn remove(folder: &Path, is_gone: impl Fn(&str) -> bool) -> Result<(), SinkError> {
    let remove = || {
        for entry in folder.read_dir()? {
            let entry = entry?;
            if is_gone(&entry.file_name().to_string_lossy()) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    remove().map_err(|error: io::Error| SinkError::file(folder, &error))
}

/// The name of a folder's next file, of a run that has a number.
fn numbered(folder: &Path, next: &mut u64, run: Option<u64>, format: FileFormat) -> PathBuf {
    let run = run.map_or_else(String::new, |run| format!("{run:012x}-"));
    let path = folder.join(format!("part-{run}{next:08}.{}", format.ending()));
    *next += 1;
    path
}

/// The number in the name of a file, of a run that has a number or of one that has none.
fn number(name: &str, run: Option<u64>) -> Option<u64> {
    let mut name = name.strip_prefix("part-")?.split('.').next()?;
    if let Some(run) = run {
        name = name.strip_prefix(&format!("{run:012x}-"))?;
    }
    name.parse().ok()
}

impl Sink for FileSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        same_columns(&self.schema, batch, self.format.name())?;
        let To::Folder { roll: Roll { every: Some(every), .. }, .. } = self.to else {
            return self.put(batch, None);
        };
        let times = times(batch);
        let stretch = |row: usize| stretch(times[row], every);
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

    fn misfits(&self) -> u64 {
        self.misfits
    }

    fn place(&mut self) -> Result<Option<Place>, SinkError> {
        let (next, known) = (self.first_open(), self.known_as());
        let Some(keeping) = &mut self.keeping else { return Ok(None) };
        let end = keeping.rows.as_mut().map_or(Ok(End::default()), Kept::end)?;
        // Until this is saved, what was saved before may be needed.
        keeping.let_go(|number| number < keeping.saved)?;
        keeping.saved = next;
        let parts = Parts { run: keeping.run, next, last: keeping.last.clone(), sum: end.sum };
        Ok(Some(Place { file: known, bytes: end.bytes, parts: Some(parts) }))
    }

    fn go_back(&mut self, place: Option<&Place>) -> Result<(), SinkError> {
        let known = self.known_as();
        let Some(keeping) = &mut self.keeping else { return Ok(()) };
        let Some(place) = place else { return keeping.let_go(|_| true) };
        let parts = place.parts.as_ref().filter(|_| place.file == known);
        let Some(parts) = parts else {
            return Err(SinkError::elsewhere(known, place));
        };
        keeping.run = parts.run;
        keeping.last.clone_from(&parts.last);
        keeping.saved = parts.next;
        let roll = match &mut self.to {
            To::File(_) => Roll::default(),
            To::Folder { folder, roll, next } => {
                keeping.check_last(folder)?;
                // They were never to be seen.
                keeping.take_back(folder, parts.next, false)?;
                *next = parts.next;
                *roll
            }
        };
        if place.bytes > 0 {
            let (path, schema) = (keeping.rows_of(parts.next), Arc::clone(&self.schema));
            let end = End { bytes: place.bytes, sum: parts.sum };
            let Some(open) = self.begun(None)? else { return Ok(()) };
            let mut lost = 0;
            // However it is rolled now: it was one file.
            let kept = Kept::reopen(path, &schema, end, |batch| {
                let last = times(batch).last().copied();
                open.stretch = last.zip(roll.every).map(|(time, every)| stretch(time, every));
                lost += open.write(batch)?;
                roll.bytes.map_or(Ok(()), |most| open.has(most).map(drop))
            })?;
            self.misfits += lost;
            if let Some(keeping) = &mut self.keeping {
                keeping.rows = Some(kept);
            }
        }
        let Some(keeping) = &self.keeping else { return Ok(()) };
        // Its rows may have been nowhere else until they were written again.
        if let To::Folder { folder, .. } = &self.to {
            keeping.take_back(folder, parts.next, true)?;
        }
        keeping.let_go(|number| number != parts.next)
    }
}

/// The times of an answer's rows.
fn times(batch: &RecordBatch) -> ScalarBuffer<i64> {
    batch.column(0).as_primitive::<TimestampNanosecondType>().values().clone()
}

/// So many rows of a batch that they are a small part of a size; one at least.
fn few(batch: &RecordBatch, size: u64) -> usize {
    let (rows, bytes) = (batch.num_rows(), batch.get_array_memory_size().max(1));
    let part = usize::try_from(size / NEARLY).unwrap_or(usize::MAX);
    (part.saturating_mul(rows) / bytes).min(rows).max(1)
}

/// The stretch of time that a row is of.
fn stretch(time: i64, every: i64) -> i64 {
    time.div_euclid(every.max(1))
}

impl Open {
    fn new(path: &Path, number: u64, format: FileFormat, schema: &SchemaRef) -> Result<Self, SinkError> {
        Self::through(path, number, format, schema, |file| Box::new(file))
    }

    fn through(
        path: &Path,
        number: u64,
        format: FileFormat,
        schema: &SchemaRef,
        through: impl FnOnce(File) -> Box<dyn Write + Send>,
    ) -> Result<Self, SinkError> {
        let schema = format.formed_schema(schema)?;
        let file = Whole::create_through(path, through).map_err(|error| SinkError::file(path, &error))?;
        let failed = |error: &(dyn std::error::Error + 'static)| SinkError::file(path, error);
        let writer = match format {
            FileFormat::Parquet => {
                let rising = SortingColumn { column_idx: 0, descending: false, nulls_first: false };
                let properties = WriterProperties::builder()
                    // Parts of lists and maps are called as every reader knows them.
                    .set_coerce_types(true)
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(GROUP_ROWS))
                    .set_max_row_group_bytes(Some(GROUP_BYTES))
                    .set_sorting_columns(Some(vec![rising]))
                    .build();
                let writer = ArrowWriter::try_new(file, schema, Some(properties));
                Writer::Parquet(Box::new(writer.map_err(|error| failed(&error))?))
            }
            FileFormat::Arrow => {
                Writer::Arrow(Box::new(FileWriter::try_new(file, &schema).map_err(|error| failed(&error))?))
            }
        };
        Ok(Self { writer, path: path.to_owned(), number, stretch: None, looked: (0.0, 0.0) })
    }

    /// Writes rows; gives how many of their values had no form.
    fn write(&mut self, batch: &RecordBatch) -> Result<u64, SinkError> {
        match &mut self.writer {
            Writer::Parquet(writer) => {
                let (batch, lost) = for_parquet::formed(batch)?;
                writer.write(&batch).map_err(|error| SinkError::file(&self.path, &error))?;
                Ok(lost)
            }
            Writer::Arrow(writer) => {
                writer.write(batch).map_err(|error| SinkError::file(&self.path, &error))?;
                Ok(0)
            }
        }
    }

    /// Whether it has so many bytes, or nearly. What is held of a row group is written where it may be
    /// enough: only then it is known what it comes to, as pages are compressed one by one, and most of a
    /// small row group is in pages that are not done.
    fn has(&mut self, most: u64) -> Result<bool, SinkError> {
        let writer = match &mut self.writer {
            Writer::Parquet(writer) => writer,
            Writer::Arrow(writer) => return Ok(writer.get_ref().bytes() >= most),
        };
        let (before, held) = (writer.bytes_written() as u64, writer.in_progress_size() as f64);
        // As much as the last one comes to what that came to; of what is more, at most all of it is written.
        let (looked, came) = self.looked;
        let guess = if held < looked { held * came / looked } else { came + held - looked };
        let enough = most - most / NEARLY;
        if before as f64 + guess < enough as f64 {
            return Ok(false);
        }
        writer.flush().map_err(|error| SinkError::file(&self.path, &error))?;
        let bytes = writer.bytes_written() as u64;
        self.looked = (held, bytes.saturating_sub(before) as f64);
        Ok(bytes >= enough)
    }

    fn finish(self) -> Result<(), SinkError> {
        let path = self.path.clone();
        self.ended()?.finish().map_err(|error| SinkError::file(&path, &error))
    }

    /// As [`Self::finish`], under another of `names` where another run has taken its own. Gives the name and
    /// the bytes of the file.
    fn finish_new(self, names: impl FnMut() -> PathBuf) -> Result<Option<(String, u64)>, SinkError> {
        let path = self.path.clone();
        let whole = self.ended()?;
        let bytes = whole.bytes();
        let path = whole.finish_new(names).map_err(|error| SinkError::file(&path, &error))?;
        let name = path.as_deref().and_then(Path::file_name);
        Ok(name.map(|name| (name.to_string_lossy().into_owned(), bytes)))
    }

    /// Writes what the format has at its end.
    fn ended(self) -> Result<Whole, SinkError> {
        let failed = |error: &(dyn std::error::Error + 'static)| SinkError::file(&self.path, error);
        match self.writer {
            Writer::Parquet(writer) => writer.into_inner().map_err(|error| failed(&error)),
            Writer::Arrow(mut writer) => {
                writer.finish().and_then(|()| writer.into_inner()).map_err(|error| failed(&error))
            }
        }
    }
}
