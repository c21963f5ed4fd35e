//! `Session`: a client's subscriptions, one after the other, and its place in the stream; `Frames` and
//! `AsyncFrames`, what one of them hands out.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::{PyStopAsyncIteration, PyValueError};
use pyo3::prelude::*;
use skytide_firehose::{
    Backoff, Batch, Blocking, Buffered, Builder, Cursor, Frame, Handle, Overflow, Subscription,
};

use super::errors::ended;
use super::frame::PyFrame;
use crate::calls;

/// A wait for frames is broken off after so long, to look for signals.
const SLICE: Duration = Duration::from_millis(50);

/// So many frames are received together.
const TOGETHER: usize = 256;

/// So many frames are read ahead for an async reader.
const AHEAD: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a session and its subscriptions share.
#[derive(Default)]
struct Place {
    /// The number of the last frame that was handed out.
    cursor: Mutex<Option<u64>>,
}

/// One subscription of a session.
struct Run {
    handle: Handle,
    stopped: AtomicBool,
    /// An error ended it.
    failed: AtomicBool,
    place: Arc<Place>,
    /// Of a blocking one. Taken when it is over, which closes the connection.
    blocking: Mutex<Option<Blocking>>,
    /// Received and not yet handed out.
    ready: Mutex<VecDeque<Frame>>,
}

impl Run {
    fn new(handle: Handle, place: Arc<Place>, blocking: Option<Blocking>) -> Arc<Self> {
        Arc::new(Self {
            handle,
            stopped: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            place,
            blocking: Mutex::new(blocking),
            ready: Mutex::default(),
        })
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Ends it without waiting for anything.
    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.handle.stop();
        // Where it is held, a thread receives, which drops it when it sees the stop.
        match self.blocking.try_lock() {
            Ok(mut blocking) => drop(blocking.take()),
            Err(TryLockError::Poisoned(held)) => drop(held.into_inner().take()),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// The next frame that is there. It counts as handed out.
    fn next_ready(&self) -> Option<PyFrame> {
        if self.is_stopped() {
            return None;
        }
        let frame = lock(&self.ready).pop_front()?;
        if frame.seq.is_some() {
            *lock(&self.place.cursor) = frame.seq;
        }
        // A copy of its own: as it came it shares a buffer with others, all of which would stay as long as
        // the program keeps it.
        Some(PyFrame(Bytes::copy_from_slice(&frame.bytes)))
    }

    fn fail(&self, error: &skytide_firehose::Error) -> PyErr {
        self.failed.store(true, Ordering::Release);
        ended(error)
    }
}

/// A client's side of a stream: what to subscribe to, and where it is.
#[pyclass(frozen, module = "skytide._skytide")]
pub(crate) struct Session {
    builder: Builder,
    place: Arc<Place>,
    run: Mutex<Option<Arc<Run>>>,
}

fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|error| PyValueError::new_err(format!("{name}={value}: {error}")))
}

#[pymethods]
impl Session {
    #[new]
    #[pyo3(signature = (stream, address, *, recv_timeout, backoff, max_backoff))]
    fn new(
        stream: &str,
        address: &str,
        recv_timeout: Option<f64>,
        backoff: f64,
        max_backoff: f64,
    ) -> PyResult<Self> {
        let builder =
            if stream == "labels" { Subscription::labels(address) } else { Subscription::repos(address) };
        let recv_timeout = recv_timeout.map(|value| seconds("recv_timeout", value)).transpose()?;
        let waits =
            Backoff::default().first(seconds("backoff", backoff)?).cap(seconds("max_backoff", max_backoff)?);
        let builder = builder.receive_timeout(recv_timeout).backoff(waits);
        // An address that is none shows here.
        builder.clone().stream().map_err(|error| ended(&error))?;
        Ok(Self { builder, place: Arc::default(), run: Mutex::default() })
    }

    /// Subscribes for a blocking reader, in place of the subscription before. `reconnects`: how often in a row a lost
    /// connection is made anew without a frame; with a limit, the first attempt is the only first one, too.
    #[pyo3(signature = (cursor, parameters, reconnects))]
    fn frames(
        &self,
        cursor: Option<u64>,
        parameters: Vec<(String, String)>,
        reconnects: Option<u32>,
    ) -> PyResult<Frames> {
        let builder = self.builder(cursor, parameters, reconnects);
        let blocking = builder.blocking().map_err(|error| ended(&error))?;
        let run = Run::new(blocking.handle(), Arc::clone(&self.place), Some(blocking));
        *lock(&self.run) = Some(Arc::clone(&run));
        Ok(Frames { run })
    }

    /// Subscribes for an async reader, as `frames` does for a blocking one.
    #[pyo3(signature = (cursor, parameters, reconnects))]
    fn frames_async(
        &self,
        cursor: Option<u64>,
        parameters: Vec<(String, String)>,
        reconnects: Option<u32>,
    ) -> PyResult<AsyncFrames> {
        let builder = self.builder(cursor, parameters, reconnects);
        let buffered = builder.buffered(AHEAD, Overflow::Wait).map_err(|error| ended(&error))?;
        let run = Run::new(buffered.handle(), Arc::clone(&self.place), None);
        *lock(&self.run) = Some(Arc::clone(&run));
        Ok(AsyncFrames { run, buffered: Mutex::new(Some(buffered)) })
    }

    /// The number of the last frame handed out; `None` before the first.
    #[getter]
    fn cursor(&self) -> Option<u64> {
        *lock(&self.place.cursor)
    }

