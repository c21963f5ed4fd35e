//! Files of one stream: which, and what their columns are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use arrow_schema::{Field, Fields, TimeUnit};
use skytide_timestream::catalog::StreamDef;
use skytide_timestream::plan::Scan;

use super::csv::CsvFile;
use super::ipc::IpcFile;
use super::join::{join, possible, settled};
use super::json::JsonFile;
use super::parquet::ParquetFile;
use super::projection::Projection;
use super::shape::plain_fields;
use super::source::FileSource;
use super::unit::{Batches, Range, Unit};
use super::{FileError, Format, MEMORY, not_waiting};
use crate::columns::Roles;

/// What files are read as.
#[derive(Debug, Clone)]
pub struct Definition {
    /// What a query calls the stream.
    pub name: String,
    /// The files, in the order in which rows of one time stand. Columns go by name: one that a file does not
    /// have is null there.
    pub paths: Vec<PathBuf>,
    /// What they are; told by their names or first bytes unless given.
    pub format: Option<Format>,
    /// The column of the rows' times.
    pub time: String,
    /// The column of the rows' keys.
    pub key: String,
    /// The column that orders rows of one time; else they stand as in the files.
    pub subsort: Option<String>,
    /// What the keys are, to be joined with other streams; the key column's name unless given.
    pub grouping: Option<String>,
    /// The unit of a time column of numbers.
    pub unit: TimeUnit,
    /// Bytes of memory for rows that must be sorted; what is more is kept in files without a name.
    pub memory: usize,
    /// The folder for those.
    pub spill: PathBuf,
    /// How many threads read pieces of the files ahead of a query; 0 leaves all reading to the query's own.
    pub readers: usize,
    /// The columns, where there may be no file yet; those of the files unless given.
    pub fields: Option<Fields>,
}

impl Definition {
    /// A file with its columns of times and keys: the stream has the name of the file without its ending,
    /// numbers in the time column are nanoseconds, [`MEMORY`] is for sorting, and what is more goes to the
    /// file's own folder.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, time: impl Into<String>, key: impl Into<String>) -> Self {
        let path = path.into();
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Self {
            name,
            spill: folder.unwrap_or(Path::new(".")).to_owned(),
            paths: vec![path],
            format: None,
            time: time.into(),
            key: key.into(),
            subsort: None,
            grouping: None,
            unit: TimeUnit::Nanosecond,
            memory: MEMORY,
            readers: 0,
            fields: None,
        }
    }
}

/// Files of one stream, opened: their columns are known. More files may be added; queries that run do not see them.
pub struct Files {
    definition: Definition,
    parts: RwLock<Parts>,
    fields: Fields,
}

/// The files there are at one time.
#[derive(Clone, Default)]
pub(super) struct Parts(Arc<Vec<(PathBuf, Arc<Part>)>>);

/// A file by its format.
pub(super) enum Part {
    Parquet(ParquetFile),
    Ipc(IpcFile),
    Csv(CsvFile),
    Json(JsonFile),
}

impl Part {
    fn open(path: &Path, format: Format) -> Result<Self, FileError> {
        not_waiting(path)?;
        Ok(match format {
            Format::Parquet => Self::Parquet(ParquetFile::open(path)?),
            Format::Arrow => Self::Ipc(IpcFile::open(path)?),
            Format::Csv => Self::Csv(CsvFile::open(path, b',')?),
            Format::Tsv => Self::Csv(CsvFile::open(path, b'\t')?),
            Format::JsonLines => Self::Json(JsonFile::open(path)?),
        })
    }

    fn fields(&self) -> &Fields {
        match self {
            Self::Parquet(file) => file.fields(),
            Self::Ipc(file) => file.fields(),
            Self::Csv(file) => file.fields(),
            Self::Json(file) => file.fields(),
        }
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("definition", &self.definition).finish_non_exhaustive()
    }
}

impl Files {
    /// Reads what files say of themselves, or the first rows of those that say nothing.
    ///
    /// # Errors
    /// A file cannot be read or is damaged, a column that is named is not in it or cannot be what it is to
    /// be, or two files disagree about a column.
    pub fn open(definition: Definition) -> Result<Self, FileError> {
        let given = definition.fields.as_ref().map(plain_fields);
        let mut fields: Vec<Arc<Field>> = given.iter().flatten().cloned().collect();
        let mut parts = Vec::with_capacity(definition.paths.len());
        for path in &definition.paths {
            let (part, own) = definition.part(path)?;
            join(&mut fields, &own, definition.subsort.as_deref(), path)?;
            parts.push((path.clone(), part));
        }
        if parts.is_empty() && given.is_none() {
            return Err(FileError::None);
        }
        let fields = given.unwrap_or_else(|| settled(&fields.into()));
        // Of files each was looked at; a schema alone was not.
        definition.roles(&fields, definition.paths.first().map_or(Path::new("schema"), PathBuf::as_path))?;
        Ok(Self { definition, parts: RwLock::new(Parts(Arc::new(parts))), fields })
    }

