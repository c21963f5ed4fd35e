//! A run that is killed goes on where it stopped: the state of its job is saved with the cursors of its
//! sources, as one file.
//!
//! At a save everything that was read is answered and its rows are brought to the disk; then one file says
//! all of it: what the operators hold, after which frame each source stands, what is held until its time has
//! come and what late points are judged by, and where the rows end. It takes the place of the file before at
//! once, so a crash finds the one or the other, and the cursor never runs ahead of the state. Rows that a
//! [`TextFile`](crate::sink::TextFile) has after the place that was saved are cut off when a run goes on: it
//! writes them again, and each is there once. A [`FileSink`](crate::sink::FileSink) keeps the rows of the
//! file that is not whole yet, and writes it anew. A pipe has them twice. Whatever was decided on arrival
//! (what is late, how far time had come) was decided before the save and is in it, or is decided again by the
//! same frames in the same order: so the answer is that of a run that was never killed.
//!
//! A connection goes on after the number of its last frame, that to a Jetstream after its time, and knows the
//! events that come again; recordings, files of rows, and frames that the program holds are read again up to
//! the place. Rows that a program pushes, and exported repositories, cannot be gone on with.
//!
//! ```
//! use std::sync::Arc;
//!
//! use skytide_connect::network::{Connection, Network};
//! use skytide_connect::recovery::Recovery;
//! use skytide_connect::run::{End, RunOptions};
//! use skytide_connect::sink::TextFile;
//! use skytide_connect::sources::{Offer, Sources};
//! use skytide_firehose::{Compression, Recorder};
//! use skytide_timestream::{engine::Mode, plan::Results};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let path = folder.join("day.frames");
//! let mut recorder = Recorder::create(&path, Compression::None)?;
//! for frame in skytide_sim::Network::new(skytide_sim::Config::default()).take(600) {
//!     recorder.push(&frame.bytes)?;
//! }
//! recorder.finish()?;
//!
//! let connection = Connection { location: path.to_string_lossy().into(), ..Connection::default() };
//! let network = Network { connection, ..Network::default() };
//! let sources = Sources::new(vec![Offer::Network(Arc::new(network))]);
//! let query = Arc::new(skytide_timestream::compile("posts.with_key(record.langs[0]).count()", &sources)?);
//! let plan = Arc::new(skytide_timestream::plan(query, Results::history()));
//!
//! let run = |options: RunOptions| -> Result<_, Box<dyn std::error::Error>> {
//!     let recovery = Recovery::open(&folder.join("saved"), "langs", &plan, options.mode)?;
//!     let mut source = sources.reopen(&plan, options.mode, recovery.source())?;
//!     let mut sink = TextFile::ndjson(&folder.join("langs.ndjson"))?;
//!     Ok(recovery.run(Arc::clone(&plan), &mut source, &mut sink, &options, |_, _| {})?)
//! };
//! // One is stopped before it has begun; another one goes on from there.
//! let stopped = RunOptions::live();
//! stopped.stop.stop();
//! assert_eq!(run(stopped)?.end, End::Stopped);
//! assert_eq!(run(RunOptions::live())?.source.read, 600);
//! // A third finds nothing left to do.
//! assert_eq!(run(RunOptions::live())?.source.read, 600);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod standing;
pub(crate) mod state;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use skytide_runtime::{Checkpoint, CheckpointError, plan_hash};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Plan;

use crate::merge::Merge;
use crate::run::{Outcome, RunError, RunOptions, drive};
use crate::sink::{Sink, sweep};
use crate::source::{SourceState, Status};

pub use error::{RecoveryError, SaveError, StateError};
pub use standing::Standing;
pub(crate) use standing::State;

/// So often is a run saved unless told otherwise.
pub const EVERY: Duration = Duration::from_secs(10);

/// The saved run of a query, of which there is one at a time.
#[derive(Debug)]
pub struct Recovery {
    path: PathBuf,
    /// Held while this is there: the system lets go of it when the process ends, however it does.
    _lock: Lock,
    every: Duration,
    /// What it was opened for.
    plan: u64,
    mode: Mode,
    standing: Option<Standing>,
    /// Until it runs.
    state: Option<State>,
    saved: Instant,
}

/// A file that is locked.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // To close it is not enough: a process that is just being started has it open, too, for a moment. What fails
        // here is done when that has closed it.
        self.0.unlock().unwrap_or_default();
    }
}

