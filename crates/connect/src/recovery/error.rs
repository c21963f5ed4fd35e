//! Why a run cannot be saved, or cannot go on from what was saved.

use std::io;
use std::path::PathBuf;

use arrow_schema::ArrowError;
use skytide_runtime::BytesError;

use crate::sink::SinkError;

/// Why a source cannot be saved.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// It never can.
    #[error("{source_name} cannot be gone on with in another run: {reason}")]
    Never {
        /// The source.
        source_name: String,
        /// What is in the way.
        reason: &'static str,
    },
    /// Not at this moment: it has failed, and tells that next.
    #[error("the source has failed")]
    NotNow,
    /// Rows that it holds have no form as bytes.
    #[error("rows that are held cannot be saved: {0}")]
    Rows(String),
    /// What it writes beside the answer could not be brought to the disk.
    #[error("late points: {0}")]
    Side(String),
}

impl SaveError {
    /// A source that never can be saved, by its name, and what is in the way.
    pub fn never(source_name: impl Into<String>, reason: &'static str) -> Self {
        Self::Never { source_name: source_name.into(), reason }
    }
}

impl From<ArrowError> for SaveError {
    fn from(error: ArrowError) -> Self {
        Self::Rows(error.to_string())
    }
}

impl From<SinkError> for SaveError {
    fn from(error: SinkError) -> Self {
        Self::Side(error.to_string())
    }
}

/// Why a source cannot go on from a state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It is of another source, or of the same one read in another way.
    #[error("what was saved reads {found}; this run reads {expected}")]
    Other {
        /// The source that was saved.
        found: String,
        /// This one.
        expected: String,
    },
    /// It is of sources of another kind, number or shape.
    #[error("what was saved is of other sources than this run reads")]
    Kind,
    /// A recording, or what else is read again up to the place, ends before it.
    #[error("what was read ends {missing} frames before the place that was saved: it is not what it was")]
    Shrunk {
        /// Frames that are not there.
        missing: u64,
    },
    /// A recording, or what else is read again up to the place, has other frames before it.
    #[error(
        "{location}: the frames before the place that was saved are others than were read: it is another recording, or was written anew"
    )]
    Changed {
        /// What is read again.
        location: String,
    },
    /// The bytes are damaged.
    #[error("what was saved of the source is damaged: {0}")]
    Damaged(#[from] BytesError),
}

/// Why a run cannot be saved, or cannot go on from what was saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// A file of the folder cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The name leads out of the folder, or is none.
    #[error("{name:?} is no name for a saved run: it is to be that of a file in the folder")]
    Name {
        /// The name.
        name: String,
    },
    /// Another run has the folder open.
    #[error("{}: another run is being saved there", .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a saved run", .path.display())]
    NotSaved {
        /// The file.
        path: PathBuf,
    },
    /// A version that this one does not read.
    #[error("{} has version {found}, this program reads version {known}", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u64,
        /// The one that is read.
        known: u64,
    },
    /// It is cut off or changed.
    #[error("{} is damaged: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// It is the run of another query.
    #[error("{} is of the query `{found}`; this one is `{expected}`", .path.display())]
    OtherQuery {
        /// The file.
        path: PathBuf,
        /// The query that was saved.
        found: String,
        /// This one.
        expected: String,
    },
    /// It is the run of this query, but over other columns, with other results, or in the other mode.
    #[error("{} is of this query run in another way: {reason}", .path.display())]
    OtherWay {
        /// The file.
        path: PathBuf,
        /// What is different.
        reason: String,
    },
    /// It was opened for another query, other results or the other mode than are run: its name would stand for those.
    #[error("{}: it was not opened for this plan in this mode", .path.display())]
    OtherPlan {
        /// The file.
        path: PathBuf,
    },
    /// The rows before are in a file, and this run does not write there.
    #[error("the rows before are in {}, and this run writes elsewhere", .file.display())]
    OtherOutput {
        /// The file.
        file: PathBuf,
    },
    /// The rows before are in no file, and this run writes to one: it would begin in their midst.
    #[error("the rows before went to no file, and this run writes to {}", .file.display())]
    NoOutput {
        /// The file.
        file: PathBuf,
    },
    /// The source was not opened where the run that was saved left it: its points would be counted twice, or
    /// be missing.
    #[error("{}: the sources were not opened where this run was left: open them by `Sources::reopen`, with `Recovery::source`", .path.display())]
    OtherPlace {
        /// The file.
        path: PathBuf,
    },
    /// The source cannot be saved.
    #[error(transparent)]
    Save(#[from] SaveError),
}
