//! How work is cut short: an epoch may take long, and whoever has asked for an end waits no longer than a
//! moment for it.
//!
//! A job's own thread is at work, so nobody can take it away from outside: loops that may be long look from
//! time to time. When it is time is not decided here, where there is no clock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::EngineError;

/// Loops look each so many rows.
pub(crate) const LOOK: usize = 256;

/// What operators look at; all workers may do so at once.
pub trait Watch: Send + Sync {
    /// Whether to leave what is being worked at.
    fn is_due(&self) -> bool;

    /// How long it has been going, by which slow functions are told from quick ones.
    fn time(&self) -> Duration;
}

/// A watch, or none: then nothing is left, and nothing is slow.
#[derive(Clone, Default)]
pub struct Halt(Option<Arc<dyn Watch>>);

impl Halt {
    /// Work is left when this watch says so.
    #[must_use]
    pub fn by(watch: Arc<dyn Watch>) -> Self {
        Self(Some(watch))
    }

    /// For `?`: that work is to be left now.
    #[inline]
    pub(crate) fn look(&self) -> Result<(), EngineError> {
        if self.0.as_ref().is_some_and(|watch| watch.is_due()) { Err(EngineError::Halted) } else { Ok(()) }
    }

    /// How long the watch has been going.
    pub(crate) fn time(&self) -> Duration {
        self.0.as_ref().map_or(Duration::ZERO, |watch| watch.time())
    }
}

impl fmt::Debug for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Halt").field(&self.0.is_some()).finish()
    }
}
