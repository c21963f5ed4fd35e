//! Moves epochs from a source through a job to a sink, until the source ends, enough rows are out, time is
//! up, or someone says stop.

mod stream;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use skytide_runtime::{Checkpoint, Deadline, Job, JobError, Options, Report, panic_message};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Plan;

pub use stream::AnswerStream;

use crate::recovery::{Recovery, RecoveryError, SaveError, Standing, State};
use crate::sink::{Sink, SinkError};
use crate::source::{Next, Saved, Source, SourceError, Status};

/// How a query is run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Over what is there, or on and on: as the source was [opened](crate::sources::Sources::open).
    pub mode: Mode,
    /// How many workers share the keys.
    pub workers: usize,
    /// Rows after which it ends.
    pub limit: Option<usize>,
    /// Time after which it ends; one that no clock counts to is no end.
    pub duration: Option<Duration>,
    /// Ends it from any thread, within [`WAIT`] and what is being computed, which is cut short after [`GRACE`].
    pub stop: Stop,
}

impl RunOptions {
    /// Over what is there, on one worker, to its end.
    #[must_use]
    pub fn once() -> Self {
        Self { mode: Mode::Once, workers: 1, limit: None, duration: None, stop: Stop::default() }
    }

    /// On and on, on one worker, until someone says stop.
    #[must_use]
    pub fn live() -> Self {
        Self { mode: Mode::Live, ..Self::once() }
    }
}

/// The longest wait between two looks at [`Stop`].
pub const WAIT: Duration = Duration::from_millis(50);

/// So long is read on at an end for a source to tell where it stands.
const LAST_SAVE: Duration = Duration::from_secs(1);
/// What is being computed or written when an end is asked for has so much time to be done; what is not is
/// left out, so that nobody waits for it.
pub const GRACE: Duration = Duration::from_secs(1);

/// How many epochs may be on their way through the workers.
const EPOCHS_IN_FLIGHT: usize = 4;

/// Says stop to a run.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the run it belongs to, as soon as its source can be asked again, but about [`GRACE`] later even
    /// if what it computes takes long, unless that is one call of a function of the program's own, which
    /// nothing can break off; what is complete is delivered, rows that were [pushed](crate::tables) before
    /// among it. What waits for rows that may be late is not.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// The flag behind it, for a signal handler.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Whether someone said so.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Why it ended.
    pub end: End,
    /// What the source did.
    pub source: Status,
    /// What the operators did.
    pub job: Report,
    /// Rows given to the sink.
    pub rows: usize,
    /// Values of them that [have no form](Sink::misfits) in what it writes.
    pub misfits: u64,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything was read.
    Source,
    /// As many rows as were asked for.
    Limit,
    /// Its time was up.
    Duration,
    /// Someone said stop.
    Stopped,
    /// The reader of the answer went away.
    Closed,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "everything was read",
            Self::Limit => "all rows that were asked for are there",
            Self::Duration => "its time was up",
            Self::Stopped => "it was stopped",
            Self::Closed => "the reader of the answer went away",
        })
    }
}

/// Why a run failed. What was complete before has been delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The source, which may have been opened for [something else](Source::begin).
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An operator.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The sink.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// What the program brought along panicked on the thread of an [`AnswerStream`], as a source may: the
    /// query has ended with it.
    #[error("the thread that computes the answer panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The run cannot be saved, or not go on from what was saved.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

impl RunError {
    /// What a run is whose thread panicked.
    #[must_use]
    pub fn of_panic(panic: &(dyn Any + Send)) -> Self {
        Self::Panicked { message: panic_message(panic) }
    }
}

/// Runs a plan over a source into a sink. `watch` is told what has been done after each epoch and each wait.
///
/// It waits, and is not for a thread that drives async code: over a connection it fails there
/// ([`WithinRuntime`](skytide_firehose::Error::WithinRuntime)). [`AnswerStream`] is for async code, or a
/// thread that may wait (`spawn_blocking`).
///
/// # Errors
/// What ended it early; a closed pipe is an [`End`], not an error.
pub fn run(
    plan: Arc<Plan>,
    source: &mut dyn Source,
    sink: &mut dyn Sink,
    options: &RunOptions,
    watch: impl FnMut(&Status, usize),
) -> Result<Outcome, RunError> {
    drive(plan, source, sink, options, None, watch)
}

