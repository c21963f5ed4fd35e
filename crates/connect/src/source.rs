//! What a query reads: epochs of points, in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use skytide_firehose::ConnectionError;
use skytide_runtime::Epoch;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::{Plan, Scan};
use skytide_timestream::times::timestamp_text;
use twox_hash::XxHash3_64;

use crate::files::FileError;
use crate::late::SideError;
use crate::recovery::{SaveError, StateError};
use crate::tables::PipeError;
use crate::{firehose, frames};

/// Rows of an epoch at most, and about how many bytes they may have, but for those of one time: whatever came
/// at once. What operators make of an epoch is bounded by them, and so is how long a stop or a save waits for
/// the next.
pub(crate) const EPOCH_ROWS: usize = 16_384;
pub(crate) const EPOCH_BYTES: usize = 64 << 20;

/// A source of epochs for one plan's scans.
pub trait Source {
    /// The next epoch. All its points come after those of the epochs before it.
    ///
    /// Waits at most `wait` for something to read; a zero `wait` only looks. A connection that is busy may
    /// take some milliseconds more, also to look: it gathers frames for the same epoch.
    ///
    /// # Errors
    /// What ended the source. What was read before it has been given out.
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError>;

    /// What it has done so far.
    fn status(&self) -> Status;

    /// The run is to end: from now on it gives what a program has handed over by now, as far as it is
    /// complete, and then its end, without waiting for anything. Gives false, as does a source that does not
    /// say how, where there is no such thing to be given: it is not read on.
    fn close(&mut self) -> bool {
        false
    }

    /// A run of this plan in this mode begins to read it. It was opened for one: for what that plan reads, in
    /// that mode, and for no other run after it, which would find what is left. A source for which that makes
    /// no difference does not say.
    ///
    /// # Errors
    /// It was opened for something else, or another run has begun to read it.
    fn begin(&mut self, plan: &Plan, mode: Mode) -> Result<(), SourceError> {
        let _ = (plan, mode);
        Ok(())
    }

    /// What it takes to give the points after those that were given out, in another process (see
    /// [`recovery`](crate::recovery)). What was read and has not been given out yet is not behind it: it is
    /// in what is saved, or is read again.
    ///
    /// # Errors
    /// It never can, as is said of a source that does not say how; or not at this moment.
    fn save(&self) -> Result<Saved, SaveError> {
        Err(SaveError::never("this source", "it does not say where it stands"))
    }
}

/// What a source saves of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saved {
    /// Where it stands after the points that it gave last, and what it holds.
    State(SourceState),
    /// It gives the same points whenever it is read: how many have been given of each scan tells the rest.
    Again {
        /// What is read, as far as it can be told from something else.
        of: String,
        /// Points given.
        given: u64,
    },
}

/// Where a source stands and what it holds, as bytes. Whoever can open the source can open it
/// [there](crate::sources::Sources::reopen).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState(pub(crate) Vec<u8>);

impl SourceState {
    /// What tells it from others.
    pub(crate) fn sum(&self) -> u64 {
        XxHash3_64::oneshot(&self.0)
    }
}

impl<S: Source + ?Sized> Source for &mut S {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        (**self).next(wait)
    }

    fn status(&self) -> Status {
        (**self).status()
    }

    fn close(&mut self) -> bool {
        (**self).close()
    }

    fn begin(&mut self, plan: &Plan, mode: Mode) -> Result<(), SourceError> {
        (**self).begin(plan, mode)
    }

    fn save(&self) -> Result<Saved, SaveError> {
        (**self).save()
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        (**self).next(wait)
    }

    fn status(&self) -> Status {
        (**self).status()
    }

    fn close(&mut self) -> bool {
        (**self).close()
    }

    fn begin(&mut self, plan: &Plan, mode: Mode) -> Result<(), SourceError> {
        (**self).begin(plan, mode)
    }

    fn save(&self) -> Result<Saved, SaveError> {
        (**self).save()
    }
}

/// What [`Source::next`] found.
#[derive(Debug)]
pub enum Next {
    /// Points, or a watermark that moved.
    Epoch(Epoch),
    /// Nothing to read for now.
    Idle,
    /// Everything has been read.
    End,
}

/// What a source has done so far: no event vanishes, what is not handed on is counted with a reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Messages (of a table: rows) read.
    pub read: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Points handed on.
    pub points: u64,
    /// What was not handed on, or not as it came, by reason: `late`, `undecodable`, `filtered`, …
    pub dropped: BTreeMap<&'static str, u64>,
    /// Of rows that were dropped as `without a time` the first value that is none, as text, of a long one its
    /// begin.
    pub unread: Option<String>,
    /// Bytes kept in files while rows were sorted that did not fit into memory.
    pub spilled: u64,
    /// The newest event time, in UTC nanoseconds.
    pub newest: Option<i64>,
    /// The cursor to go on from after a restart.
    pub cursor: Option<u64>,
    /// What is known of the whole: messages or bytes read of how many.
    pub progress: Option<Progress>,
    /// Why there has been no connection yet, once one was tried.
    pub unreached: Option<Unreached>,
}

