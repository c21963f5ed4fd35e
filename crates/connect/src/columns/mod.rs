//! What sources of rows have in common: columns in the engine's types, times from whatever holds them, and
//! the ways to values.

mod chunk;
mod fit;
mod lengths;
mod names;
mod path;
mod roles;
mod sieve;
pub(crate) mod times;
mod widen;

pub(crate) use chunk::{Chunk, is_rising};
pub(crate) use fit::{Fitted, fitted, ordinals, plain, present, read};
pub(crate) use lengths::lengths;
pub(crate) use names::{Names, Within};
pub use roles::ColumnError;
pub(crate) use roles::Roles;
pub(crate) use sieve::Sieve;
pub(crate) use widen::{MAX_DEPTH, both, filled, known};
