//! How the program ends: each kind of failure mapped once to a message, a hint and an exit code.

use std::process::ExitCode;

use skytide_connect::files::FileError;
use skytide_connect::recovery::{RecoveryError, SaveError, StateError};
use skytide_connect::run::RunError;
use skytide_connect::source::{SourceError, Status, Unreached};
use skytide_firehose::{ConnectionError, Error, RecordingError, Timeout};

use super::visible::visible_lines;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// The query or the data.
pub(crate) const DATA: u8 = 1;
/// The command line.
pub(crate) const USAGE: u8 = 2;
/// The source cannot be reached or read.
pub(crate) const SOURCE: u8 = 3;
/// Interrupted; what was done is out.
pub(crate) const INTERRUPTED: u8 = 130;

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says it on stderr.
    pub(crate) fn report(&self) -> ExitCode {
        super::status::say(&format!("skytide: {}\n", visible_lines(self.message.trim_end())));
        if let Some(hint) = &self.hint {
            super::status::say(&format!("  hint: {}\n", visible_lines(hint)));
        }
        ExitCode::from(self.code)
    }
}

/// What may be wrong where nobody answers.
const UNREACHED: &str = "is the address right, and does the network reach it? SKYTIDE_LOG=debug says more";

/// Refuses an end by `--for` that came before any connection: whoever sees the exit code alone is to know.
pub(crate) fn reached(status: &Status) -> Result<(), Failure> {
    if !status.is_reached() {
        let message = "no connection could be made within the time of --for";
        return Err(match &status.unreached {
            Some(Unreached(error)) => {
                let failure = Failure::new(SOURCE, format!("{message}: {error}"));
                Failure { hint: connection_hint(error).map(str::to_owned), ..failure }
            }
            None => Failure::new(SOURCE, message).hint(UNREACHED),
        });
    }
    Ok(())
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::from(&error)
    }
}

impl From<&SourceError> for Failure {
    fn from(error: &SourceError) -> Self {
        let code = match error {
            SourceError::Shared(error) => return Self::from(error.as_ref()),
            SourceError::Subscription(Error::Endpoint(_)) => USAGE,
            // It is no source that lacks room.
            SourceError::File(FileError::Spill { .. }) => DATA,
            SourceError::Subscription(_)
            | SourceError::Recording(_)
            | SourceError::NoFrame { .. }
            | SourceError::Repo(_)
            | SourceError::Pipe(_)
            | SourceError::File(_) => SOURCE,
            SourceError::State(_) => USAGE,
            _ => DATA,
        };
        let failure = Self::new(code, error.to_string());
        match error {
            SourceError::Subscription(Error::Stream(error)) if error.code == "FutureCursor" => failure.hint(
                "the cursor is of another server, or of a numbering that has begun anew: try --cursor oldest",
            ),
            SourceError::Subscription(Error::Connection(error) | Error::GaveUp { last: error, .. }) => {
                match connection_hint(error) {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            SourceError::File(FileError::Spill { .. }) => {
                failure.hint("TMPDIR says where; with more --memory less is kept there")
            }
            SourceError::File(FileError::Changed(_)) => failure.hint("run it again"),
            SourceError::Recording(RecordingError::Open { .. } | RecordingError::TooLong { at: 0, .. }) => failure.hint(
                "a source is sim, wss://HOST, ws://HOST:PORT, a recording's file, or one of rows, as .parquet or .csv",
            ),
            SourceError::Late { .. } => {
                failure.hint("as in --lateness 10s, --late drop or --late side=FILE")
            }
            SourceError::State(StateError::Other { .. } | StateError::Kind) => failure.hint(
                "sources, --time, --lateness and --late are to be as they were, and files of rows not written since; another --resume folder begins anew",
            ),
            SourceError::State(_) => failure.hint("another --resume folder begins anew"),
            _ => failure,
        }
    }
}

/// What may help where there was no connection. Nothing, where there was one and it broke.
fn connection_hint(error: &ConnectionError) -> Option<&'static str> {
    match error {
        ConnectionError::Name { .. }
        | ConnectionError::Dial { .. }
        | ConnectionError::Tls { .. }
        | ConnectionError::Timeout(Timeout::Dial { .. }) => Some(UNREACHED),
        ConnectionError::Status { .. } if error.is_transient() => {
            Some("the server is there and gives no stream now: try again later")
        }
        ConnectionError::Status { .. } | ConnectionError::Protocol { .. } => {
            Some("is that the address of a relay, a PDS, a labeler or a Jetstream (/subscribe)?")
        }
        _ => None,
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Source(error) => error.into(),
            RunError::Recovery(error) => error.into(),
            error => Self::new(DATA, error.to_string()),
        }
    }
}

impl From<RecoveryError> for Failure {
    fn from(error: RecoveryError) -> Self {
        let (code, hint) = match &error {
            RecoveryError::OtherQuery { .. } => (USAGE, "give each query a --resume folder of its own"),
            RecoveryError::OtherWay { .. } => (
                USAGE,
                "--mode, --results, lexicons and the columns of files are to be as they were; another --resume folder begins anew",
            ),
            RecoveryError::OtherOutput { .. } | RecoveryError::NoOutput { .. } => {
                (USAGE, "give -o as it was, or another --resume folder, which begins anew")
            }
            RecoveryError::Busy { .. } => (USAGE, "end it first, or give another --resume folder"),
            RecoveryError::Save(SaveError::Never { .. }) => (USAGE, "leave --resume out"),
            RecoveryError::NotSaved { .. }
            | RecoveryError::Version { .. }
            | RecoveryError::Damaged { .. } => (DATA, "another --resume folder begins anew"),
            _ => return Self::new(DATA, error.to_string()),
        };
        Self::new(code, error.to_string()).hint(hint)
    }
}