/// As [`run`], saved and gone on with where there is a recovery.
pub(crate) fn drive(
    plan: Arc<Plan>,
    source: &mut dyn Source,
    sink: &mut dyn Sink,
    options: &RunOptions,
    mut recovery: Option<&mut Recovery>,
    mut watch: impl FnMut(&Status, usize),
) -> Result<Outcome, RunError> {
    let text = plan.query.text.clone();
    let (checkpoint, rows) = recovery.as_mut().map_or((None, 0), |recovery| recovery.left());
    let mut running = Running::start(plan, source, options, checkpoint.as_ref(), rows, Arc::default())?;
    drop(checkpoint);
    if let Some(recovery) = &mut recovery {
        recovery.begin(sink)?;
        // What can never be saved is told before anything is read.
        running.save(&text, sink, recovery)?;
    }
    let mut is_open = true;
    while let Some(batches) = running.turn()? {
        if !running.put(sink, batches)? {
            is_open = false;
            break;
        }
        watch(&running.source.status(), running.given.rows);
        if let Some(recovery) = recovery.as_mut().filter(|recovery| recovery.is_due()) {
            is_open = running.put_settled(sink)?;
            if !is_open {
                break;
            }
            running.save(&text, sink, recovery)?;
        }
    }
    if let Some(recovery) = recovery.filter(|_| is_open && running.may_go_on()) {
        let until = Instant::now() + LAST_SAVE;
        is_open = running.put_settled(sink)?;
        // A source that has to be asked where it stands tells it with what it gives next.
        while is_open
            && !running.save(&text, sink, recovery)?
            && Instant::now() < until
            && running.read_on()?
        {
            is_open = running.put_settled(sink)?;
        }
    }
    // Whatever ended it, what was read is answered.
    let (rest, mut outcome, failed) = running.finish()?;
    if is_open {
        is_open = rest
            .iter()
            .try_fold(true, |is_open, batch| Ok::<_, SinkError>(is_open && write(sink, batch)?))?;
    }
    // Where nothing came there is no answer, and nothing to put in the place of an earlier one.
    if is_open && ((failed.is_none() && outcome.source.is_reached()) || outcome.rows > 0) {
        match sink.finish() {
            Err(error) if error.is_closed_pipe() => is_open = false,
            finished => finished?,
        }
    }
    if !is_open {
        outcome.end = End::Closed;
    }
    outcome.misfits = sink.misfits();
    watch(&outcome.source, outcome.rows);
    failed.map_or(Ok(outcome), |error| Err(error.into()))
}

/// Writes rows; tells whether anyone takes more of them.
fn write(sink: &mut dyn Sink, batch: &RecordBatch) -> Result<bool, SinkError> {
    match sink.write(batch) {
        Err(error) if error.is_closed_pipe() => Ok(false),
        written => written.map(|()| true),
    }
}

/// A run whose rows are asked for: the batches of an answer, in order, computed as they are taken.
/// [`AnswerStream`] is the same for async code, where this one is refused as [`run`] is. It stays on its
/// thread, since its job does.
///
/// It ends where [`run`] does. An error of the source comes after the rows of what was read before it, and is
/// the last item. Dropping it ends what its workers are at, and waits for a call of a function of the
/// program's own that one of them may be in, but for nothing else.
pub struct Answers<S: Source> {
    running: Option<Running<S>>,
    ready: VecDeque<RecordBatch>,
    failed: Option<RunError>,
    outcome: Option<Outcome>,
}

shown!(Answers<S: Source> { outcome });

impl<S: Source> Answers<S> {
    /// Starts a plan over a source.
    ///
    /// # Errors
    /// The job cannot be started, or the source was opened for [something else](Source::begin).
    pub fn start(plan: Arc<Plan>, source: S, options: &RunOptions) -> Result<Self, RunError> {
        let running = Some(Running::start(plan, source, options, None, 0, Arc::default())?);
        Ok(Self { running, ready: VecDeque::new(), failed: None, outcome: None })
    }

    /// How it ended; none while it runs, or where it failed.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    fn advance(&mut self) -> Result<(), RunError> {
        let Some(running) = &mut self.running else { return Ok(()) };
        match running.turn() {
            Ok(Some(batches)) => self.ready.extend(batches),
            Ok(None) => {
                if let Some(running) = self.running.take() {
                    let (rest, outcome, failed) = running.finish()?;
                    self.ready.extend(rest);
                    match failed {
                        Some(error) => self.failed = Some(error.into()),
                        None => self.outcome = Some(outcome),
                    }
                }
            }
            Err(error) => {
                self.running = None;
                return Err(error.into());
            }
        }
        Ok(())
    }
}

