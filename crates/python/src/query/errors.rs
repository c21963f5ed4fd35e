//! What went wrong as Python's exceptions.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use skytide_connect::files::FileError;
use skytide_connect::sink::SinkError;
use skytide_connect::source::SourceError;
use skytide_connect::tables::{ColumnError, TableError};
use skytide_firehose::recording::RecordingError;
use skytide_timestream::QueryError;
use skytide_timestream::engine::EngineError;

use super::udf::PythonError;

/// An exception of the package's own.
fn own(known: &PyOnceLock<Py<PyAny>>, class: &str, text: &str) -> PyErr {
    Python::attach(|py| {
        let class = known.get_or_try_init(py, || {
            let module = py.import("skytide._errors")?;
            module.getattr(class).map(Bound::unbind)
        });
        let made = class.and_then(|class| class.bind(py).call1((text,)));
        made.map_or_else(|error| error, PyErr::from_value)
    })
}

/// The exception of a query that means nothing: its text is the error with the place in the query under carets.
pub(super) fn query(error: &QueryError, text: &str) -> PyErr {
    unfit(error.render(text).trim_end())
}

/// A table that cannot be.
pub(super) fn table(error: TableError) -> PyErr {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    match error {
        TableError::Column(ColumnError::NoColumn { .. }) => own(&CLASS, "ColumnError", &error.to_string()),
        error => value(error),
    }
}

/// What a program gave cannot be taken.
pub(super) fn value(error: impl fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Why a run failed, and the exception behind it if it was one of Python's.
pub(super) struct Failed {
    pub(super) message: String,
    cause: Option<Arc<PyErr>>,
    /// What is raised instead: an exception of the program's own, which came through untouched.
    raised: Option<Arc<PyErr>>,
}

/// An exception of the program's own that ends a run as what it is.
#[derive(Debug)]
pub(super) struct Raised(Arc<PyErr>);

impl Raised {
    pub(super) fn new(error: PyErr) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Raised {}

impl Failed {
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let causes = || std::iter::successors(Some(error), |&error| error.source());
        let cause = causes().find_map(|error| error.downcast_ref::<PythonError>());
        let raised = causes().find_map(|error| error.downcast_ref::<Raised>());
        let unopened = || causes().find_map(|error| unopened(error.downcast_ref()?));
        Self {
            message: error.to_string(),
            cause: cause.map(|cause| Arc::clone(&cause.exception)),
            raised: raised.map(|raised| Arc::clone(&raised.0)).or_else(|| unopened().map(Arc::new)),
        }
    }
}

impl From<Failed> for PyErr {
    fn from(failed: Failed) -> Self {
        if let Some(raised) = failed.raised {
            return Python::attach(|py| raised.clone_ref(py));
        }
        let error = runtime(failed.message);
        if let Some(cause) = failed.cause {
            Python::attach(|py| error.set_cause(py, Some(cause.clone_ref(py))));
        }
        error
    }
}

/// What the system refuses with a file: an OSError of its kind, with the file's name.
fn system(error: &std::io::Error, path: &Path) -> PyErr {
    match error.raw_os_error() {
        Some(code) => of_code(code, path),
        None => PyOSError::new_err(format!("{}: {error}", path.display())),
    }
}

/// A recording that cannot be opened is Python's exception for that, as any other file.
fn unopened(error: &SourceError) -> Option<PyErr> {
    match error {
        SourceError::Recording(RecordingError::Open { path, source }) => Some(system(source, path)),
        _ => None,
    }
}

/// A file cannot be a source.
pub(super) fn file(error: FileError) -> PyErr {
    match error {
        FileError::Io { path, source } => system(&source, &path),
        error => value(error),
    }
}

fn of_code(code: i32, path: &Path) -> PyErr {
    let text = Python::attach(|py| py.import("os")?.call_method1("strerror", (code,))?.extract::<String>());
    match text {
        // The class of it is Python's to find, by the number.
        Ok(text) => PyOSError::new_err((code, text, path.as_os_str().to_owned())),
        Err(error) => error,
    }
}

/// A file could not be written.
pub(super) fn sink(error: SinkError, path: &Path) -> PyErr {
    match error {
        SinkError::Io(error) => system(&error, path),
        SinkError::File { path, code: Some(code), .. } => of_code(code, &path),
        SinkError::File { .. } => PyOSError::new_err(error.to_string()),
        SinkError::Column { .. } => value(error),
        SinkError::Format(_) => runtime(error),
    }
}

/// What an answer's columns are cannot be: a field has a name that every answer has.
pub(super) fn columns(error: &EngineError) -> PyErr {
    match error {
        EngineError::Taken(_) => unfit(&error.to_string()),
        other => runtime(other),
    }
}

/// A query that means something, but has no answer.
fn unfit(text: &str) -> PyErr {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    own(&CLASS, "QueryError", text)
}

/// A run failed.
pub(super) fn runtime(error: impl fmt::Display) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}
