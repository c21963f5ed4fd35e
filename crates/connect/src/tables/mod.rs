//! Tables: rows that a program pushes, as sources of queries.
//!
//! A [`Table`] keeps what is pushed as batches of columns that are appended and never merged anew: a push
//! costs what is pushed, whatever is there already. Any number of queries read it, each at its own place:
//! `once` what is there when it starts, `live` also what is pushed from then on. Late rows are told here, in
//! the order in which they came (SEMANTICS 7.3), so that a query's answer depends on what was pushed and not
//! on how.

mod array;
mod bell;
mod builder;
mod cell;
mod definition;
mod digits;
mod error;
mod json;
mod lock;
mod piped;
mod place;
mod reader;
mod seen;
mod source;
mod table;
mod text;
mod value;

pub use crate::columns::ColumnError;
pub use bell::Bell;
pub(crate) use builder::Builder;
pub(crate) use cell::Fraction;
pub use definition::Definition;
pub use error::TableError;
pub(crate) use json::{For, read_row};
pub use piped::{PipeError, Piped};
pub(crate) use place::{Quotes, UNCLOSED};
pub use source::TableSource;
pub use table::{Origin, Table, TableCounts};
pub use text::{csv_fields, json_fields, texts};
pub(crate) use text::{csv_format, csv_numbers, csv_types, rows_at_once};
pub(crate) use value::seen;
pub(crate) use value::unknown;
pub use value::{Value, infer};
