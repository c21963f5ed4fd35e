//! The operators: pure state machines, `state x batch -> batch`, with snapshot and restore.
//!
//! A [`RegionOperator`] computes a [region](crate::plan::Region) of a plan: all expressions between two
//! re-keyings run fused over one batch, on Arrow kernels. A [`ResultOperator`] cuts the answer to what is
//! shown. State is typed vectors by dense key number, and leaves and enters by 256 virtual shards of the
//! keys' hashes, so that any number of workers can share it. Whatever runs them hands each operator its rows
//! in order ([`merge`]) and all rows of a key.

mod aggregate;
pub(crate) mod aggregates;
mod arena;
pub(crate) mod array;
mod backlog;
mod boundary;
mod canonical;
mod choose;
mod clock;
mod collect;
mod compute;
mod count;
mod error;
mod halt;
mod hash;
mod join;
mod kept;
mod keys;
mod mask;
mod mean;
mod merge;
mod moves;
mod pair;
mod panes;
mod parts;
mod passing;
mod queues;
mod recent;
mod region;
mod rekey;
mod results;
mod runs;
mod saved;
mod slots;
mod snapshot;
mod spread;
mod state;
mod sum;
mod ticks;
mod user;
mod whole;
mod windows;

pub use aggregate::{Aggregate, Batch, MakeAggregate};
pub use backlog::Backlog;
pub use canonical::canonical;
pub use clock::{Clock, End};
pub use error::{EngineError, SnapshotError};
pub use halt::{Halt, Watch};
pub(crate) use hash::identity;
pub use hash::{SHARDS, hash, shard};
pub use merge::merge;
pub use pair::pair;
pub use parts::cut;
pub use region::{Emitted, RegionOperator};
pub use results::{Mode, ResultOperator, answer_batch, answer_schema};
pub use whole::Whole;

#[cfg(test)]
mod tests;
