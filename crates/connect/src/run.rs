//! Moves epochs from a source through a job to a sink, until the source ends, enough rows are out, time is up, or someone
//! says stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use skytide_runtime::{Job, JobError, Options, Report};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Plan;

use crate::sink::{Sink, SinkError};
use crate::source::{Next, Source, SourceError, Status};

/// How a query is run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Over what is there, or on and on.
    pub mode: Mode,
    /// How many workers share the keys.
    pub workers: usize,
    /// Rows after which it ends.
    pub limit: Option<usize>,
    /// Time after which it ends.
    pub duration: Option<Duration>,
    /// Ends it from any thread, within [`WAIT`].
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

/// How many epochs may be on their way through the workers.
const EPOCHS_IN_FLIGHT: usize = 4;

/// Says stop to a run.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the run it belongs to; what is complete is delivered.
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

/// Why a run failed. What was complete before has been delivered.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An operator.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The sink.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// Runs a plan over a source into a sink. `watch` is told what has been done after each epoch and each wait.
///
/// # Errors
/// What ended it early; a closed pipe is an [`End`], not an error.
pub fn run(
    plan: Arc<Plan>,
    source: &mut dyn Source,
    sink: &mut dyn Sink,
    options: &RunOptions,
    mut watch: impl FnMut(&Status, usize),
) -> Result<Outcome, RunError> {
    let jobs = Options { workers: options.workers, mode: options.mode, epochs_in_flight: EPOCHS_IN_FLIGHT };
    let mut job = Job::start(plan, jobs, None)?;
    let mut delivery = Delivery { sink, rows: 0, limit: options.limit };
    let ends = options.duration.map(|duration| Instant::now() + duration);
    let read = loop {
        if delivery.is_full() {
            break Ok(End::Limit);
        }
        if options.stop.is_stopped() {
            break Ok(End::Stopped);
        }
        if ends.is_some_and(|end| Instant::now() >= end) {
            break Ok(End::Duration);
        }
        // Look first: rows still on their way through the workers are not kept waiting for the next message.
        let mut next = source.next(Duration::ZERO);
        if matches!(next, Ok(Next::Idle)) {
            match delivery.put(job.settle()?) {
                Ok(()) => next = source.next(WAIT),
                Err(error) if error.is_closed_pipe() => break Ok(End::Closed),
                Err(error) => return Err(error.into()),
            }
        }
        match next {
            Ok(Next::Epoch(epoch)) => job.push(epoch)?,
            Ok(Next::Idle) => {}
            Ok(Next::End) => break Ok(End::Source),
            Err(error) => break Err(error),
        }
        match delivery.put(job.ready()?) {
            Ok(()) => watch(&source.status(), delivery.rows),
            Err(error) if error.is_closed_pipe() => break Ok(End::Closed),
            Err(error) => return Err(error.into()),
        }
    };
    // Whatever ended it, what was read is answered.
    let (rest, job) = job.finish()?;
    let mut end = read.as_ref().copied().unwrap_or(End::Stopped);
    if end != End::Closed {
        match delivery.put(rest).and_then(|()| delivery.sink.finish()) {
            Ok(()) => {}
            Err(error) if error.is_closed_pipe() => end = End::Closed,
            Err(error) => return Err(error.into()),
        }
    }
    let status = source.status();
    watch(&status, delivery.rows);
    read?;
    Ok(Outcome { end, source: status, job, rows: delivery.rows })
}

/// Hands rows to the sink, no more than were asked for.
struct Delivery<'a> {
    sink: &'a mut dyn Sink,
    rows: usize,
    limit: Option<usize>,
}

impl Delivery<'_> {
    fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.rows >= limit)
    }

    fn put(&mut self, batches: Vec<RecordBatch>) -> Result<(), SinkError> {
        for batch in batches {
            let left = self.limit.map_or(usize::MAX, |limit| limit.saturating_sub(self.rows));
            let batch = if batch.num_rows() > left { batch.slice(0, left) } else { batch };
            if batch.num_rows() > 0 {
                self.sink.write(&batch)?;
                self.rows += batch.num_rows();
            }
        }
        Ok(())
    }
}
