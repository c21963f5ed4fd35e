//! What the language is judged by: a reference evaluator that computes answers slowly and obviously, a text
//! format for tests of the language, and the ways in which the engine is made to give the same answers.
//!
//! Nothing here is published or used by the product. See `tests/language` at the root of the workspace for the tests.

pub mod answer;
pub mod arrays;
pub mod events;
pub mod format;
pub mod reference;
pub mod suite;
pub mod text;
pub mod value;
pub mod ways;
