//! A lock that knows its process: in one that is forked from that, a thread that is not there may hold it, for ever.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// What threads of one process share.
pub(super) struct Lock<T> {
    held: Mutex<T>,
    process: AtomicU32,
}

impl<T> Lock<T> {
    pub(super) fn new(value: T) -> Self {
        Self { held: Mutex::new(value), process: AtomicU32::new(process::id()) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it one of this process, if that was forked from another, before anyone here has locked it: `fit`
    /// sees to what it holds, and says whether that could be done. False where it could not, or a thread of
    /// the other process has the lock.
    pub(super) fn enter(&self, fit: impl FnOnce(&mut T) -> bool) -> bool {
        if self.process.load(Ordering::Relaxed) == process::id() {
            return true;
        }
        let is_fit = match self.held.try_lock() {
            Ok(mut value) => fit(&mut value),
            Err(TryLockError::Poisoned(value)) => fit(&mut value.into_inner()),
            Err(TryLockError::WouldBlock) => false,
        };
        if is_fit {
            self.process.store(process::id(), Ordering::Relaxed);
        }
        is_fit
    }
}
