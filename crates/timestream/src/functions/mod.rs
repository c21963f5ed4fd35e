//! The functions of the language, each defined once: name, signature, docs, examples, evaluation.
//!
//! The parser's table, type checking, help, reference pages, completion and Python's methods are made from
//! this registry: [`all`] of it, or what [`find`] finds. One file a family holds the definitions.

pub(crate) mod aggregations;
mod comparisons;
pub mod eval;
pub(crate) mod lists;
pub(crate) mod logic;
mod moments;
mod numbers;
mod page;
mod registry;
pub mod signature;
mod streams;
pub(crate) mod texts;
pub mod user;

use std::fmt;

use arrow_array::{ArrayRef, Datum};
use arrow_schema::DataType;

pub use page::reference;
pub use registry::{all, find, nearest, signature_of, signatures_of};

/// A function of the language.
pub struct Function {
    /// Its name in the text and in Rust: `count`, `add`, `if_`.
    pub name: &'static str,
    /// Other names it is found by, as `and_` in Python, where `and` is a word of the language.
    pub aliases: &'static [&'static str],
    /// The operator that means it, as `+`; none for most.
    pub operator: Option<&'static str>,
    /// What it takes and gives, in the language of [`signature`]: `add<N: number>(x: N, y: N) -> N`.
    pub signature: &'static str,
    /// What it takes instead, where the arguments do not fit the first: further signatures, with the same names.
    pub also: &'static [&'static str],
    /// What it does, in a line.
    pub summary: &'static str,
    /// What else a user must know: nulls, overflow, types.
    pub details: &'static str,
    /// Queries with their answers, run as tests.
    pub examples: &'static [Example],
    /// Whether it is null wherever one of its arguments is. An aggregation is not: it skips nulls.
    pub strict: bool,
    /// Whether it may leave its type, which is null and counted (SEMANTICS 2.3).
    pub overflows: bool,
    /// The family under which it is listed.
    pub family: Family,
    /// How it is computed.
    pub kind: FunctionKind,
}

/// What a function is about: the chapters of the reference pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Streams, their keys and their fields.
    Streams,
    /// Over a key's points so far.
    Aggregations,
    /// Numbers.
    Numbers,
    /// Comparisons.
    Comparisons,
    /// Conditions and nulls.
    Logic,
    /// Text.
    Text,
    /// Lists.
    Lists,
    /// Moments and lengths of time.
    Time,
}

/// How a function is computed.
pub enum FunctionKind {
    /// Value by value. Takes its arguments (arrays of one length, or constants) and gives an array or a constant.
    Scalar(fn(&Call<'_>) -> Result<Column, EvalError>),
    /// Over a key's points so far. The engine keeps the state (crate::engine); this makes it for a type of input.
    Aggregate(crate::engine::MakeAggregate),
    /// Not by values alone: checking a query turns it into an operation of its own ([`crate::query::Op`]).
    Form(Form),
}

/// The functions that are operations of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `filter`
    Filter,
    /// `with_key`
    WithKey,
    /// `col`
    Col,
    /// `cast`
    Cast,
    /// `select`
    Select,
    /// `remove`
    Remove,
    /// `extend`
    Extend,
    /// `time`
    Time,
    /// `shift_by`
    ShiftBy,
    /// `shift_to`
    ShiftTo,
    /// `shift_until`
    ShiftUntil,
    /// `lookup`
    Lookup,
    /// `seconds_since_previous`
    SecondsSincePrevious,
}

/// An example: events, a query over them, the rows it gives.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// The query, over a stream named `events`.
    pub query: &'static str,
    /// The events in order, as CSV: a header `time, key: utf8, name: type, …`, then a line each; the grouping
    /// is `key`.
    pub events: &'static str,
    /// Rows out, as CSV with the header `_time, _key, …`.
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

impl Warnings {
    /// Whether nothing was counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.overflows.get() == 0 && self.casts.get() == 0
    }

    /// Counts what was counted there, too.
    pub(crate) fn add(&self, other: &Self) {
        self.overflows.set(self.overflows.get() + other.overflows.get());
        self.casts.set(self.casts.get() + other.casts.get());
    }
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

impl Function {
    /// A function before it is described. How it is computed has no default, so that none is computed as another is.
    const fn of(family: Family, strict: bool, kind: FunctionKind) -> Self {
        Self {
            name: "",
            aliases: &[],
            operator: None,
            signature: "",
            also: &[],
            summary: "",
            details: "",
            examples: &[],
            strict,
            overflows: false,
            family,
            kind,
        }
    }

    /// Whether it goes over a key's points, and so takes a window; what follows its value are constants.
    #[must_use]
    pub fn is_aggregation(&self) -> bool {
        matches!(self.kind, FunctionKind::Aggregate(_))
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.signature)
    }
}

/// A name is defined once.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