/// What an attempt to connect failed with. Two are equal that say the same.
#[derive(Debug, Clone)]
pub struct Unreached(pub Arc<ConnectionError>);

impl PartialEq for Unreached {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_string() == other.0.to_string()
    }
}

impl Eq for Unreached {}

impl Status {
    /// Whether there was anything to read from: a connection that was never made gives no answer.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.read > 0 || !self.dropped.contains_key(frames::UNREACHED)
    }

    /// Adds what was done before, by the same source in an earlier run.
    pub(crate) fn add_earlier(&mut self, earlier: &Self) {
        self.read += earlier.read;
        self.bytes += earlier.bytes;
        self.points += earlier.points;
        // Whether it is reached is told of what reads now.
        for (reason, count) in earlier.dropped.iter().filter(|(reason, _)| **reason != frames::UNREACHED) {
            let all = self.dropped.entry(reason).or_default();
            // Recordings that are read again are counted again; those that are not have been counted.
            *all = if [frames::CUT_OFF, frames::TWICE].contains(reason) {
                (*all).max(*count)
            } else {
                *all + count
            };
        }
    }
}

/// How much of bounded work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes done.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// What a source was opened for: what a plan reads, and one run.
#[derive(Debug)]
pub(crate) struct Opened {
    scans: Vec<Scan>,
    is_taken: bool,
}

impl Opened {
    /// For the scans of a plan; no run has begun to read it.
    pub(crate) fn of(scans: &[Scan]) -> Self {
        Self { scans: scans.to_vec(), is_taken: false }
    }

    /// How many scans it gives points of.
    pub(crate) fn scans(&self) -> usize {
        self.scans.len()
    }

    /// A run of this plan begins to read it.
    pub(crate) fn begin(&mut self, plan: &Plan) -> Result<(), SourceError> {
        if self.is_taken {
            return Err(SourceError::Taken);
        }
        if self.scans != plan.scans {
            return Err(SourceError::OtherPlan);
        }
        self.is_taken = true;
        Ok(())
    }
}

/// Why a source ended before its end, or cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It was opened for a run in the other mode.
    #[error(
        "the source was not opened for a run in {mode:?} mode: `RunOptions` and whatever opens it are to be given one mode"
    )]
    OtherMode {
        /// That of the run.
        mode: Mode,
    },
    /// It was opened for a plan that reads something else.
    #[error(
        "the source was opened for what another plan reads: a run and whatever opens its source are to be given one plan"
    )]
    OtherPlan,
    /// Another run has begun to read it: the answer would be that of the rest.
    #[error("another run has begun to read the source: each is to be given one that was opened for it")]
    Taken,
    /// The subscription ended for a reason that a reconnect does not mend.
    #[error(transparent)]
    Subscription(#[from] skytide_firehose::Error),
    /// The recording cannot be read.
    #[error(transparent)]
    Recording(#[from] skytide_firehose::recording::RecordingError),
    /// A recording ends before the frame it was to begin at.
    #[error("{location}: no frame is numbered {seq} or above")]
    NoFrame {
        /// The recording.
        location: String,
        /// The number.
        seq: u64,
    },
    /// A repository cannot be read.
    #[error(transparent)]
    Repo(#[from] crate::repo::RepoError),
    /// The program that holds the frames could not give them.
    #[error("{0}")]
    Supply(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A pipe cannot be read, or a row that came through it is none.
    #[error(transparent)]
    Pipe(Arc<PipeError>),
    /// A file cannot be read, or holds what its format does not allow.
    #[error(transparent)]
    File(#[from] FileError),
    /// A point is late, and its source is one that stops then ([`Late::Error`](crate::late::Late)).
    #[error(
        "{stream} has a late point: it is of {}, and came when all before {} was taken to be here; a longer lateness waits \
         for such points, the policies `drop` and `side` go on without them",
        timestamp_text(*.time),
        timestamp_text(*.watermark)
    )]
    Late {
        /// The stream, and where it comes from.
        stream: String,
        /// The point's time, in UTC nanoseconds.
        time: i64,
        /// Up to which time all points were taken to be here when it came.
        watermark: i64,
    },
    /// The side could not take late points.
    #[error("late points cannot be kept: {0}")]
    Side(#[source] SideError),
    /// It cannot go on from where an earlier run left it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The connection that several queries share has failed.
    #[error(transparent)]
    Shared(Arc<SourceError>),
    /// The plan asks for what this source does not have.
    #[error("{0}")]
    Unfit(String),
    /// Batches that do not belong together: a defect of the source.
    #[error("points could not be put in order: {0}")]
    Engine(#[from] skytide_timestream::engine::EngineError),
    /// Columns could not be put in order or joined.
    #[error("points could not be put in order: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
}

/// What a count of [`Status::dropped`] is of, by its name in saved bytes; none for one that is not known.
pub(crate) fn reason(name: &[u8]) -> Option<&'static str> {
    let known = firehose::REASONS.iter().chain(&frames::MET).chain([&frames::CUT_OFF, &frames::TWICE]);
    known.copied().find(|reason| reason.as_bytes() == name)
}
