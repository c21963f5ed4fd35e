//! Calls of Python from threads that it does not know, as those of queries and subscriptions are.
//!
//! A thread that waits for Python's lock, or gives it back, while the interpreter ends is hung, or ends the
//! process. So before it ends calls are let finish and no new one begins.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// The interpreter that ends waits so long for calls to finish.
const PATIENCE: Duration = Duration::from_secs(5);

/// Does what needs the interpreter; nothing once it ends.
pub(crate) fn attached<T>(call: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    Call::begin().and_then(|_call| Python::try_attach(call))
}

/// Calls under way.
struct Calls {
    count: usize,
    has_ended: bool,
}

static CALLS: Mutex<Calls> = Mutex::new(Calls { count: 0, has_ended: false });
static FINISHED: Condvar = Condvar::new();

fn calls() -> MutexGuard<'static, Calls> {
    CALLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call under way.
struct Call;

impl Call {
    /// None once the interpreter ends.
    fn begin() -> Option<Self> {
        let mut calls = calls();
        if calls.has_ended {
            return None;
        }
        calls.count += 1;
        Some(Self)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        calls().count -= 1;
        FINISHED.notify_all();
    }
}

/// The interpreter ends: no call begins any more, and those under way are waited for.
#[pyfunction]
fn end_calls(py: Python<'_>) {
    py.detach(|| {
        let until = Instant::now() + PATIENCE;
        let mut calls = calls();
        calls.has_ended = true;
        while calls.count > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            calls = FINISHED.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    });
}

/// Has the interpreter say when it ends.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let end = wrap_pyfunction!(end_calls, module)?;
    module.py().import("atexit")?.call_method1("register", (end,))?;
    Ok(())
}
