//! A query being run: a thread computes, Python reads; neither waits for the other longer than it must.

use std::collections::VecDeque;
use std::io;
use std::ops::Deref;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::{ArrowError, SchemaRef};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};
use pyo3_arrow::ffi::to_schema_pycapsule;
use skytide_connect::late::Side;
use skytide_connect::run::{Outcome, RunError, RunOptions, Stop, run};
use skytide_connect::sink::{Sink, SinkError};
use skytide_connect::source::{Source, Status};
use skytide_connect::sources::Sources;
use skytide_timestream::engine::{Mode, answer_schema};
use skytide_timestream::plan::{Plan, Results};
use skytide_timestream::query::Query;

use super::answer::{self, Answer};
use super::batch::Batch;
use super::errors::{self, Failed};
use super::schema::Schema;
use super::write;
use crate::calls;

/// Batches that wait for the reader before the query does.
const WAITING: usize = 64;
/// Late points that wait to be taken before the query fails: it must neither wait for someone who never comes
/// nor lose them.
const LATE_WAITING: usize = 100_000;
/// What is told in a process that was forked.
const ELSEWHERE: &str = "the query runs in the process that this one was forked from: it is read there";
/// So often a waiting reader looks for Ctrl-C.
pub(super) const GLANCE: Duration = Duration::from_millis(20);

/// How a query is to be run.
pub(super) struct RunArgs {
    pub(super) results: Results,
    pub(super) live: bool,
    pub(super) row_limit: Option<usize>,
    pub(super) max_batch_size: Option<usize>,
}

/// A query being run.
#[pyclass(frozen, module = "skytide._skytide")]
pub(super) struct Execution {
    line: Reader,
    schema: SchemaRef,
}

/// What stands between the one who computes and the one who reads.
pub(super) struct Line {
    /// The process whose thread computes.
    process: u32,
    state: Mutex<State>,
    /// Something is there to read, or it has ended.
    filled: Condvar,
    /// There is room, or nobody needs any.
    emptied: Condvar,
    stop: Stop,
    /// Nobody takes the answer for now.
    stalled: Arc<AtomicBool>,
    /// Apart from the line, which ends when its holders go.
    late: Arc<Mutex<Kept>>,
}

/// Late points that nobody has taken yet.
#[derive(Default)]
struct Kept {
    batches: Vec<RecordBatch>,
    points: usize,
}

impl Kept {
    fn keep(&mut self, late: &RecordBatch) -> Result<(), String> {
        if self.points + late.num_rows() > LATE_WAITING {
            return Err(format!("{} wait to be taken, by late_rows()", self.points));
        }
        self.points += late.num_rows();
        self.batches.push(late.clone());
        Ok(())
    }
}

#[derive(Default)]
struct State {
    batches: VecDeque<RecordBatch>,
    has_ended: bool,
    error: Option<Failed>,
    /// How many may read: the execution, and streams that were handed out.
    readers: usize,
    /// Nobody will read any more.
    is_left: bool,
    /// Called once when there is something to read.
    wakes: Vec<Py<PyAny>>,
    status: Status,
    /// What the query itself left out, by what it is called; once it has ended.
    left_out: LeftOut,
}

/// What a query left out of its answer, or made null in it: as its job counts it.
#[derive(Clone, Copy, Default)]
struct LeftOut {
    overflows: u64,
    misfits: u64,
    moved_back: u64,
    held: u64,
    not_due: u64,
}

impl LeftOut {
    fn of(Outcome { job, .. }: &Outcome) -> Self {
        Self {
            overflows: job.overflows(),
            misfits: job.misfits(),
            moved_back: job.moved_back(),
            held: job.held(),
            not_due: job.not_due(),
        }
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is the process that computes. In one that was forked from it nothing comes, and the lock
    /// may never be free.
    fn is_here(&self) -> bool {
        self.process == process::id()
    }

    fn enter(&self) -> PyResult<()> {
        if self.is_here() { Ok(()) } else { Err(errors::runtime(ELSEWHERE)) }
    }

    /// Tells the reader; the lock is let go before Python is called.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        let wakes = std::mem::take(&mut state.wakes);
        drop(state);
        self.filled.notify_all();
        if !wakes.is_empty() {
            // A loop that is closed, or an interpreter that ends, needs no waking.
            calls::attached(|py| wakes.iter().for_each(|wake| drop(wake.call0(py))));
        }
    }

