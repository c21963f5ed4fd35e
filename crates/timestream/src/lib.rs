//! The language of time-aware queries and its meaning: types, functions, parser, plan, and operators as pure
//! state machines.
//!
//! A query is text (or the same chain built in Rust); [`query::Query`] is that text checked against what can
//! be named; [`plan::Plan`] is how it is computed; [`engine`] computes it, one batch at a time. This crate
//! does no I/O, reads no clock, starts no thread: the same points give the same rows wherever they come from.

pub mod builder;
pub mod catalog;
pub mod chain;
mod check;
pub mod completion;
pub mod engine;
pub mod error;
pub mod explain;
pub mod functions;
pub mod held;
pub mod plan;
mod planner;
pub mod query;
pub mod rows;
pub mod scalar;
pub mod syntax;
pub mod times;
pub mod types;

pub use check::{check, compile};
pub use error::QueryError;
pub use planner::plan;
