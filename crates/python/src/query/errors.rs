//! What went wrong as Python's exceptions.

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use skytide_timestream::QueryError;

/// The exception of a query that means nothing: its text is the error with the place in the query under carets.
pub(super) fn query(error: &QueryError, text: &str) -> PyErr {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    Python::attach(|py| {
        let class = CLASS.get_or_try_init(py, || {
            let module = py.import("skytide._errors")?;
            module.getattr("QueryError").map(Bound::unbind)
        });
        let made = class.and_then(|class| class.bind(py).call1((error.render(text).trim_end(),)));
        made.map_or_else(|error| error, PyErr::from_value)
    })
}

/// What a program gave cannot be taken.
pub(super) fn value(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A run failed.
pub(super) fn runtime(error: impl std::fmt::Display) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}