    /// Says stop, without waiting for anything.
    fn stop(&self) {
        self.stop.stop();
        let state = self.lock();
        self.emptied.notify_all();
        drop(state);
    }

    /// Waits until there is something to read, or it has ended; no longer than until then.
    fn wait(&self, until: Instant) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while state.batches.is_empty() && !state.has_ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    /// The next batch, waiting for it until then.
    pub(super) fn next(&self, until: Instant) -> Waited {
        let mut state = self.wait(until);
        if let Some(batch) = state.batches.pop_front() {
            self.emptied.notify_all();
            return Waited::Batch(batch);
        }
        if !state.has_ended {
            return Waited::Nothing;
        }
        match state.error.take() {
            Some(error) => Waited::Failed(error),
            None => Waited::End,
        }
    }
}

pub(super) enum Waited {
    Batch(RecordBatch),
    Nothing,
    End,
    Failed(Failed),
}

/// Puts batches on the line, and waits while it is full.
struct Queue {
    line: Arc<Line>,
    max_batch_size: usize,
}

impl Sink for Queue {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let mut at = 0;
        while at < batch.num_rows() {
            let len = self.max_batch_size.min(batch.num_rows() - at);
            let mut state = self.line.lock();
            while state.batches.len() >= WAITING && !state.is_left && !self.line.stop.is_stopped() {
                self.line.stalled.store(true, Ordering::Relaxed);
                state = self.line.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            self.line.stalled.store(false, Ordering::Relaxed);
            if state.is_left {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
            }
            state.batches.push_back(batch.slice(at, len));
            self.line.tell(state);
            at += len;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

impl Execution {
    /// Starts a query.
    pub(super) fn start(query: &Arc<Query>, sources: &Sources, args: &RunArgs) -> PyResult<Self> {
        let plan: Arc<Plan> = Arc::new(skytide_timestream::plan(Arc::clone(query), args.results));
        let schema = answer_schema(&plan).map_err(|error| errors::columns(&error))?;
        let mode = if args.live { Mode::Live } else { Mode::Once };
        let line = Arc::new(Line {
            process: process::id(),
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            stop: Stop::default(),
            stalled: Arc::default(),
            late: Arc::default(),
        });
        // What is there is decided now, not when the thread gets to run.
        let kept = Arc::clone(&line.late);
        let keep =
            move |late: &RecordBatch| Ok(kept.lock().unwrap_or_else(PoisonError::into_inner).keep(late)?);
        let sources = sources.clone().late_to(Side::new(keep)).stalled_by(Arc::clone(&line.stalled));
        let mut source = sources.open(&plan, mode).map_err(|error| Failed::of(&error))?;
        let mut options = if args.live { RunOptions::live() } else { RunOptions::once() };
        options.limit = args.row_limit;
        options.stop = line.stop.clone();
        let mut queue = Queue {
            line: Arc::clone(&line),
            max_batch_size: args.max_batch_size.unwrap_or(usize::MAX).max(1),
        };
        let ended = Arc::clone(&line);
        std::thread::Builder::new()
            .name("skytide-query".to_owned())
            .spawn(move || {
                // A panic is a defect of ours: it ends this query with an error, and nothing else.
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    run(plan, &mut source, &mut queue, &options, |status, _| {
                        ended.lock().status = status.clone();
                    })
                }));
                let outcome = outcome.unwrap_or_else(|panic| Err(RunError::of_panic(panic.as_ref())));
                let status = source.status();
                let mut left_out = LeftOut::default();
                let error = match outcome {
                    Ok(outcome) => {
                        left_out = LeftOut::of(&outcome);
                        None
                    }
                    Err(error) => Some(Failed::of(&error)),
                };
                drop(source);
                let mut state = ended.lock();
                state.status = status;
                state.left_out = left_out;
                state.has_ended = true;
                state.error = error;
                ended.tell(state);
            })
            .map_err(errors::runtime)?;
        Ok(Self { line: Reader::of(&line), schema })
    }