impl Recovery {
    /// Opens `folder`, which is made if it is not there, and reads what was saved in it under `name`, if
    /// anything. The folder may hold other queries under other names, each of them one of files, without a path.
    ///
    /// # Errors
    /// The name is none; the folder cannot be made or written to; another run has this name open; what is
    /// there is no saved run, of another version, damaged, or of another query or mode.
    pub fn open(folder: &Path, name: &str, plan: &Plan, mode: Mode) -> Result<Self, RecoveryError> {
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return Err(RecoveryError::Name { name: name.to_owned() });
        }
        let failed = |path: &Path, source| RecoveryError::Io { path: path.to_owned(), source };
        if folder.exists() && !folder.is_dir() {
            return Err(failed(folder, io::Error::other("it is no folder, in which runs are saved")));
        }
        std::fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
        let path = folder.join(format!("{name}.saved"));
        let lock_path = folder.join(format!("{name}.lock"));
        // A pipe of the system waits for who writes, or reads.
        for path in [&path, &lock_path] {
            if path.metadata().is_ok_and(|found| !found.is_file()) {
                return Err(failed(path, io::Error::other("it is no file")));
            }
        }
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|source| failed(&lock_path, source))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => RecoveryError::Busy { path: path.clone() },
            TryLockError::Error(source) => failed(&lock_path, source),
        })?;
        // What a run left behind that was killed while it was being saved.
        sweep(&path).map_err(|source| failed(folder, source))?;
        let (standing, state) = Standing::read(&path)?.unzip();
        if let (Some(standing), Some(state)) = (&standing, &state) {
            fits(standing, state, plan, mode, &path)?;
        }
        let (every, plan, saved) = (EVERY, plan_hash(plan), Instant::now());
        Ok(Self { path, _lock: Lock(lock), every, plan, mode, standing, state, saved })
    }

    /// Saves so often; with no time between, after each epoch. Unless told otherwise, every 10 seconds.
    #[must_use]
    pub fn every(self, every: Duration) -> Self {
        Self { every, ..self }
    }

    /// What an earlier run saved last.
    #[must_use]
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// Where a sink of files that are written whole [keeps rows](crate::sink::FileSink::kept_in): beside what
    /// is saved, as all that begins with this path is.
    #[must_use]
    pub fn rows(&self) -> PathBuf {
        self.path.with_extension("rows")
    }

    /// Where the sources are to be [opened](crate::sources::Sources::reopen); none if nothing is saved: at
    /// their beginning.
    #[must_use]
    pub fn source(&self) -> Option<&SourceState> {
        self.state.as_ref().map(|state| &state.source)
    }

    /// As [`run`](crate::run::run), from where the run that was saved stood. Plan and mode are those that this
    /// was [opened](Self::open) for, and `source` is opened for them, [there](Self::source): others are refused.
    ///
    /// It is saved before it begins, from time to time, and where it ends by itself, by
    /// [`Stop`](crate::run::Stop) or after its time: what comes only at an end, as the rows of a snapshot, is
    /// taken back by the run that goes on. Where it fails, or has all the rows that were asked for, the one
    /// saved before stands. Rows and what the source did are counted from the beginning of the first run.
    ///
    /// # Errors
    /// As of [`run`](crate::run::run); this or the source is opened for something else; the source is opened
    /// elsewhere, or cannot be saved; rows before are not where they were.
    pub fn run(
        mut self,
        plan: Arc<Plan>,
        source: &mut Merge,
        sink: &mut dyn Sink,
        options: &RunOptions,
        watch: impl FnMut(&Status, usize),
    ) -> Result<Outcome, RunError> {
        if self.plan != plan_hash(&plan) || self.mode != options.mode {
            return Err(RecoveryError::OtherPlan { path: self.path }.into());
        }
        if !source.has_begun_at(self.source()) {
            return Err(RecoveryError::OtherPlace { path: self.path }.into());
        }
        drive(plan, source, sink, options, Some(&mut self), watch)
    }

    /// What the job goes on from, which is let go of, and after how many rows.
    pub(crate) fn left(&mut self) -> (Option<Checkpoint>, usize) {
        let checkpoint = self.state.take().map(|state| state.checkpoint);
        (checkpoint, self.standing.as_ref().map_or(0, Standing::rows))
    }

    /// Takes back what a sink has after what was saved.
    pub(crate) fn begin(&self, sink: &mut dyn Sink) -> Result<(), RunError> {
        let standing = self.standing.as_ref();
        let before = standing.and_then(|standing| standing.place.as_ref());
        match (before, sink.place()?) {
            // Who looks at the rows elsewhere would leave a file that nothing can be added to any more.
            (Some(before), here) if here.as_ref().is_none_or(|here| here.file != before.file) => {
                Err(RecoveryError::OtherOutput { file: before.file.clone() }.into())
            }
            (None, Some(here)) if standing.is_some_and(|standing| standing.rows() > 0) => {
                Err(RecoveryError::NoOutput { file: here.file }.into())
            }
            _ => Ok(sink.go_back(before)?),
        }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.saved.elapsed() >= self.every
    }

    pub(crate) fn save(&mut self, standing: &Standing, state: &State) -> Result<(), RecoveryError> {
        standing.write(state, &self.path)?;
        self.stands();
        Ok(())
    }

    /// What was saved last is how it stands now.
    pub(crate) fn stands(&mut self) {
        self.saved = Instant::now();
    }
}

/// Whether a job of this plan can go on from what was saved.
fn fits(
    standing: &Standing,
    state: &State,
    plan: &Plan,
    mode: Mode,
    path: &Path,
) -> Result<(), RecoveryError> {
    state.checkpoint.fits(plan, mode).map_err(|error| {
        let (path, found, expected) = (path.to_owned(), standing.query(), plan.query.text.as_str());
        let is_other_plan = matches!(error, CheckpointError::OtherPlan { .. });
        if is_other_plan && found != expected {
            let (found, expected) = (found.to_owned(), expected.to_owned());
            return RecoveryError::OtherQuery { path, found, expected };
        }
        let reason = if is_other_plan {
            "it gives other results, or reads other columns".to_owned()
        } else {
            error.to_string()
        };
        RecoveryError::OtherWay { path, reason }
    })
}
