//! Frames that a program holds: in a list, in a store of its own, or made as they are asked for.
//!
//! A program lends its frames for the length of a call: they are decoded where they are, and nothing of them
//! is copied.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use skytide_atproto::frame;
use skytide_firehose::Batch;
use skytide_timestream::engine::Mode;

use crate::source::SourceError;

/// Frames that are lent one after the other, in the order of their stream.
pub trait Supply: Send {
    /// Shows what comes next, at most `max` frames, to `show`.
    ///
    /// With a zero `wait` it shows what can be had at once; with a longer one it may take its time, and
    /// whoever asks waits.
    ///
    /// # Errors
    /// What ended the frames ([`SourceError::Supply`]). Those before it have been shown by the calls before.
    fn visit(
        &mut self,
        max: usize,
        wait: Duration,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<Batch, SourceError>;
}

type Open = dyn Fn(Mode) -> Result<Box<dyn Supply>, SourceError> + Send + Sync;

/// Gives each query that reads a program's frames a [`Supply`] of its own.
#[derive(Clone)]
pub struct Supplier(Arc<Open>);

impl Supplier {
    /// `open` is called once for each query, when it starts, with how that is run: live, what is shown must
    /// not wait for a frame that is still to come.
    pub fn new(open: impl Fn(Mode) -> Result<Box<dyn Supply>, SourceError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }

    /// The frames from the beginning.
    ///
    /// # Errors
    /// There are none to be had.
    pub(crate) fn open(&self, mode: Mode) -> Result<Box<dyn Supply>, SourceError> {
        (self.0)(mode)
    }
}

impl PartialEq for Supplier {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Supplier {}

impl fmt::Debug for Supplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Supplier")
    }
}

/// The frames of a supply from a number on.
pub(crate) struct FromSeq {
    supply: Box<dyn Supply>,
    seq: u64,
    /// What the supply is called, if it is an error that no frame is numbered so.
    must: Option<String>,
    is_there: bool,
}

impl FromSeq {
    /// Leaves out what is before the first frame numbered `seq` or above. That there is none is an error if
    /// the supply has a name.
    pub(crate) fn new(supply: Box<dyn Supply>, seq: u64, must: Option<String>) -> Self {
        Self { supply, seq, must, is_there: false }
    }
}

impl Supply for FromSeq {
    fn visit(
        &mut self,
        max: usize,
        wait: Duration,
        show: &mut dyn FnMut(&[u8]),
    ) -> Result<Batch, SourceError> {
        if self.is_there {
            return self.supply.visit(max, wait, show);
        }
        let mut shown = 0;
        let batch = self.supply.visit(max, wait, &mut |bytes| {
            let reached = |bytes| frame::peek(bytes).is_ok_and(|peek| peek.seq >= Some(self.seq));
            self.is_there = self.is_there || reached(bytes);
            if self.is_there {
                shown += 1;
                show(bytes);
            }
        })?;
        match (batch, &self.must) {
            (Batch::Received(_), _) if shown > 0 => Ok(Batch::Received(shown)),
            // Whoever reads may want to stop before the place is found.
            (Batch::Received(_), _) => Ok(Batch::Idle),
            (Batch::Ended, Some(location)) => {
                Err(SourceError::NoFrame { location: location.clone(), seq: self.seq })
            }
            (batch, _) => Ok(batch),
        }
    }
}
