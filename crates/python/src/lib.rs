//! The native half of the Python package `skytide`: it hands the Rust core on, and has no logic of its own.

mod calls;
mod firehose;
mod query;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

/// What is Python's is held once a process here, as classes of exceptions are: another interpreter would get
/// the first one's, and threads that call Python would wait for it for ever.
fn refuse_another_interpreter(py: Python<'_>) -> PyResult<()> {
    let name = if py.version_info() >= (3, 13) { "_interpreters" } else { "_xxsubinterpreters" };
    // A Python without it has one interpreter, or is a program's own.
    let Ok(interpreters) = py.import(name) else { return Ok(()) };
    if interpreters.call_method0("get_current")?.eq(interpreters.call_method0("get_main")?)? {
        return Ok(());
    }
    Err(PyImportError::new_err("skytide runs in the main interpreter of a process, not in a sub-interpreter"))
}

/// The module `skytide._skytide`.
#[pymodule(gil_used = false)]
mod _skytide {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::refuse_another_interpreter(module.py())?;
        skytide_connect::files::hush_caught();
        crate::calls::add(module)?;
        crate::firehose::add(module)?;
        crate::query::add(module)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
