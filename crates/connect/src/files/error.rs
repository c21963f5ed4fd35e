//! What can be wrong with a file, told so that its reader finds the place.

use std::io;
use std::path::{Path, PathBuf};

use arrow_schema::ArrowError;

use crate::columns::ColumnError;

/// What is wrong with a file that says by an Arrow schema, as Parquet files may, what its columns are.
const TOO_DEEP: &str = "its columns are nested deeper than an Arrow schema is read, about 60 levels";

/// What the library that reads Parquet says of steps from one number to the next that are wider than the
/// numbers, as a well-known writer has them.
const TOO_WIDE: [&str; 3] = ["first value too large", "'min_delta' too large", "Invalid delta bit width"];

/// Why files cannot be a source, or stopped being one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file cannot be opened or read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Its name does not tell what it is.
    #[error(
        "{}: neither the name nor the first bytes tell what it is; names end in .parquet, .csv, .tsv, .jsonl, .ndjson, \
         .arrow, .arrows, .ipc or .feather", .0.display()
    )]
    Unknown(PathBuf),
    /// It is no file, but a pipe or a device.
    #[error("{}: it is a pipe or a device, and no file", .0.display())]
    Waits(PathBuf),
    /// Another file has its name, or it was written anew, since it was opened.
    #[error(
        "{}: it was replaced or written while it was read: the rows that are left are of another file; open it anew", .0.display()
    )]
    Changed(PathBuf),
    /// It is not of its format, or damaged.
    #[error("{}{place}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it, as `, row group 3`; empty where the reason says so, or it is the whole.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A line of text is no row.
    #[error("{}, line {line}: {reason}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A column cannot be what it is to be.
    #[error("{}: {source}", .path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ColumnError,
    },
    /// A column has types that no type holds both of.
    #[error("{}: the column {column:?} is {found}; in the files before it is {expected}", .path.display())]
    Differs {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type there.
        found: String,
        /// Its type in the files before.
        expected: String,
    },
    /// No file has a name that fits.
    #[error("{}: no file has such a name", .0.display())]
    NoneFits(PathBuf),
    /// Its folders are a pattern.
    #[error("{}: only the last part of a path is a pattern, of the names in one folder", .0.display())]
    Folders(PathBuf),
    /// There are no files.
    #[error("no file to read")]
    None,
    /// Times stand where the file's own statistics say that there are none, or it was changed while it was read.
    #[error(
        "{}{place}: times are not where they were said to be: its statistics are wrong, or it was changed while it was read; \
         write it anew", .path.display()
    )]
    Disorder {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: String,
    },
    /// The system gives no thread to read on.
    #[error("{name}: no thread can be started to read it: {source}; ask for fewer")]
    Thread {
        /// What a query calls the files.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A reading thread went without telling its end.
    #[error(
        "{name}: the thread that reads it failed, and its rows are not all here: a defect of this program, please report it"
    )]
    Lost {
        /// What a query calls the files.
        name: String,
    },
    /// What does not fit into memory cannot be kept aside.
    #[error("{}: cannot keep rows there while they are sorted: {source}", .folder.display())]
    Spill {
        /// The folder for it.
        folder: PathBuf,
        /// What went wrong.
        #[source]
        source: ArrowError,
    },
}

impl FileError {
    /// For `map_err`.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }

    /// What a library said of a file.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass errors and texts alike")]
    pub(super) fn damaged(path: &Path, place: impl Into<String>, reason: impl ToString) -> Self {
        let mut reason = reason.to_string();
        // Names of libraries are no help to whoever has the file.
        for prefix in
            ["Parquet argument error: ", "Parquet error: ", "Csv error: ", "Ipc error: ", "Parser error: "]
        {
            if let Some(rest) = reason.strip_prefix(prefix) {
                reason = rest.to_owned();
            }
        }
        if let Some(compression) = reason.strip_prefix("Disabled feature at compile time: ") {
            reason = format!(
                "it is compressed with {compression}, which is not read; snappy, zstd, LZ4 and gzip are"
            );
        }
        if TOO_WIDE.iter().any(|said| reason.contains(said)) {
            reason.push_str(
                "; its delta encoding is not that of Parquet, as DuckDB writes it with PARQUET_VERSION V2: write it with V1",
            );
        }
        // What the library that reads schemas says of a whole one.
        if reason.contains("DepthLimitReached") {
            TOO_DEEP.clone_into(&mut reason);
        }
        Self::Damaged { path: path.to_owned(), place: place.into(), reason }
    }
}
