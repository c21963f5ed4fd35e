//! Functions of Python's in a query: the lock is taken for the call, and for nothing else.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3_arrow::{PyArray, PyDataType};
use skytide_timestream::functions;
use skytide_timestream::functions::user::{UserDefined, UserFunction};

use super::errors;
use crate::calls;

/// A function of Python's that queries can call.
#[pyclass(frozen, module = "skytide._skytide")]
pub(super) struct Udf(pub(super) Arc<Function>);

/// The same, as expressions hold it. Of two of one name in one expression the second is called by another: a
/// function that is defined again is another one.
pub(super) struct Function {
    /// What chains call it, which no other function is called.
    pub(super) id: String,
    /// By the name of its signature.
    pub(super) named: Arc<UserDefined>,
    /// Its signature without the name.
    signature: String,
    function: Py<PyAny>,
}

/// Number of the next function.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Function {
    /// By a name.
    pub(super) fn called(&self, name: &str) -> PyResult<Arc<UserDefined>> {
        if name == self.named.name() {
            return Ok(Arc::clone(&self.named));
        }
        Python::attach(|py| defined(name, &self.signature, self.function.clone_ref(py)))
    }
}

fn defined(name: &str, signature: &str, function: Py<PyAny>) -> PyResult<Arc<UserDefined>> {
    let function = OfPython { signature: format!("{name}{signature}"), function };
    UserDefined::new(function).map(Arc::new).map_err(errors::value)
}

#[pymethods]
impl Udf {
    /// `function` is called with pyarrow's type of the result and an array for each parameter, and gives an
    /// array: pyarrow's, or what has `__arrow_c_array__`. A name that the engine has itself gets a `_` at its
    /// end.
    #[new]
    fn new(py: Python<'_>, signature: &str, function: Py<PyAny>) -> PyResult<Self> {
        let (name, rest) = signature.split_at(signature.find(['<', '(']).unwrap_or(signature.len()));
        let mut name = name.trim().to_owned();
        while functions::find(&name).is_some() {
            name.push('_');
        }
        let named = defined(&name, rest, function.clone_ref(py))?;
        let id = format!("{name}#{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Ok(Self(Arc::new(Function { id, named, signature: rest.to_owned(), function })))
    }

    /// Its name in queries.
    #[getter]
    fn name(&self) -> &str {
        self.0.named.name()
    }

    /// What it takes and gives.
    #[getter]
    fn signature(&self) -> &str {
        self.0.named.text()
    }
}

struct OfPython {
    signature: String,
    function: Py<PyAny>,
}

impl UserFunction for OfPython {
    fn signature(&self) -> &str {
        &self.signature
    }

    fn evaluate(
        &self,
        arguments: &[ArrayRef],
        result: &DataType,
    ) -> Result<ArrayRef, Box<dyn Error + Send + Sync>> {
        let call =
            |py: Python<'_>| self.call(py, arguments, result).map_err(|error| PythonError::new(py, error));
        match calls::attached(call) {
            Some(outcome) => Ok(outcome?),
            None => Err("Python ends".into()),
        }
    }
}

impl OfPython {
    fn call(&self, py: Python<'_>, arguments: &[ArrayRef], result: &DataType) -> PyResult<ArrayRef> {
        let arguments: Vec<_> = arguments.iter().map(|of| PyArray::from_array_ref(Arc::clone(of))).collect();
        let mut given = vec![PyDataType::new(result.clone()).into_pyarrow(py)?];
        for argument in &arguments {
            given.push(argument.to_pyarrow(py)?);
        }
        let values = self.function.bind(py).call1(PyTuple::new(py, given)?)?;
        Ok(values.extract::<PyArray>()?.into_inner().0)
    }
}

/// An exception that a function of Python's raised.
#[derive(Debug)]
pub(super) struct PythonError {
    /// What it says, and where it was raised.
    text: String,
    pub(super) exception: Arc<PyErr>,
}

impl PythonError {
    fn new(py: Python<'_>, exception: PyErr) -> Self {
        let trace = exception.traceback(py).and_then(|trace| trace.format().ok());
        let text = match trace {
            Some(trace) => format!("{exception}\n\n{}", trace.trim_end()),
            None => exception.to_string(),
        };
        Self { text, exception: Arc::new(exception) }
    }
}

impl fmt::Display for PythonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for PythonError {}
