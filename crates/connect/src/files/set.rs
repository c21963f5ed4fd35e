//! Files of one stream: which, and what their columns are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{Field, Fields, TimeUnit};
use skytide_timestream::catalog::StreamDef;
use skytide_timestream::plan::Scan;
use skytide_timestream::types;

use super::csv::CsvFile;
use super::ipc::IpcFile;
use super::json::JsonFile;
use super::parquet::ParquetFile;
use super::projection::Projection;
use super::shape::plain_fields;
use super::source::FileSource;
use super::unit::{Batches, Range, Unit};
use super::{FileError, Format, MEMORY};
use crate::columns::Roles;

/// What files are read as.
#[derive(Debug, Clone)]
pub struct Definition {
    /// What a query calls the stream.
    pub name: String,
    /// The files, in the order in which rows of one time stand. Columns go by name: one that a file does not have is null there.
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
}

impl Definition {
    /// A file with its columns of times and keys: the stream has the name of the file without its ending, numbers in the time
    /// column are nanoseconds, [`MEMORY`] is for sorting, and what is more goes to the file's own folder.
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
        }
    }
}

/// Files of one stream, opened: their columns are known.
pub struct Files {
    definition: Definition,
    parts: Vec<Part>,
    fields: Fields,
}

/// A file by its format.
enum Part {
    Parquet(ParquetFile),
    Ipc(IpcFile),
    Csv(CsvFile),
    Json(JsonFile),
}

impl Part {
    fn open(path: &Path, format: Format) -> Result<Self, FileError> {
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
    /// A file cannot be read or is damaged, a column that is named is not in it or cannot be what it is to be, or two files
    /// disagree about a column.
    pub fn open(definition: Definition) -> Result<Self, FileError> {
        let Definition { paths, format, time, key, subsort, .. } = &definition;
        let mut parts = Vec::with_capacity(paths.len());
        let mut fields: Vec<Arc<Field>> = Vec::new();
        for path in paths {
            let part = Part::open(path, format.map_or_else(|| Format::of_file(path), Ok)?)?;
            let own = plain_fields(part.fields());
            Roles::of(&own, time, key, subsort.as_deref())
                .map_err(|source| FileError::Column { path: path.clone(), source })?;
            for field in &own {
                match fields.iter_mut().find(|known| known.name() == field.name()) {
                    None => fields.push(Arc::clone(field)),
                    Some(known) => {
                        let both = types::common(known.data_type(), field.data_type());
                        let both = both.ok_or_else(|| FileError::Differs {
                            path: path.clone(),
                            column: field.name().clone(),
                            found: types::name(field.data_type()),
                            expected: types::name(known.data_type()),
                        })?;
                        *known = Arc::new(Field::clone(known).with_data_type(both));
                    }
                }
            }
            parts.push(part);
        }
        if parts.is_empty() {
            return Err(FileError::None);
        }
        Ok(Self { definition, parts, fields: fields.into() })
    }

    /// The columns of a file, in the engine's types.
    ///
    /// # Errors
    /// It cannot be read or is damaged.
    pub fn columns(path: &Path) -> Result<Fields, FileError> {
        Ok(plain_fields(Part::open(path, Format::of_file(path)?)?.fields()))
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
        let Definition { name, key, .. } = &self.definition;
        StreamDef { name: name.clone(), source, fields: self.fields.clone(), key: key.clone() }
    }

    /// Reads scans of their stream.
    #[must_use]
    pub fn source(self: &Arc<Self>, scans: Vec<Scan>) -> FileSource {
        FileSource::new(Arc::clone(self), scans)
    }

    /// The pieces that are read by themselves, in order.
    pub(super) fn units(&self) -> Vec<Unit> {
        let Definition { time, unit, paths, .. } = &self.definition;
        let mut units = Vec::new();
        for (file, (part, path)) in self.parts.iter().zip(paths).enumerate() {
            match part {
                Part::Parquet(part) => units.extend(part.units(file, time, *unit)),
                _ => {
                    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
                    units.push(Unit { file, at: 0, range: Range::Unknown, bytes });
                }
            }
        }
        // The one piece that there is overlaps none.
        units
    }

    /// Whether the times of a unit can be read by themselves, at little cost.
    pub(super) fn has_columns(&self, unit: &Unit) -> bool {
        match self.parts[unit.file] {
            Part::Parquet(_) | Part::Ipc(_) => true,
            Part::Csv(_) | Part::Json(_) => false,
        }
    }

    /// Reads what is wanted of a unit, at most so many rows at once.
    pub(super) fn read(&self, unit: &Unit, wanted: &Projection, rows: usize) -> Result<Batches, FileError> {
        match &self.parts[unit.file] {
            Part::Parquet(file) => file.read(unit.at, wanted, rows),
            Part::Ipc(file) => file.read(wanted),
            Part::Csv(file) => file.read(wanted, rows),
            Part::Json(file) => file.read(wanted, rows),
        }
    }

    /// Which file a unit is of, and how its place in it is told.
    pub(super) fn place(&self, unit: &Unit) -> (&Path, String) {
        let place = match self.parts[unit.file] {
            Part::Parquet(_) => super::parquet::place(unit.at),
            _ => String::new(),
        };
        (&self.definition.paths[unit.file], place)
    }
}
