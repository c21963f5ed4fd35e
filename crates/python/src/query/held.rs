//! Frames that Python holds as a source: the lock is taken to get some of them, and let go while they are
//! decoded where they are.

use std::ops::Deref;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyIterator, PyList, PyTuple};
use skytide_connect::source::SourceError;
use skytide_connect::supply::{Supplier, Supply};
use skytide_firehose::Batch;
use skytide_timestream::engine::Mode;

use super::errors::Raised;
use crate::calls;
use crate::firehose::PyFrame;

/// So many frames are taken together: what the lock costs is nothing beside them, and no thread of Python's
/// waits for long.
const TOGETHER: usize = 1024;
/// An iterator that takes its time is asked for no longer than this before what it gave is handed on.
const PATIENCE: Duration = Duration::from_millis(1);
/// So many frames that were taken one by one may lie ready.
const READY: usize = 256;

/// Gives each query an iterator of its own over these frames.
pub(super) fn supplier(frames: Py<PyAny>) -> Supplier {
    Supplier::new(move |mode| {
        let open = |py: Python<'_>| {
            let frames = frames.bind(py);
            let is_there =
                frames.is_exact_instance_of::<PyList>() || frames.is_exact_instance_of::<PyTuple>();
            let iterator = frames.try_iter().map_err(raised)?.unbind();
            // Live, a frame that is there is not kept waiting for the next one, which may be long in coming.
            let together = if is_there || mode == Mode::Once { TOGETHER } else { 1 };
            let asking = Asking { iterator, is_there, together, taken: 0 };
            if is_there {
                return Ok(Box::new(There { asking, given: Given::default() }) as Box<dyn Supply>);
            }
            Ok(Box::new(Awaited::start(asking)?) as Box<dyn Supply>)
        };
        Python::try_attach(open).unwrap_or_else(|| Err(ended()))
    })
}

fn ended() -> SourceError {
    SourceError::Supply("Python ends".into())
}

fn raised(error: PyErr) -> SourceError {
    SourceError::Supply(Box::new(Raised::new(error)))
}

/// An iterator, and how it is asked.
struct Asking {
    iterator: Py<PyIterator>,
    /// Its frames are there already: to ask for one takes no time.
    is_there: bool,
    /// So many are asked for before they are handed on.
    together: usize,
    taken: usize,
}

/// Frames that an iterator gave, in order, and whether there are more.
#[derive(Default)]
struct Given {
    frames: Vec<Frame>,
    end: Option<Result<(), PyErr>>,
}

/// A frame that an object of Python's holds.
enum Frame {
    Borrowed(PyBackedBytes),
    Shared(Bytes),
    /// Of an object that may change.
    Copied(Vec<u8>),
}

impl Deref for Frame {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Copied(bytes) => bytes,
        }
    }
}

impl Frame {
    /// The frame that is item number `at`.
    #[inline]
    fn of(item: Bound<'_, PyAny>, at: usize) -> PyResult<Self> {
        match item.cast_into::<PyBytes>() {
            Ok(bytes) => Ok(Self::Borrowed(bytes.into())),
            Err(other) => Self::of_other(&other.into_inner(), at),
        }
    }

    fn of_other(item: &Bound<'_, PyAny>, at: usize) -> PyResult<Self> {
        if let Ok(frame) = item.cast::<PyFrame>() {
            return Ok(Self::Shared(frame.get().bytes()));
        }
        match PyBuffer::<u8>::get(item) {
            Ok(buffer) => Ok(Self::Copied(buffer.to_vec(item.py())?)),
            Err(_) => {
                let what = item.get_type().name()?;
                let message = format!("item {at} of the frames is no bytes and no MessageFrame, but {what}");
                Err(PyTypeError::new_err(message))
            }
        }
    }
}