    /// Sets what the next connection asks for.
    fn set_parameters(&self, parameters: Vec<(String, String)>) -> PyResult<()> {
        match &*lock(&self.run) {
            Some(run) => run
                .handle
                .set_parameters(parameters)
                .map_err(|error| PyValueError::new_err(error.to_string())),
            None => Ok(()),
        }
    }

    /// Ends the subscription, from whichever thread, without waiting.
    fn stop(&self) {
        if let Some(run) = &*lock(&self.run) {
            run.stop();
        }
    }
}

impl Session {
    /// Ends the subscription that there is and describes the next.
    fn builder(
        &self,
        cursor: Option<u64>,
        parameters: Vec<(String, String)>,
        reconnects: Option<u32>,
    ) -> Builder {
        let before = lock(&self.run).take();
        let failures = before.map_or(0, |run| {
            run.stop();
            if run.failed.load(Ordering::Acquire) { run.handle.failures() } else { 0 }
        });
        self.builder
            .clone()
            .cursor(cursor.map_or(Cursor::Live, Cursor::Seq))
            .parameters(parameters)
            .reconnects(reconnects)
            .first_attempts(reconnects.map(|_| 1))
            .after_failures(failures)
            .hand_on_refused(true)
    }
}

/// The frames of a subscription: a blocking iterator.
#[pyclass(frozen, module = "skytide._skytide")]
pub(crate) struct Frames {
    run: Arc<Run>,
}

/// How a wait of a slice's length ended.
enum Slice {
    Filled,
    Idle,
    Over,
}

impl Frames {
    /// Receives for no longer than a slice. Not to be called with the interpreter held.
    fn receive(&self) -> Result<Slice, skytide_firehose::Error> {
        let run = &*self.run;
        let mut held = lock(&run.blocking);
        // Another thread may have filled it while this one waited for the lock.
        if !lock(&run.ready).is_empty() && !run.is_stopped() {
            return Ok(Slice::Filled);
        }
        let Some(blocking) = held.as_mut().filter(|_| !run.is_stopped()) else {
            drop(held.take());
            return Ok(Slice::Over);
        };
        let mut batch = Vec::new();
        let received = blocking.next_batch_within(&mut batch, TOGETHER, SLICE);
        if !matches!(received, Ok(Batch::Received(_) | Batch::Idle)) {
            drop(held.take());
        }
        lock(&run.ready).extend(batch);
        Ok(match received? {
            Batch::Received(_) => Slice::Filled,
            Batch::Idle => Slice::Idle,
            Batch::Ended => Slice::Over,
        })
    }
}

#[pymethods]
impl Frames {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<PyFrame>> {
        loop {
            if let Some(frame) = self.run.next_ready() {
                return Ok(Some(frame));
            }
            match py.detach(|| self.receive()) {
                Ok(Slice::Filled) => {}
                Ok(Slice::Idle) => py.check_signals()?,
                Ok(Slice::Over) => return Ok(None),
                Err(error) => return Err(self.run.fail(&error)),
            }
        }
    }

    /// Ends the subscription, if it has not been followed by another one, and closes its connection.
    fn stop(&self) {
        self.run.stop();
    }
}

/// The frames of a subscription that reads ahead on a thread of its own, for an async iterator.
#[pyclass(frozen, module = "skytide._skytide")]
pub(crate) struct AsyncFrames {
    run: Arc<Run>,
    buffered: Mutex<Option<Buffered>>,
}

/// Calls a Python function, from the thread that receives.
struct Call(Py<PyAny>);

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        // A loop that is closed, or an interpreter that ends, waits for nothing.
        calls::attached(|py| self.0.call0(py).map(drop).unwrap_or_default());
    }
}

#[pymethods]
impl AsyncFrames {
    /// A frame that is there at once; `None` if `take` has to be asked.
    fn ready(&self) -> Option<PyFrame> {
        self.run.next_ready()
    }

    /// A frame, or `None` after which `wake` is called, from another thread, when it is worth asking again.
    /// Raises what ended the subscription, once, then `StopAsyncIteration`.
    fn take(&self, py: Python<'_>, wake: Py<PyAny>) -> PyResult<Option<PyFrame>> {
        let waker = Waker::from(Arc::new(Call(wake)));
        loop {
            // Another reader may have received more than it took.
            if let Some(frame) = self.run.next_ready() {
                return Ok(Some(frame));
            }
            let polled = py.detach(|| {
                let mut batch = Vec::new();
                let mut held = lock(&self.buffered);
                let Some(buffered) = held.as_mut().filter(|_| !self.run.is_stopped()) else {
                    return Poll::Ready(Ok(0));
                };
                let polled = buffered.poll_batch(&mut Context::from_waker(&waker), &mut batch, TOGETHER);
                lock(&self.run.ready).extend(batch);
                polled
            });
            match polled {
                Poll::Pending => return Ok(None),
                Poll::Ready(Ok(0)) => return Err(PyStopAsyncIteration::new_err(())),
                // Where a stop came meanwhile there is none to hand out, and nobody will wake: it is seen at
                // the next look.
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Err(self.run.fail(&error)),
            }
        }
    }

    /// Ends the subscription without waiting for its thread.
    fn stop(&self) {
        self.run.stop();
    }

    /// Ends the subscription and its thread.
    fn close(&self, py: Python<'_>) {
        self.run.stop();
        py.detach(|| drop(lock(&self.buffered).take()));
    }
}

impl Drop for AsyncFrames {
    fn drop(&mut self) {
        // Its thread is waited for, and may be waiting for the interpreter.
        let buffered = lock(&self.buffered).take();
        Python::try_attach(|py| py.detach(|| drop(buffered)));
    }
}
