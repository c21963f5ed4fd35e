//! The log of one life of the client: a line for all that happens beside events, whole before anything
//! follows from it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use skytide_firehose::{Cause, ConnectionError, Event, Ledger, Timeout};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Line {
    /// A connection was made.
    Connected { cursor: Option<u64> },
    /// An attempt to connect failed.
    Failed { how: How, text: String },
    /// A connection ended.
    Lost { how: How, text: String },
    /// The ledger says that something may have been missed.
    Gap { gap: Gap, text: String },
    /// An event was handed on that does not follow the one before.
    Jumped { expected: u64, got: u64 },
    /// The client ended as it was told to.
    Ended { repeated: u64 },
}

/// How a connection, or an attempt, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum How {
    /// With a close code.
    Closed,
    /// Without a word.
    Broken,
    /// With the error `ConsumerTooSlow`.
    TooSlow,
    /// Because the server was silent.
    Silent,
    /// Because no connection came about in time.
    NoAnswer,
    /// With an HTTP status.
    Status,
    /// In any other way.
    Other,
}

impl How {
    fn of(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::Closed { code: Some(_), .. } => Self::Closed,
            ConnectionError::Closed { code: None, .. }
            | ConnectionError::Broken(_)
            | ConnectionError::Dial { .. }
            | ConnectionError::Protocol { .. } => Self::Broken,
            ConnectionError::TooSlow { .. } => Self::TooSlow,
            ConnectionError::Timeout(Timeout::Dial { .. }) => Self::NoAnswer,
            ConnectionError::Timeout(_) => Self::Silent,
            ConnectionError::Status { .. } => Self::Status,
            _ => Self::Other,
        }
    }
}

/// What the ledger says, as far as it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Gap {
    Reconnected { asked: Option<u64>, first: Option<u64> },
    OutdatedCursor,
    Quarantined,
    Oversized,
    Other,
}

impl Gap {
    fn of(cause: &Cause) -> Self {
        match cause {
            Cause::Reconnected { asked, first, .. } => Self::Reconnected { asked: *asked, first: *first },
            Cause::OutdatedCursor { .. } => Self::OutdatedCursor,
            Cause::Quarantined { .. } => Self::Quarantined,
            Cause::Oversized { .. } => Self::Oversized,
            _ => Self::Other,
        }
    }
}

/// A log that is being written.
pub(crate) struct Log {
    written: Mutex<Written>,
    ledger: OnceLock<Ledger>,
}

struct Written {
    file: File,
    /// Ledger entries so far.
    gaps: u64,
    is_open: bool,
    /// The first line that could not be written.
    error: Option<String>,
}

impl Log {
    pub(crate) fn create(folder: &Path, life: u64) -> Result<Self, String> {
        let path = path(folder, life);
        let file = File::create_new(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let written = Mutex::new(Written { file, gaps: 0, is_open: false, error: None });
        Ok(Self { written, ledger: OnceLock::new() })
    }

    /// The ledger whose entries are written from now on.
    pub(crate) fn follow(&self, ledger: Ledger) {
        // Set once, by the one that makes both.
        let _set = self.ledger.set(ledger);
    }

    /// Writes what has been entered in the ledger, then what happened.
    pub(crate) fn event(&self, event: &Event<'_>) {
        let mut written = self.written();
        written.gaps(self.ledger.get());
        match event {
            Event::Connected { cursor } => {
                written.is_open = true;
                written.line(&Line::Connected { cursor: *cursor });
            }
            Event::Disconnected { error, .. } => {
                let (how, text) = (How::of(error), error.to_string());
                let was_open = std::mem::take(&mut written.is_open);
                written.line(&if was_open { Line::Lost { how, text } } else { Line::Failed { how, text } });
            }
            _ => {}
        }
    }

    /// Writes what has been entered in the ledger. Errors are those of all lines before.
    pub(crate) fn gaps(&self) -> Result<(), String> {
        let mut written = self.written();
        written.gaps(self.ledger.get());
        written.error.take().map_or(Ok(()), Err)
    }

    pub(crate) fn line(&self, line: &Line) {
        self.written().line(line);
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    fn gaps(&mut self, ledger: Option<&Ledger>) {
        let Some(ledger) = ledger.filter(|ledger| ledger.len() > self.gaps) else { return };
        for gap in ledger.since(self.gaps) {
            self.gaps = gap.number + 1;
            self.line(&Line::Gap { gap: Gap::of(&gap.cause), text: gap.cause.to_string() });
        }
    }

    fn line(&mut self, line: &Line) {
        let written = serde_json::to_string(line)
            .map_err(std::io::Error::from)
            .and_then(|text| self.file.write_all((text + "\n").as_bytes()));
        if let Err(error) = written {
            self.error.get_or_insert_with(|| format!("the log: {error}"));
        }
    }
}

fn path(folder: &Path, life: u64) -> PathBuf {
    folder.join(format!("log.{life}"))
}

/// The lines of a life, without one that a kill cut off.
pub(crate) fn read(folder: &Path, life: u64) -> Result<Vec<Line>, String> {
    let path = path(folder, life);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // Killed before it had begun.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole
        .map(|line| {
            serde_json::from_str(line).map_err(|error| format!("{}: {error}: {line}", path.display()))
        })
        .collect()
}
