//! The formats of files, told by their names, else by their first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{FileError, not_waiting};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Text with a header, cells divided by commas.
    Csv,
    /// The same with tabulators.
    Tsv,
    /// A JSON object a line.
    JsonLines,
    /// Arrow IPC, a file or a stream: they are told apart when they are read.
    Arrow,
}

/// The endings of names.
const ENDINGS: [(&str, Format); 11] = [
    ("parquet", Format::Parquet),
    ("pq", Format::Parquet),
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("jsonl", Format::JsonLines),
    ("ndjson", Format::JsonLines),
    ("json", Format::JsonLines),
    ("arrow", Format::Arrow),
    ("arrows", Format::Arrow),
    ("ipc", Format::Arrow),
    ("feather", Format::Arrow),
];

impl Format {
    /// What a name says that a file is.
    #[must_use]
    pub fn of_name(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        ENDINGS.iter().find(|(known, _)| *known == ending).map(|(_, format)| *format)
    }

    /// What a file is: by its name, else by its first bytes.
    ///
    /// # Errors
    /// It cannot be read, or nothing tells.
    pub fn of_file(path: &Path) -> Result<Self, FileError> {
        if let Some(format) = Self::of_name(path) {
            return Ok(format);
        }
        not_waiting(path)?;
        let mut head = Vec::with_capacity(8);
        let file = File::open(path).map_err(FileError::io(path))?;
        file.take(8).read_to_end(&mut head).map_err(FileError::io(path))?;
        match head.as_slice() {
            [b'P', b'A', b'R', b'1', ..] => Ok(Self::Parquet),
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] => Ok(Self::Arrow),
            _ => Err(FileError::Unknown(path.to_owned())),
        }
    }
}