    /// Looks for Ctrl-C, which ends it; also while batches are always there: those who read on and on give
    /// Python no turn of their own.
    fn glance(&self, py: Python<'_>) -> PyResult<()> {
        py.check_signals().inspect_err(|_| self.line.stop())
    }

    /// Waits for the next batch; none at the end.
    fn next(&self, py: Python<'_>) -> PyResult<Option<RecordBatch>> {
        self.line.enter()?;
        loop {
            let waited = py.detach(|| self.line.next(Instant::now() + GLANCE));
            self.glance(py)?;
            match waited {
                Waited::Batch(batch) => return Ok(Some(batch)),
                Waited::End => return Ok(None),
                Waited::Failed(error) => return Err(error.into()),
                Waited::Nothing => {}
            }
        }
    }
}

#[pymethods]
impl Execution {
    /// Waits until there is something to read, or the end; no longer than a moment. Ctrl-C ends the query and
    /// is raised.
    fn wait(&self, py: Python<'_>) -> PyResult<()> {
        self.line.enter()?;
        py.detach(|| drop(self.line.wait(Instant::now() + GLANCE)));
        self.glance(py)
    }

    /// The next batch if one is there: (True, batch), (True, None) at the end, (False, None) if there is none yet.
    fn poll(&self) -> PyResult<(bool, Option<Batch>)> {
        self.line.enter()?;
        match self.line.next(Instant::now()) {
            Waited::Batch(batch) => Ok((true, Some(Batch(batch)))),
            Waited::End => Ok((true, None)),
            Waited::Nothing => Ok((false, None)),
            Waited::Failed(error) => Err(error.into()),
        }
    }

    /// Has `wake` called, from another thread, once there is something to read; False if there is already.
    fn notify(&self, wake: Py<PyAny>) -> PyResult<bool> {
        self.line.enter()?;
        let mut state = self.line.lock();
        if state.has_ended || !state.batches.is_empty() {
            return Ok(false);
        }
        state.wakes.push(wake);
        Ok(true)
    }

    /// Writes it to a file, to its end; gives the number of rows. What the file is is told by its name. A
    /// Parquet or Arrow file has its name once it is whole.
    #[expect(clippy::needless_pass_by_value, reason = "what Python gives is made anew")]
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<usize> {
        self.line.enter()?;
        // Nobody reads on where the file failed.
        write::write(py, &self.line.0, &self.schema, &path).inspect_err(|_| self.line.stop())
    }

    /// The late points of sources that keep them that came since the last call; the batches of each source in
    /// the order of arrival.
    fn late(&self) -> PyResult<Vec<Batch>> {
        self.line.enter()?;
        let kept = std::mem::take(&mut *self.line.late.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(kept.batches.into_iter().map(Batch).collect())
    }

    /// Ends it. What is complete can still be read. It does not wait for anything.
    fn stop(&self) {
        if self.line.is_here() {
            self.line.stop();
        }
    }

    /// Reads it to its end.
    fn collect(&self, py: Python<'_>) -> PyResult<Answer> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next(py)? {
            batches.push(batch);
        }
        Ok(Answer { schema: Arc::clone(&self.schema), batches })
    }

    /// Its rows' columns.
    #[getter]
    fn schema(&self) -> Schema {
        Schema(Arc::clone(&self.schema))
    }

