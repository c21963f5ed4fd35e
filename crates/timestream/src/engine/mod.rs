//! The operators: pure state machines, `state x batch -> batch`, with snapshot and restore.

use arrow_schema::DataType;

/// Makes the state of an aggregation for inputs of a type.
pub type MakeAggregate = fn(&DataType) -> Box<dyn Aggregate>;

/// An aggregation's state over all keys of an operator; owned by the engine's author.
pub trait Aggregate: Send {}
