//! The answer as an async stream: a thread computes, whoever polls takes; neither goes ahead of the other by much.
//!
//! A job belongs to its thread and waits for its source there, so it cannot be polled itself. It needs no
//! runtime, and any will do.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use arrow_array::RecordBatch;
use futures_core::Stream;
use skytide_runtime::JobError;
use skytide_timestream::plan::Plan;

use super::{Outcome, RunError, RunOptions, Running, Source};

/// Batches that wait to be taken before the query does.
const WAITING: usize = 16;

/// A run whose batches are awaited: an async [`Stream`] of them, in order.
///
/// It ends where [`run`](super::run) does; an error of the source comes after the rows of what was read
/// before it, and is the last item. While nobody takes batches the query waits, and reads no further.
/// Dropping the stream stops the query without waiting for it, within 100 ms, or where a function of the
/// program's own is at work once that call is done; [`Stop`](super::Stop) ends it and gives what is complete.
///
/// ```
/// use std::sync::Arc;
/// use futures_util::StreamExt;
/// use skytide_atproto::columns::Clock;
/// use skytide_connect::{catalog::FirehoseCatalog, firehose::FirehoseSource, frames::Frames};
/// use skytide_connect::run::{AnswerStream, RunOptions};
/// use skytide_sim::{Config, Network};
/// use skytide_timestream::plan::Results;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let catalog = FirehoseCatalog::new();
/// let query = skytide_timestream::compile("posts.with_key(record.langs[0]).count()", &catalog)?;
/// let plan = Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()));
/// let frames: Vec<_> = Network::new(Config::default()).take(500).map(|frame| frame.bytes).collect();
/// let frames = Frames::repeating(frames.into()).until(Some(500));
/// let source = FirehoseSource::new(&plan, &catalog, frames, Clock::FrameTime)?;
///
/// let mut answers = AnswerStream::start(plan, source, RunOptions::live())?;
/// let mut rows = 0;
/// while let Some(batch) = answers.next().await {
///     rows += batch?.num_rows();
/// }
/// assert_eq!(answers.outcome().map(|outcome| outcome.rows), Some(rows));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AnswerStream {
    line: Arc<Line>,
    outcome: Option<Outcome>,
}

/// What stands between the one who computes and the one who takes.
#[derive(Default)]
struct Line {
    state: Mutex<State>,
    /// There is room, or nobody needs any.
    emptied: Condvar,
    /// Nobody will take any more, which the job sees, too. It is said under the lock, where it is waited for.
    is_left: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    batches: VecDeque<RecordBatch>,
    end: Option<Result<Outcome, RunError>>,
    has_ended: bool,
    reader: Option<Waker>,
}

impl AnswerStream {
    /// Starts a plan over a source, on a thread of its own.
    ///
    /// # Errors
    /// The system gives no thread. What else keeps the job from starting is the stream's first item.
    pub fn start<S: Source + Send + 'static>(
        plan: Arc<Plan>,
        source: S,
        options: RunOptions,
    ) -> Result<Self, RunError> {
        let line = Arc::<Line>::default();
        let computing = Arc::clone(&line);
        std::thread::Builder::new()
            .name("answer".to_owned())
            .spawn(move || {
                let answer = || computing.answer(plan, source, &options);
                // A reader must not wait for a thread that has panicked.
                let answered = catch_unwind(AssertUnwindSafe(answer));
                let answered = answered.unwrap_or_else(|panic| Err(RunError::of_panic(panic.as_ref())));
                let mut state = computing.lock();
                (state.end, state.has_ended) = (answered.transpose(), true);
                wake(state);
            })
            .map_err(|source| JobError::Thread { worker: 0, source })?;
        Ok(Self { line, outcome: None })
    }

    /// How it ended; none before the end was taken, or where it failed.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }
}

impl Stream for AnswerStream {
    type Item = Result<RecordBatch, RunError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let mut state = this.line.lock();
        if let Some(batch) = state.batches.pop_front() {
            this.line.emptied.notify_one();
            return Poll::Ready(Some(Ok(batch)));
        }
        if state.has_ended {
            return Poll::Ready(match state.end.take() {
                Some(Ok(outcome)) => {
                    this.outcome = Some(outcome);
                    None
                }
                Some(Err(error)) => Some(Err(error)),
                None => None,
            });
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        let state = self.line.lock();
        self.line.is_left.store(true, Ordering::Release);
        drop(state);
        self.line.emptied.notify_one();
    }
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerStream").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_left(&self) -> bool {
        self.is_left.load(Ordering::Acquire)
    }

    /// Computes until the end, or until nobody takes any more: then there is nothing to tell.
    fn answer(
        &self,
        plan: Arc<Plan>,
        source: impl Source,
        options: &RunOptions,
    ) -> Result<Option<Outcome>, RunError> {
        let mut running = Running::start(plan, source, options, None, 0, Arc::clone(&self.is_left))?;
        while let Some(batches) = running.turn()? {
            if !self.put(batches) {
                return Ok(None);
            }
        }
        let (rest, outcome, failed) = running.finish()?;
        self.put(rest);
        failed.map_or(Ok(Some(outcome)), |error| Err(error.into()))
    }

    /// Lays batches ready, each when there is room; tells whether anybody takes them.
    fn put(&self, batches: Vec<RecordBatch>) -> bool {
        for batch in batches {
            let mut state = self.lock();
            while state.batches.len() >= WAITING && !self.is_left() {
                state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if self.is_left() {
                return false;
            }
            state.batches.push_back(batch);
            wake(state);
        }
        !self.is_left()
    }
}

/// Calls the reader. The lock is given back first: what its waker does is not known here.
fn wake(mut state: MutexGuard<'_, State>) {
    let reader = state.reader.take();
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
}
