//! Runs a [`Plan`](skytide_timestream::plan::Plan) on timely dataflow: epochs in, answers out in order, on
//! one thread or several.
//!
//! A [`Job`] takes the points of an [`Epoch`] and gives the rows of the answer as Arrow batches. The caller's
//! thread is the first worker, so one worker costs no thread and no hand-over; further workers are threads
//! that hold a share of the keys.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use skytide_runtime::{Epoch, Job, JobError, Options};
//! # use skytide_timestream::plan::Plan;
//! # fn run(plan: Arc<Plan>, epochs: Vec<Epoch>) -> Result<(), JobError> {
//! let mut job = Job::start(plan, Options::default(), None)?;
//! for epoch in epochs {
//!     job.push(epoch)?;
//!     for batch in job.ready()? {
//!         assert!(batch.num_rows() > 0);
//!     }
//! }
//! let (rest, report) = job.finish()?;
//! # Ok(())
//! # }
//! ```
//!
//! **Why it has this shape.** Order is made once, at the sources, so an epoch is a batch whose points all
//! come after those of the epochs before it. Regions of the plan are timely operators; what one hands to
//! another crosses an edge as a parcel. Each sender puts exactly one parcel an epoch on an edge to each
//! receiver, an empty one if it has no rows: a receiver knows an epoch to be complete when the last parcel is
//! there, and need not wait for timely's frontier, which would cost a round between the workers at every
//! exchange. For the same reason an epoch is answered when the sink has its parcels, and a settled job has no
//! work left anywhere, which makes a checkpoint a plain reading of every operator's state.
//!
//! This is the only crate that names timely.

mod assembly;
mod bytes;
mod checkpoint;
mod dataflow;
mod deadline;
mod edge;
mod error;
mod job;
mod layout;
mod parcel;
mod report;
mod station;
mod wire;
mod workers;

#[cfg(test)]
extern crate self as skytide_runtime;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod testing;

pub use bytes::{BytesError, Reader, Writer};
pub use checkpoint::{Checkpoint, CheckpointError, plan_hash};
pub use deadline::Deadline;
pub use error::JobError;
pub use job::{Epoch, Job, Options};
pub use report::{PartReport, RegionReport, Report, WorkerReport};
pub use workers::panic_message;