    /// What the sources have done: messages or rows read, points handed on, what was left out, with the
    /// reason, bytes kept on disk while rows were sorted; and once it has ended, how many values became null
    /// in the query, and how many points moved nowhere, were held for a condition, or were not due.
    #[getter]
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.line.enter()?;
        let (status, left_out) = {
            let state = self.line.lock();
            (state.status.clone(), state.left_out)
        };
        let all = PyDict::new(py);
        all.set_item("read", status.read)?;
        all.set_item("points", status.points)?;
        all.set_item("cursor", status.cursor)?;
        all.set_item("spilled", status.spilled)?;
        all.set_item("overflows", left_out.overflows)?;
        all.set_item("misfits", left_out.misfits)?;
        all.set_item("moved_back", left_out.moved_back)?;
        all.set_item("held", left_out.held)?;
        all.set_item("not_due", left_out.not_due)?;
        let dropped = PyDict::new(py);
        for (reason, count) in status.dropped {
            dropped.set_item(reason, count)?;
        }
        all.set_item("dropped", dropped)?;
        Ok(all)
    }

    /// What is left to be read, as it comes.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        self.line.enter()?;
        let arrays = Rest { line: Reader::of(&self.line.0), asked_by: std::thread::current().id() };
        answer::stream(py, &self.schema, arrays, requested_schema)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, self.schema.as_ref())?)
    }
}

/// Someone who may read: the query ends when the last of them goes.
struct Reader(Arc<Line>);

impl Reader {
    fn of(line: &Arc<Line>) -> Self {
        line.lock().readers += 1;
        Self(Arc::clone(line))
    }
}

impl Deref for Reader {
    type Target = Line;

    fn deref(&self) -> &Line {
        &self.0
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.is_here() {
            return;
        }
        let mut state = self.lock();
        state.readers -= 1;
        if state.readers == 0 {
            self.stop.stop();
            state.is_left = true;
            state.wakes.clear();
            self.emptied.notify_all();
        }
    }
}

/// The batches that are still to come, for another library to read.
///
/// On the thread that asked for them, which is the one that reads as a rule, a wait lets go of the
/// interpreter, whether the library holds it or not, and looks for Ctrl-C. On any other thread it does
/// neither: the interpreter may be held by someone who waits for that thread.
struct Rest {
    line: Reader,
    asked_by: ThreadId,
}

impl Rest {
    /// Waits for no longer than a glance.
    fn wait(&self) -> Result<Waited, ArrowError> {
        let wait = || self.line.next(Instant::now() + GLANCE);
        if std::thread::current().id() != self.asked_by {
            return Ok(wait());
        }
        let waited = Python::try_attach(|py| {
            let waited = py.detach(wait);
            let Err(signal) = py.check_signals() else { return Ok(waited) };
            self.line.stop();
            if !signal.is_instance_of::<PyKeyboardInterrupt>(py) {
                return Err(ArrowError::ExternalError(signal.into()));
            }
            // Arrow's interface has no place for it: the stream ends, and as soon as the library returns it
            // is raised again.
            py.import("_thread")
                .and_then(|thread| thread.call_method0("interrupt_main"))
                .map_err(|error| ArrowError::ExternalError(error.into()))?;
            Ok(Waited::End)
        });
        // An interpreter that ends has no signals.
        waited.unwrap_or_else(|| Ok(wait()))
    }
}

impl Iterator for Rest {
    type Item = Result<ArrayRef, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.line.is_here() {
            return Some(Err(ArrowError::ExternalError(ELSEWHERE.into())));
        }
        // What is there is taken without asking for the interpreter.
        let mut waited = self.line.next(Instant::now());
        loop {
            waited = match waited {
                Waited::Batch(batch) => return Some(Ok(Arc::new(StructArray::from(batch)))),
                Waited::End => return None,
                Waited::Failed(error) => return Some(Err(ArrowError::ExternalError(error.message.into()))),
                Waited::Nothing => match self.wait() {
                    Ok(waited) => waited,
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }
}
