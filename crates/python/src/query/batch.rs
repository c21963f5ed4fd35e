//! A batch of an answer's rows.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::Field;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyString, PyTuple};
use pyo3_arrow::ffi::{to_array_pycapsules, to_schema_pycapsule};

use super::rows;

/// Rows of an answer.
#[pyclass(frozen, module = "skytide._skytide")]
pub(super) struct Batch(pub(super) RecordBatch);

#[pymethods]
impl Batch {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let rows = StructArray::from(self.0.clone());
        let field = Arc::new(Field::new("", rows.data_type().clone(), false));
        Ok(to_array_pycapsules(py, field, &rows, requested_schema)?)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, self.0.schema_ref().as_ref())?)
    }

    /// The rows as dicts.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.rows_of(py)
    }

    fn __len__(&self) -> usize {
        self.0.num_rows()
    }

    fn __repr__(&self) -> String {
        format!("<Batch of {} rows>", self.0.num_rows())
    }
}

impl Batch {
    /// The rows as dicts.
    pub(super) fn rows_of<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let columns =
            self.0.columns().iter().map(|column| rows::values(py, column)).collect::<PyResult<Vec<_>>>()?;
        let names: Vec<_> =
            self.0.schema_ref().fields().iter().map(|field| PyString::intern(py, field.name())).collect();
        let all = PyList::empty(py);
        for row in 0..self.0.num_rows() {
            let dict = PyDict::new(py);
            for (name, column) in names.iter().zip(&columns) {
                dict.set_item(name, &column[row])?;
            }
            all.append(dict)?;
        }
        Ok(all)
    }
}