impl<S: Source> Iterator for Answers<S> {
    type Item = Result<RecordBatch, RunError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Some(Ok(batch));
            }
            if self.running.is_none() {
                return self.failed.take().map(Err);
            }
            if let Err(error) = self.advance() {
                return Some(Err(error));
            }
        }
    }
}

/// A job and the source that it is fed from.
struct Running<S> {
    job: Job,
    source: S,
    options: RunOptions,
    ends: Option<Instant>,
    given: Given,
    /// Why nothing more is read.
    end: Option<Result<End, SourceError>>,
    /// Why it is to end, and since when, while what a program has handed to the source is still read.
    closing: Option<(End, Instant)>,
    /// Where the source stood when it was saved, the [sum](crate::source::SourceState::sum).
    saved: Option<u64>,
    /// Whether the job was stopped at work.
    is_cut: bool,
    /// Whether rows were left out that were to be written: none are written after them.
    is_left: bool,
}

impl<S: Source> Running<S> {
    /// Starts a job, from where an earlier run left it, after so many rows, if it did. The source is there
    /// already. `left` says that nobody takes its rows any more.
    fn start(
        plan: Arc<Plan>,
        mut source: S,
        options: &RunOptions,
        from: Option<&Checkpoint>,
        rows: usize,
        left: Arc<AtomicBool>,
    ) -> Result<Self, RunError> {
        source.begin(&plan, options.mode)?;
        let jobs =
            Options { workers: options.workers, mode: options.mode, epochs_in_flight: EPOCHS_IN_FLIGHT };
        let mut job = Job::start(plan, jobs, from)?;
        let ends = options.duration.and_then(|duration| Instant::now().checked_add(duration));
        job.heed(Deadline::new(options.stop.flag(), ends, GRACE).left_by(left));
        Ok(Self {
            job,
            source,
            ends,
            options: options.clone(),
            given: Given { rows, limit: options.limit },
            end: None,
            closing: None,
            saved: None,
            is_cut: false,
            is_left: false,
        })
    }

