//! A checked query: a graph of typed expressions in which each distinct expression stands once.
//!
//! It says what is meant, not how to compute it: the planner turns it into a [`Plan`](crate::plan::Plan), and the
//! reference evaluator of the test kit answers it directly, which is what the plan's answers are held against.

use std::sync::Arc;

use arrow_schema::DataType;

use crate::catalog::StreamDef;
use crate::functions::Function;
use crate::functions::user::UserDefined;
use crate::scalar::Scalar;

/// Place of a node in [`Query::nodes`].
pub type NodeId = usize;

/// Bytes `start..end` of the query's text.
pub type Span = std::ops::Range<usize>;

/// A checked query. Arguments always stand before the nodes that use them.
#[derive(Debug, Clone)]
pub struct Query {
    /// The text it was compiled from; of what was built in Rust, the text that means it.
    pub text: String,
    /// The distinct expressions.
    pub nodes: Vec<Node>,
    /// The expression whose points are the answer.
    pub root: NodeId,
}

/// An expression.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it does.
    pub op: Op,
    /// What it does it to.
    pub args: Vec<NodeId>,
    /// Type of its values.
    pub data_type: DataType,
    /// Type of its keys and the name of its grouping; none for constants.
    pub grouping: Option<Grouping>,
    /// Whether a value holds between points (SEMANTICS 1.3).
    pub continuity: Continuity,
    /// Where it stands in the text.
    pub span: Span,
}

impl Node {
    /// Type of its points' keys; null for constants.
    #[must_use]
    pub fn key_type(&self) -> DataType {
        self.grouping.as_ref().map_or(DataType::Null, |grouping| grouping.key_type.clone())
    }
}

/// What the keys of a stream are.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouping {
    /// The name that two streams must share to be joined (SEMANTICS 1.4).
    pub name: Arc<str>,
    /// Type of the keys.
    pub key_type: DataType,
}

/// Whether a value holds between its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuity {
    /// The same value everywhere: literals and what is made of them alone.
    Constant,
    /// A value at its points only.
    Discrete,
    /// A value that holds until it changes.
    Continuous,
}

/// What an expression does.
#[derive(Debug, Clone)]
pub enum Op {
    /// The points of a source; the value is the struct of all its columns. No arguments.
    Stream(Arc<StreamDef>),
    /// A constant. No arguments. Its type is the node's.
    Literal(Scalar),
    /// A field of a struct. One argument.
    Field(String),
    /// A scalar function of its arguments, point by point, over the union of their points. Arguments already have the
    /// types that the function takes.
    Call(&'static Function),
    /// The same by a function of the program that asks.
    User(Arc<UserDefined>),
    /// The argument in another type (the node's); what does not fit is null and counted.
    Cast,
    /// A struct of the arguments, with these field names.
    Record(Vec<String>),
    /// The time of each point of the argument, as a timestamp. One argument.
    Time,
    /// Arguments: value, predicate. The points of their union at which the predicate is true.
    Filter,
    /// Arguments: value, key. The value's points (joined with the key's) under the key; the node's grouping
    /// says which.
    WithKey,
    /// An aggregation, per key. Arguments: value, then what the window asks for ([`Window`]).
    Aggregate(Aggregation),
    /// The ticks of its argument's points (SEMANTICS 5.6): a key has one at each boundary of the calendar
    /// while any of its last `intervals` intervals holds a point, and one more. Its value is null.
    Ticks {
        /// Whose boundaries.
        calendar: Calendar,
        /// Number of intervals that a window has, at least 1.
        intervals: u32,
    },
    /// Arguments: value, duration. The points of their union moved by it (SEMANTICS 6.1).
    ShiftBy,
    /// Arguments: value, timestamp. The points of their union moved to it.
    ShiftTo,
    /// Arguments: value, predicate. The points of their union moved to the key's next at which the predicate is true.
    ShiftUntil,
    /// Arguments: value, key. The value as of each point of the key's expression, of the key that it gives
    /// (SEMANTICS 6.2); the points and the grouping are those of the key's expression. A plan has [`Op::Ask`]
    /// and [`Op::Reply`] in its place.
    Lookup,
    /// In plans: something of each point of the argument beside its value.
    Own(Own),
    /// In plans: a part of where each point of the argument stands apart from what it pairs with.
    Apart(Part),
    /// In plans: arguments: value, key. The points of the key's expression as questions to another grouping.
    Ask {
        /// Whether they stand after all other points of their time: what they look up is of other sources.
        after: bool,
    },
    /// In plans: arguments: value, [`Op::Ask`]. The value at each question, back where it was asked.
    Reply,
}

/// What a point is beside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Own {
    /// Its key.
    Key,
    /// Its lane.
    Lane,
    /// The time of where it stood before it was moved.
    OriginTime,
    /// The lane of where it stood before it was moved.
    OriginLane,
    /// Its ordinal.
    Ordinal,
    /// The key that a tick under another key was made for.
    MadeFor,
    /// Its turn among the points of its place and key.
    Turn,
}

/// A part of where a point stands among those of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Its lane.
    Lane,
    /// Its ordinal.
    Ordinal,
}

impl Part {
    /// Type of its values.
    #[must_use]
    pub const fn data_type(self) -> DataType {
        match self {
            Self::Lane => DataType::UInt16,
            Self::Ordinal => DataType::UInt64,
        }
    }
}

/// An aggregation and over which of a key's points it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregation {
    /// The function.
    pub function: &'static Function,
    /// Its constants, in the order of its parameters: `n` of `lag`; `max` and `min` of `collect`.
    pub constants: Vec<Scalar>,
    /// Over which points.
    pub window: Window,
}

impl Aggregation {
    /// One without constants, over all points so far.
    #[must_use]
    pub const fn cumulative(function: &'static Function) -> Self {
        Self { function, constants: Vec::new(), window: Window::All }
    }
}

/// Over which of a key's points an aggregation goes (SEMANTICS 5). Windows exclude their start and include their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// All so far. No further argument.
    All,
    /// Those since the last end; a value at each point and end. Argument: the ends.
    Since(Ends),
    /// Those between two ends; a value at each end. Argument: the ends.
    Tumbling(Ends),
    /// Those of so many last intervals between ends, at least 1; a value at each end. Argument: the ends.
    Sliding(u32, Ends),
    /// Those of the last so many nanoseconds, at least 1. Argument: the value's points moved by as much.
    Trailing(i64),
}

/// What ends windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ends {
    /// The points at which the argument is true.
    Predicate,
    /// The points of the argument, which is [`Op::Ticks`].
    Ticks,
}

/// Where intervals begin and end, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Calendar {
    /// At each full minute.
    Minutely,
    /// At each full hour.
    Hourly,
    /// At each midnight.
    Daily,
    /// At midnight before the first of each month.
    Monthly,
    /// At midnight before the first of each year.
    Yearly,
}
