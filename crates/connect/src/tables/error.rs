//! Why a table cannot be, or cannot take what is pushed.

use arrow_schema::ArrowError;

use crate::columns::ColumnError;

/// A row that takes more is not taken: with what was gathered before it it stays far below what a column of
/// text holds.
pub(super) const LARGEST_ROW: usize = 1 << 30;

/// Why a table cannot be, or cannot take what is pushed.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A column cannot be what it is to be.
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// A line of text is no row.
    #[error("line {line}: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A row takes more than a column holds with others beside it.
    #[error("row {row} of those given takes {} MiB; one may take {} MiB", .bytes >> 20, LARGEST_ROW >> 20)]
    Large {
        /// From 1, among those that were pushed with it.
        row: usize,
        /// What it takes, about.
        bytes: usize,
    },
    /// It has been told that no more is pushed.
    #[error("the table has ended ({rows} rows were pushed): nothing can be pushed any more")]
    Ended {
        /// The rows before.
        rows: u64,
    },
    /// The process was forked from the one that made it.
    #[error(
        "the table was in use by another thread when this process was forked: make it here, or start processes by `spawn`"
    )]
    Forked,
    /// Columns could not be made.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}
