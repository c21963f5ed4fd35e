//! What can go wrong in an operator. Nothing a user's data holds is an error: what does not fit is null and
//! counted, so these report defects (a plan and its batches disagree), limits, and what functions of the
//! program that asks say.

use arrow_schema::ArrowError;

use crate::functions::EvalError;
use crate::functions::user::CallError;

/// An operator cannot go on: its plan and its input disagree, or a limit is met. The query ends with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A scalar function was given types that checking should have refused.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A function of the program that asks failed: no defect of ours.
    #[error(transparent)]
    User(#[from] CallError),
    /// An Arrow kernel refused its input.
    #[error("{what}: {source}")]
    Kernel {
        /// The step.
        what: &'static str,
        /// What the kernel said.
        #[source]
        source: ArrowError,
    },
    /// A plan and what it is given do not fit.
    #[error("{what}: expected {expected}, found {found}")]
    Mismatch {
        /// The place.
        what: &'static str,
        /// What the plan says.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A field of an answer is called as one of its own columns.
    #[error(
        "a field of the answer is called `{0}`, as a column is that every answer has; `remove(\"{0}\")` leaves it out, `{{name: value}}` gives another name"
    )]
    Taken(String),
    /// An operator holds at most `u32::MAX` keys.
    #[error("more than {} keys in one operator; more workers divide them", u32::MAX)]
    TooManyKeys,
    /// An end was asked for, and the time for it is over ([`Halt`](super::Halt)): no defect of ours. The
    /// state is undefined.
    #[error("left at work, as an end was asked for")]
    Halted,
}

impl EngineError {
    /// For `map_err`: a kernel's error with its step.
    pub(crate) fn kernel(what: &'static str) -> impl Fn(ArrowError) -> Self {
        move |source| Self::Kernel { what, source }
    }

    #[allow(clippy::needless_pass_by_value, reason = "callers pass numbers and texts alike")]
    pub(crate) fn mismatch(what: &'static str, expected: impl ToString, found: impl ToString) -> Self {
        Self::Mismatch { what, expected: expected.to_string(), found: found.to_string() }
    }
}

/// A snapshot cannot be restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It was written in a format that this version does not read.
    #[error("snapshot format {found} is not known here (known: {known})")]
    Version {
        /// The format's number.
        found: u8,
        /// The number that is read here.
        known: u8,
    },
    /// It is cut off, or its checksum is not that of its bytes.
    #[error("snapshot is damaged")]
    Damaged,
    /// It holds the state of another operator.
    #[error("snapshot is of another operator: expected {expected}, found {found}")]
    Foreign {
        /// What this operator holds.
        expected: String,
        /// What the snapshot holds.
        found: String,
    },
    /// The Arrow data in it cannot be read.
    #[error("snapshot: {0}")]
    Arrow(#[from] ArrowError),
    /// The state cannot be taken up.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
