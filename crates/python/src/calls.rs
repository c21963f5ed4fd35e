//! Calls of Python from threads that it does not know, as those of queries and subscriptions are.
//!
//! A thread that waits for Python's lock, or gives it back, while the interpreter ends is hung, or ends the
//! process. So before it ends calls are let finish and no new one begins.

use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// The interpreter that ends waits so long for calls to finish.
const PATIENCE: Duration = Duration::from_secs(5);
/// So often it looks whether they have.
const GLANCE: Duration = Duration::from_millis(1);

/// Does what needs the interpreter; nothing once it ends.
pub(crate) fn attached<T>(call: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    Call::begin().and_then(|_call| Python::try_attach(call))
}

/// Calls under way: the process that they are of in the upper half, how many in the lower. A process that is
/// forked has the number and not the threads, so it counts anew; and no lock, which a thread that it does not
/// have could hold for ever.
static UNDER_WAY: AtomicU64 = AtomicU64::new(0);
static HAS_ENDED: AtomicBool = AtomicBool::new(false);

/// What stands for this process in the upper half.
fn process() -> u64 {
    u64::from(process::id()) << 32
}

/// How many of the calls are of a process.
fn count(calls: u64, process: u64) -> u64 {
    calls.checked_sub(process).filter(|count| *count <= u32::MAX.into()).unwrap_or(0)
}

/// A call under way, of this process.
struct Call(u64);

impl Call {
    /// None once the interpreter ends.
    fn begin() -> Option<Self> {
        let process = process();
        // It is counted before it looks: who ends says so before it counts.
        UNDER_WAY.update(Ordering::SeqCst, Ordering::SeqCst, |calls| process + count(calls, process) + 1);
        let call = Self(process);
        (!HAS_ENDED.load(Ordering::SeqCst)).then_some(call)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // One that was begun before the process was forked is not counted in this.
        if self.0 == process() {
            UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// The interpreter ends: no call begins any more, and those under way are waited for.
#[pyfunction]
fn end_calls(py: Python<'_>) {
    py.detach(|| {
        let until = Instant::now() + PATIENCE;
        HAS_ENDED.store(true, Ordering::SeqCst);
        while count(UNDER_WAY.load(Ordering::SeqCst), process()) > 0 && Instant::now() < until {
            thread::sleep(GLANCE);
        }
    });
}

/// Has the interpreter say when it ends.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let end = wrap_pyfunction!(end_calls, module)?;
    module.py().import("atexit")?.call_method1("register", (end,))?;
    Ok(())
}