    /// Adds a file, for queries that start later. Columns that the files before did not have are left out.
    ///
    /// # Errors
    /// As of [`Self::open`].
    pub fn add(&self, path: &Path) -> Result<(), FileError> {
        let (part, own) = self.definition.part(path)?;
        let subsort = self.definition.subsort.as_deref();
        join(&mut self.fields.iter().cloned().collect(), &own, subsort, path)?;
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut parts.0).push((path.to_owned(), part));
        Ok(())
    }

    /// The columns of a file, in the engine's types.
    ///
    /// # Errors
    /// It cannot be read or is damaged.
    pub fn columns(path: &Path) -> Result<Fields, FileError> {
        Ok(settled(&plain_fields(Part::open(path, Format::of_file(path)?)?.fields())))
    }

    /// What they are read as.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Their columns, in the engine's types; where files differ, all that any of them has.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Their stream, of the source of this number.
    #[must_use]
    pub fn stream(&self, source: u16) -> StreamDef {
        let Definition { name, key, time, .. } = &self.definition;
        StreamDef {
            name: name.clone(),
            source,
            fields: self.fields.clone(),
            key: key.clone(),
            time: Some(time.clone()),
        }
    }

    /// Reads scans of their stream.
    #[must_use]
    pub fn source(self: &Arc<Self>, scans: Vec<Scan>) -> FileSource {
        FileSource::new(Arc::clone(self), scans)
    }

    /// The files there are.
    pub(super) fn parts(&self) -> Parts {
        self.parts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Definition {
    /// Opens a file, and gives its columns in the engine's types; those without values have none.
    fn part(&self, path: &Path) -> Result<(Arc<Part>, Fields), FileError> {
        let part = Part::open(path, self.format.map_or_else(|| Format::of_file(path), Ok)?)?;
        let own = plain_fields(part.fields());
        // A file without rows may have no columns, and so does what this program writes of an answer without rows.
        if !own.is_empty() {
            self.roles(&possible(&own), path)?;
        }
        Ok((Arc::new(part), own))
    }

    /// Whether the columns that it names are there and can be what they are to be.
    fn roles(&self, fields: &Fields, path: &Path) -> Result<(), FileError> {
        Roles::of(fields, &self.time, &self.key, self.subsort.as_deref())
            .map(drop)
            .map_err(|source| FileError::Column { path: path.to_owned(), source })
    }
}

impl Parts {
    /// The pieces that are read by themselves, in order. Times are in the column `time`, numbers there in `unit`.
    pub(super) fn units(&self, time: &str, unit: TimeUnit) -> Vec<Unit> {
        let mut units = Vec::new();
        for (file, (path, part)) in self.0.iter().enumerate() {
            match &**part {
                Part::Parquet(part) => units.extend(part.units(file, time, unit)),
                Part::Ipc(_) | Part::Csv(_) | Part::Json(_) => {
                    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
                    units.push(Unit { file, at: 0, range: Range::Unknown, bytes });
                }
            }
        }
        units
    }

    /// Whether the times of a unit can be read by themselves, at little cost.
    pub(super) fn has_columns(&self, unit: &Unit) -> bool {
        match *self.0[unit.file].1 {
            Part::Parquet(_) | Part::Ipc(_) => true,
            Part::Csv(_) | Part::Json(_) => false,
        }
    }

    /// Reads what is wanted of a unit, at most so many rows at once.
    pub(super) fn read(&self, unit: &Unit, wanted: &Projection, rows: usize) -> Result<Batches, FileError> {
        match &*self.0[unit.file].1 {
            Part::Parquet(file) => file.read(unit.at, wanted, rows),
            Part::Ipc(file) => file.read(wanted),
            Part::Csv(file) => file.read(wanted, rows),
            Part::Json(file) => file.read(wanted, rows),
        }
    }

    /// Which file a unit is of, and how its place in it is told.
    pub(super) fn place(&self, unit: &Unit) -> (&Path, String) {
        let (path, part) = &self.0[unit.file];
        match **part {
            Part::Parquet(_) => (path, super::parquet::place(unit.at)),
            Part::Ipc(_) | Part::Csv(_) | Part::Json(_) => (path, String::new()),
        }
    }
}
