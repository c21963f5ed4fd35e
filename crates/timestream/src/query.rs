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

/// What an expression does. Further operators (windows, shifts, lookup) are further variants.
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
    /// Arguments: value, key. The value's points (joined with the key's) under the key; the node's grouping says which.
    WithKey,
    /// An aggregation of its argument over all points so far, per key.
    Aggregate(&'static Function),
}
