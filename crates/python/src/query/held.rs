//! Frames that Python holds as a source: the lock is taken to get some of them, and let go while they are decoded where they are.

use std::ops::Deref;
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
use super::udf::Call;
use crate::firehose::PyFrame;

/// So many frames are taken together: what the lock costs is nothing beside them, and no thread of Python's waits for long.
const TOGETHER: usize = 1024;
/// An iterator that takes its time is asked for no longer than this before what it gave is decoded.
const PATIENCE: Duration = Duration::from_millis(1);

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
            let supply = Iterating {
                iterator,
                is_there,
                together,
                held: Vec::new(),
                taken: 0,
                end: None,
                is_slow: together == 1,
            };
            Ok(Box::new(supply) as Box<dyn Supply>)
        };
        Python::try_attach(open).unwrap_or_else(|| Err(SourceError::Supply("Python ends".into())))
    })
}

fn raised(error: PyErr) -> SourceError {
    SourceError::Supply(Box::new(Raised::new(error)))
}

struct Iterating {
    iterator: Py<PyIterator>,
    /// Its frames are there already: to ask for one takes no time.
    is_there: bool,
    /// So many are asked for before they are decoded.
    together: usize,
    /// The frames at hand, which are let go once the lock is held again.
    held: Vec<Frame>,
    taken: usize,
    end: Option<Result<(), PyErr>>,
    /// It may take its time, or did when it was last asked.
    is_slow: bool,
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

impl Iterating {
    /// Takes the next frames, at most `max`.
    fn take(&mut self, py: Python<'_>, max: usize) {
        self.held.clear();
        self.is_slow = self.together == 1;
        let mut iterator = self.iterator.bind(py).clone();
        let begun = Instant::now();
        while self.held.len() < max {
            let item = match iterator.next() {
                None => Err(Ok(())),
                Some(item) => item.and_then(|item| Frame::of(item, self.taken)).map_err(Err),
            };
            match item {
                Ok(frame) => self.held.push(frame),
                Err(end) => {
                    self.end = Some(end);
                    return;
                }
            }
            self.taken += 1;
            if !self.is_there && begun.elapsed() >= PATIENCE {
                self.is_slow = true;
                return;
            }
        }
    }
}

impl Supply for Iterating {
    fn visit(
        &mut self,
        max: usize,
        wait: Duration,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<Batch, SourceError> {
        // Rows of what it gave go out before it is waited for again.
        if self.is_slow && wait.is_zero() {
            return Ok(Batch::Idle);
        }
        let mut shown = 0;
        while shown < max && self.end.is_none() {
            let taken = Call::begin()
                .and_then(|_call| Python::try_attach(|py| self.take(py, self.together.min(max - shown))));
            if taken.is_none() {
                return Err(SourceError::Supply("Python ends".into()));
            }
            self.held.iter().for_each(|frame| show(frame));
            shown += self.held.len();
            if self.is_slow {
                break;
            }
        }
        match self.end.take_if(|_| shown == 0) {
            None => Ok(Batch::Received(shown)),
            Some(Ok(())) => {
                self.end = Some(Ok(()));
                Ok(Batch::Ended)
            }
            Some(Err(error)) => {
                self.end = Some(Ok(()));
                Err(raised(error))
            }
        }
    }
}