    /// Writes rows, for so long after an end is asked for as what is being computed has; tells whether anyone
    /// takes more of them.
    fn put(&mut self, sink: &mut dyn Sink, batches: Vec<RecordBatch>) -> Result<bool, SinkError> {
        let mut asked = None;
        for batch in batches {
            let is_asked = matches!(self.asked_to_end(), Some(End::Stopped | End::Duration));
            if self.is_left || (is_asked && asked.get_or_insert_with(Instant::now).elapsed() >= GRACE) {
                self.is_left = true;
                self.given.rows -= batch.num_rows();
                self.cut();
            } else if !write(sink, &batch)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes the rows of all that was read.
    fn put_settled(&mut self, sink: &mut dyn Sink) -> Result<bool, RunError> {
        let settled = self.settled()?;
        Ok(self.put(sink, settled)?)
    }

    /// Waits for the rows of all that was read.
    fn settled(&mut self) -> Result<Vec<RecordBatch>, JobError> {
        let settled = self.job.settle();
        let settled = self.unless_cut(settled)?;
        Ok(self.given.cut(settled.unwrap_or_default()))
    }

    /// What the job gives; none where it was stopped at work: what is complete comes at the end, which is there.
    fn unless_cut<T>(&mut self, given: Result<T, JobError>) -> Result<Option<T>, JobError> {
        match given {
            Err(JobError::Stopped) => {
                self.cut();
                Ok(None)
            }
            given => given.map(Some),
        }
    }

    /// What comes from here on is left out.
    fn cut(&mut self) {
        self.is_cut = true;
        if self.end.is_none() {
            self.end = Some(Ok(self.asked_to_end().unwrap_or(End::Stopped)));
        }
    }

    /// Whether another run may go on from where it ended: it has not failed, and no rows that it has were left out.
    fn may_go_on(&self) -> bool {
        matches!(self.end, Some(Ok(End::Source | End::Duration | End::Stopped)))
    }

    /// Saves it, where it can be at this moment, and tells whether that is done. It is settled, and its rows
    /// are in the sink.
    fn save(&mut self, query: &str, sink: &mut dyn Sink, recovery: &mut Recovery) -> Result<bool, RunError> {
        // What was cut short, or has failed, has no state to go on from: the last one that was saved stands.
        if self.is_cut || matches!(self.end, Some(Err(_))) || self.given.is_all() {
            return Ok(true);
        }
        let source = match self.source.save() {
            Ok(Saved::State(state)) => state,
            Ok(Saved::Again { of, .. }) => {
                return Err(RecoveryError::from(SaveError::never(
                    of,
                    "`Sources` opens it so that it can be",
                ))
                .into());
            }
            Err(SaveError::NotNow) => return Ok(false),
            Err(error) => return Err(RecoveryError::from(error).into()),
        };
        let stands = Some(source.sum());
        if self.saved == stands {
            recovery.stands();
            return Ok(true);
        }
        let checkpoint = self.job.checkpoint();
        let Some(checkpoint) = self.unless_cut(checkpoint)? else { return Ok(true) };
        // The rows are on the disk before what says that they are.
        let place = sink.place()?;
        let state = State { checkpoint, source };
        recovery.save(&Standing::new(query, self.given.rows, place, &state), &state)?;
        self.saved = stands;
        Ok(true)
    }

    /// Reads on at an end, which the source may have now come to; tells whether more may follow.
    fn read_on(&mut self) -> Result<bool, JobError> {
        match self.source.next(WAIT) {
            Ok(Next::Epoch(epoch)) => {
                let pushed = self.job.push(epoch);
                self.unless_cut(pushed)?;
            }
            Ok(Next::Idle) => {}
            Ok(Next::End) => return Ok(false),
            Err(error) => {
                self.end = Some(Err(error));
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads on, and gives the rows that are complete; none when nothing more is read.
    fn turn(&mut self) -> Result<Option<Vec<RecordBatch>>, JobError> {
        if self.end.is_none() {
            self.end = self.may_end().map(Ok);
        }
        if self.end.is_some() {
            return Ok(None);
        }
        // Look first: rows still on their way through the workers are not kept waiting for the next message.
        let mut next = self.source.next(Duration::ZERO);
        if matches!(next, Ok(Next::Idle)) {
            let settled = self.settled()?;
            if !settled.is_empty() {
                return Ok(Some(settled));
            }
            next = self.source.next(WAIT);
        }
        match next {
            Ok(Next::Epoch(epoch)) => {
                let pushed = self.job.push(epoch);
                self.unless_cut(pushed)?;
            }
            Ok(Next::Idle) => {}
            Ok(Next::End) => self.end = Some(Ok(self.closing.map_or(End::Source, |(end, _)| end))),
            Err(error) => self.end = Some(Err(error)),
        }
        let ready = self.job.ready();
        let ready = self.unless_cut(ready)?;
        Ok(Some(self.given.cut(ready.unwrap_or_default())))
    }

    /// Why it ends here. Where it is asked to, what a program has handed to the source comes first, as far as
    /// that takes no longer than what is being computed may.
    fn may_end(&mut self) -> Option<End> {
        let end = self.asked_to_end()?;
        if end == End::Limit {
            return Some(end);
        }
        match self.closing {
            Some((end, since)) => (since.elapsed() >= GRACE).then_some(end),
            None if self.source.close() => {
                self.closing = Some((end, Instant::now()));
                None
            }
            None => Some(end),
        }
    }

    fn asked_to_end(&self) -> Option<End> {
        if self.given.is_all() {
            Some(End::Limit)
        } else if self.options.stop.is_stopped() {
            Some(End::Stopped)
        } else if self.ends.is_some_and(|end| Instant::now() >= end) {
            Some(End::Duration)
        } else {
            None
        }
    }

    /// The rest of the answer to what was read, what has been done, and what the source failed with.
    fn finish(mut self) -> Result<(Vec<RecordBatch>, Outcome, Option<SourceError>), JobError> {
        let end = self.end.take().unwrap_or(Ok(End::Stopped));
        let Self { job, source, mut given, is_left, .. } = self;
        let (mut rest, mut job) = job.finish()?;
        if is_left {
            rest.clear();
            job.is_cut = true;
        }
        let rest = given.cut(rest);
        let (end, failed) = match end {
            Ok(end) => (end, None),
            Err(error) => (End::Stopped, Some(error)),
        };
        Ok((rest, Outcome { end, source: source.status(), job, rows: given.rows, misfits: 0 }, failed))
    }
}

/// Rows given out, no more than were asked for.
struct Given {
    rows: usize,
    limit: Option<usize>,
}

impl Given {
    fn is_all(&self) -> bool {
        self.limit.is_some_and(|limit| self.rows >= limit)
    }

    fn cut(&mut self, batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
        let mut kept = Vec::with_capacity(batches.len());
        for batch in batches {
            let left = self.limit.map_or(usize::MAX, |limit| limit.saturating_sub(self.rows));
            let batch = if batch.num_rows() > left { batch.slice(0, left) } else { batch };
            if batch.num_rows() > 0 {
                self.rows += batch.num_rows();
                kept.push(batch);
            }
        }
        kept
    }
}