impl Asking {
    /// Takes the next frames, at most `max`.
    fn take(&mut self, py: Python<'_>, max: usize, given: &mut Given) {
        let mut iterator = self.iterator.bind(py).clone();
        let begun = Instant::now();
        while given.frames.len() < max {
            let item = match iterator.next() {
                None => Err(Ok(())),
                Some(item) => item.and_then(|item| Frame::of(item, self.taken)).map_err(Err),
            };
            match item {
                Ok(frame) => given.frames.push(frame),
                Err(end) => {
                    given.end = Some(end);
                    return;
                }
            }
            self.taken += 1;
            if !self.is_there && begun.elapsed() >= PATIENCE {
                return;
            }
        }
    }
}

/// What an iterator ended with, told once; from then on it has ended.
fn told(end: &mut Option<Result<(), PyErr>>) -> Option<Result<Batch, SourceError>> {
    match end.replace(Ok(()))? {
        Ok(()) => Some(Ok(Batch::Ended)),
        Err(error) => Some(Err(raised(error))),
    }
}

/// Frames of a list: they are asked for by who reads them.
struct There {
    asking: Asking,
    given: Given,
}

impl Supply for There {
    fn visit(&mut self, max: usize, _: Duration, show: &mut dyn FnMut(&[u8])) -> Result<Batch, SourceError> {
        let mut shown = 0;
        let given = &mut self.given;
        while shown < max && given.end.is_none() {
            let taken = calls::attached(|py| {
                // They are let go while the lock is held.
                given.frames.clear();
                self.asking.take(py, self.asking.together.min(max - shown), given);
            });
            taken.ok_or_else(ended)?;
            given.frames.iter().for_each(|frame| show(frame));
            shown += given.frames.len();
        }
        match given.end.is_some() && shown == 0 {
            true => told(&mut given.end).unwrap_or(Ok(Batch::Ended)),
            false => Ok(Batch::Received(shown)),
        }
    }
}

/// Frames of an iterator that may take its time: a thread of its own asks it, so that who reads waits no
/// longer than it may.
struct Awaited {
    given: Receiver<Given>,
    /// Takes frames back, to be let go while the lock is held.
    back: Sender<Vec<Frame>>,
    held: Given,
    /// The first of those held that was not shown.
    at: usize,
}

impl Awaited {
    fn start(mut asking: Asking) -> Result<Self, SourceError> {
        let (give, given) = sync_channel(READY / asking.together.min(READY));
        let (back, shown) = channel::<Vec<Frame>>();
        let ask = move || {
            loop {
                let mut next = Given::default();
                let taken = calls::attached(|py| {
                    shown.try_iter().for_each(drop);
                    asking.take(py, asking.together, &mut next);
                });
                let is_last = taken.is_none() || next.end.is_some();
                // Who reads may have gone.
                if taken.is_none() || give.send(next).is_err() || is_last {
                    return;
                }
            }
        };
        let started = thread::Builder::new().name("skytide-frames".to_owned()).spawn(ask);
        started.map_err(|error| SourceError::Supply(error.into()))?;
        Ok(Self { given, back, held: Given::default(), at: 0 })
    }
}

impl Supply for Awaited {
    fn visit(
        &mut self,
        max: usize,
        wait: Duration,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<Batch, SourceError> {
        let mut shown = 0;
        while shown < max {
            if let Some(frame) = self.held.frames.get(self.at) {
                show(frame);
                (self.at, shown) = (self.at + 1, shown + 1);
                continue;
            }
            if self.held.end.is_some() {
                break;
            }
            match self.given.recv_timeout(if shown == 0 { wait } else { Duration::ZERO }) {
                Ok(given) => {
                    let held = std::mem::replace(&mut self.held, given);
                    self.at = 0;
                    // Its thread may have asked for the last of them.
                    drop(self.back.send(held.frames));
                }
                Err(RecvTimeoutError::Timeout) if shown == 0 => return Ok(Batch::Idle),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Err(ended()),
            }
        }
        match shown {
            0 => told(&mut self.held.end).unwrap_or(Ok(Batch::Idle)),
            _ => Ok(Batch::Received(shown)),
        }
    }
}
