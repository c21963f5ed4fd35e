//! What those who wait for new rows wait by: a count that only rises, so that nothing that comes before the
//! wait is missed.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Rings when there is something new; one for all tables of a query.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<(Mutex<u64>, Condvar)>);

impl Bell {
    /// How often it has rung.
    #[must_use]
    pub fn count(&self) -> u64 {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings it.
    pub fn ring(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.1.notify_all();
    }

    /// Waits until it has rung more often than `seen`, at most so long.
    pub fn wait(&self, seen: u64, at_most: Duration) {
        let count = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.1.wait_timeout_while(count, at_most, |count| *count <= seen));
    }
}
