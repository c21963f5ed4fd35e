//! Files as sources: Parquet, CSV, JSON lines, Arrow IPC.
//!
//! [`Files`] are one or more files of one stream: their ends or first rows are read when they are opened, so
//! that a query over them can be checked before anything runs. Each query reads them anew as a
//! [`FileSource`], which decodes the columns that the plan asks for and gives rows in order of time: sorted
//! files as they are read, others sorted within a limit of memory. Where a row stands among those of its time
//! is told by the subsort column, else by the order of the files and of their rows.

mod ahead;
mod caught;
mod csv;
mod error;
mod footer;
mod format;
mod framing;
mod ipc;
mod join;
mod json;
mod known;
mod letters;
mod messages;
mod order;
mod parquet;
mod pattern;
mod projection;
mod segment;
mod set;
mod shape;
mod sizes;
mod sort;
mod source;
mod unit;

pub use caught::hush_caught;
pub use error::FileError;
pub use format::Format;
pub use known::may_wait;
pub(crate) use known::not_waiting;
pub(crate) use letters::BYTE_ORDER_MARK;
pub(crate) use messages::Messages;
pub use pattern::{is_pattern, matching};
pub use set::{Definition, Files};
pub use source::FileSource;

/// Rows by which the types of the columns of text are found.
const INFERRED_ROWS: usize = 10_000;
/// Memory for rows that are sorted, unless given.
pub const MEMORY: usize = 256 << 20;
