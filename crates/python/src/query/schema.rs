//! Types and schemas, handed over by Arrow's C interface.

use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, Fields, SchemaRef};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList, PyString};
use pyo3_arrow::PySchema;
use pyo3_arrow::ffi::to_schema_pycapsule;
use skytide_timestream::types;

/// Deepest nesting of a schema written as a dict.
const MAX_DEPTH: usize = 64;

/// The type of a stream's values.
#[pyclass(frozen, eq, module = "skytide._skytide")]
#[derive(PartialEq)]
pub(super) struct DataType(pub(super) ArrowType);

#[pymethods]
impl DataType {
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, Field::new("", self.0.clone(), true))?)
    }

    /// The names of its fields; None where it is no struct.
    #[getter]
    fn names(&self) -> Option<Vec<String>> {
        match &self.0 {
            ArrowType::Struct(fields) => Some(fields.iter().map(|field| field.name().clone()).collect()),
            _ => None,
        }
    }

    /// The names that `col` takes: of its fields, or of those of a list's items; empty where there are none.
    #[getter]
    fn columns(&self) -> Vec<String> {
        types::fields(&self.0).into_iter().flatten().map(|field| field.name().clone()).collect()
    }

    /// Whether its values are found by keys.
    #[getter]
    fn is_map(&self) -> bool {
        matches!(self.0, ArrowType::Map(..))
    }

    fn __str__(&self) -> String {
        types::name(&self.0)
    }

    fn __repr__(&self) -> String {
        format!("DataType({})", types::name(&self.0))
    }
}

/// Names and types of columns.
#[pyclass(frozen, module = "skytide._skytide")]
pub(super) struct Schema(pub(super) SchemaRef);

#[pymethods]
impl Schema {
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, self.0.as_ref())?)
    }

    /// The columns as (name, type's name).
    #[getter]
    fn fields(&self) -> Vec<(String, String)> {
        self.0.fields().iter().map(|field| (field.name().clone(), types::name(field.data_type()))).collect()
    }

    /// Whether a column has records within records, or within lists of one length.
    #[getter]
    fn has_layers(&self) -> bool {
        self.0.fields().iter().any(|field| has_layers(field.data_type(), false))
    }

    fn __repr__(&self) -> String {
        let fields: Vec<_> = self.fields().into_iter().map(|(name, of)| format!("{name}: {of}")).collect();
        format!("Schema({})", fields.join(", "))
    }
}

/// Whether there are records where others, or lists of one length, hold them value by value.
fn has_layers(of: &ArrowType, is_held: bool) -> bool {
    match of {
        ArrowType::Struct(fields) => {
            is_held || fields.iter().any(|field| has_layers(field.data_type(), true))
        }
        ArrowType::FixedSizeList(item, _) => has_layers(item.data_type(), true),
        ArrowType::List(item) | ArrowType::LargeList(item) | ArrowType::Map(item, _) => {
            has_layers(item.data_type(), false)
        }
        _ => false,
    }
}

/// The fields of anything that offers `__arrow_c_schema__`, or of a dict of names and types: `{"did": "utf8",
/// "langs": ["utf8"], "at": {"x": "f64"}}`.
pub(super) fn fields(schema: &Bound<'_, PyAny>) -> PyResult<Fields> {
    if let Ok(dict) = schema.cast::<PyDict>() {
        return written(dict, 0);
    }
    let schema: PySchema = schema.extract().map_err(|_| {
        PyTypeError::new_err(
            "a schema has __arrow_c_schema__ (as pyarrow's), or is a dict of names and types",
        )
    })?;
    Ok(schema.into_inner().fields().clone())
}

fn written(dict: &Bound<'_, PyDict>, depth: usize) -> PyResult<Fields> {
    let fields =
        dict.iter().map(|(name, of)| Ok(Field::new(name.extract::<String>()?, data_type(&of, depth)?, true)));
    fields.collect()
}

fn data_type(of: &Bound<'_, PyAny>, depth: usize) -> PyResult<ArrowType> {
    if depth < MAX_DEPTH {
        if let Ok(dict) = of.cast::<PyDict>() {
            return Ok(ArrowType::Struct(written(dict, depth + 1)?));
        }
        if let Ok(list) = of.cast::<PyList>()
            && list.len() == 1
        {
            return Ok(types::list(data_type(&list.get_item(0)?, depth + 1)?));
        }
    }
    let name = of.cast::<PyString>().ok().map(|name| name.to_str().map(str::to_owned)).transpose()?;
    let known = name.as_deref().and_then(|name| match name {
        "binary" => Some(ArrowType::Binary),
        name => types::castable(name),
    });
    known.ok_or_else(|| {
        let known = types::CASTABLE.join(", ");
        PyTypeError::new_err(format!("{of} is no type: {known}, binary, [item] and {{name: type}} are"))
    })
}

/// A schema of fields.
pub(super) fn schema(fields: Fields) -> Schema {
    Schema(Arc::new(arrow_schema::Schema::new(fields)))
}
