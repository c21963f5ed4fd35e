//! The functions of the language, each defined once: name, signature, docs, examples, evaluation.
//!
//! The parser's table, type checking, help, reference pages and Python's methods are made from this registry.

use std::fmt;

use arrow_array::{ArrayRef, Datum};
use arrow_schema::DataType;

/// A function of the language.
pub struct Function {
    /// Its name in the text and in Rust: `count`, `add`, `if_`.
    pub name: &'static str,
    /// The operator that means it, as `+`; none for most.
    pub operator: Option<&'static str>,
    /// Its type: `add<N: number>(x: N, y: N) -> N`. Variables stand for one type each; `number`, `ordered`, `any` bound them.
    pub signature: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What else a user must know: nulls, overflow, types.
    pub details: &'static str,
    /// Queries with their answers, run as tests.
    pub examples: &'static [Example],
    /// How it is computed.
    pub kind: FunctionKind,
}

/// How a function is computed.
pub enum FunctionKind {
    /// Value by value. Takes its arguments (arrays of one length, or constants) and gives an array or a constant.
    Scalar(fn(&Call<'_>) -> Result<Column, EvalError>),
    /// Over a key's points so far. The engine keeps the state (crate::engine); this makes it for a type of input.
    Aggregate(crate::engine::MakeAggregate),
}

/// An example: events, a query over them, the rows it gives; in the text format of the language tests.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// The query.
    pub query: &'static str,
    /// Events in, as CSV with a header.
    pub events: &'static str,
    /// Rows out, as CSV with a header.
    pub rows: &'static str,
}

/// A call of a scalar function over a batch.
pub struct Call<'a> {
    /// The arguments, in the types that checking chose.
    pub args: &'a [Column],
    /// Type of the result.
    pub data_type: &'a DataType,
    /// Number of rows.
    pub len: usize,
    /// What went wrong value by value: counted, never fatal.
    pub warnings: &'a Warnings,
}

/// Values of a batch: one a row, or one for all rows (an array of length 1).
#[derive(Debug, Clone)]
pub enum Column {
    /// One a row.
    Array(ArrayRef),
    /// One for all rows.
    Constant(ArrayRef),
}

impl Datum for Column {
    fn get(&self) -> (&dyn arrow_array::Array, bool) {
        match self {
            Self::Array(array) => (array.as_ref(), false),
            Self::Constant(array) => (array.as_ref(), true),
        }
    }
}

/// Values that did not fit and became null (SEMANTICS 2.3, 2.6), counted.
#[derive(Debug, Default)]
pub struct Warnings {
    /// Whole-number results beyond their type.
    pub overflows: std::cell::Cell<u64>,
    /// Values that a cast could not convert.
    pub casts: std::cell::Cell<u64>,
}

/// A kernel failed on types that checking should have refused: a defect of ours, reported, never a panic.
#[derive(Debug, thiserror::Error)]
#[error("{function}: {source}")]
pub struct EvalError {
    /// The function or step.
    pub function: &'static str,
    /// What the kernel said.
    #[source]
    pub source: arrow_schema::ArrowError,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.signature)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
