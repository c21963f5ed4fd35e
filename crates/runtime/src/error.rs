//! Why a job cannot start or go on.

use skytide_timestream::engine::{EngineError, SnapshotError};
use skytide_timestream::functions::user::CallError;

use crate::checkpoint::CheckpointError;

/// Why a job cannot start or go on. After one of the errors marked fatal every further call says
/// [`JobError::Ended`], or again [`JobError::Stopped`].
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// There are between 1 and 256 workers: as many as there are shards of keys at most.
    #[error("a job has between 1 and 256 workers, not {0}")]
    Workers(usize),
    /// The plan cannot be run: a defect of ours.
    #[error("region {region} of the plan: {reason}")]
    Plan {
        /// Place of the region in the plan.
        region: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system gave no thread.
    #[error("worker {worker} has no thread: {source}")]
    Thread {
        /// The worker, from 0.
        worker: usize,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The workers could not be connected. Fatal.
    #[error("the workers could not be connected: {0}")]
    Setup(String),
    /// An epoch must have a place for each scan of the plan. Nothing of it was taken.
    #[error("the plan has {expected} scans, the epoch {found}")]
    Scans {
        /// Number of scans of the plan.
        expected: usize,
        /// Number of places in the epoch.
        found: usize,
    },
    /// The rows of a scan do not have the shape that the plan asks for. Nothing of the epoch was taken.
    #[error("the rows of scan {scan} do not fit the plan: {reason}")]
    Shape {
        /// Place of the scan in the plan.
        scan: usize,
        /// What is wrong.
        reason: String,
    },
    /// A point of the epoch stands before one of an earlier epoch. Nothing of it was taken.
    #[error(
        "scan {scan} has a point at {found} after one at {newest} (UTC nanoseconds): points must be put in order at the source"
    )]
    Order {
        /// Place of the scan in the plan.
        scan: usize,
        /// Time of the point.
        found: i64,
        /// Time of the last point of earlier epochs.
        newest: i64,
    },
    /// An operator failed: a defect of ours, not of the data. Fatal.
    #[error("region {region} at worker {worker}: {source}")]
    Engine {
        /// Place of the region in the plan.
        region: usize,
        /// The worker, from 0.
        worker: usize,
        /// What the operator said.
        #[source]
        source: EngineError,
    },
    /// A function of the program that asks failed. Fatal.
    #[error(transparent)]
    Function(#[from] CallError),
    /// Events of several sources could not be paired: a defect of a source. Fatal.
    #[error("pairs of events: {0}")]
    Pairs(#[source] EngineError),
    /// The answer's rows could not be made: a defect of ours. Fatal.
    #[error("the answer: {0}")]
    Answer(#[source] EngineError),
    /// Rows got lost or mixed up between workers. Fatal.
    #[error("rows between workers, at worker {worker}: {reason}")]
    Exchange {
        /// The worker that saw it, from 0.
        worker: usize,
        /// What it saw.
        reason: String,
    },
    /// A worker panicked: a defect of ours. Fatal.
    #[error("worker {worker} panicked: {message}")]
    Panicked {
        /// The worker, from 0.
        worker: usize,
        /// What it said.
        message: String,
    },
    /// An end was asked for, and the job had not settled within the time for it (see
    /// [`Job::heed`](crate::Job::heed)): its last epochs are left where they are. Fatal, but for
    /// [`Job::finish`](crate::Job::finish), which gives what was complete.
    #[error("the job was stopped before all that it was given was answered")]
    Stopped,
    /// The checkpoint is not one of this job.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The state in the checkpoint cannot be read.
    #[error("the state of {operator} in the checkpoint: {source}")]
    Snapshot {
        /// Whose state.
        operator: String,
        /// What is wrong.
        #[source]
        source: SnapshotError,
    },
    /// The job has ended by an error that an earlier call told.
    #[error("the job has ended by an earlier error")]
    Ended,
}
