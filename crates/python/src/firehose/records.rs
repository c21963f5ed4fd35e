//! The record types that the core knows, for the models of `skytide.atproto`.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyList, PyString};
use skytide_atproto::records::{RecordType, Shape};

/// The record types: `(NSID, names of the fields as they are on the wire)`.
#[pyfunction]
pub(crate) fn record_fields() -> Vec<(String, Vec<String>)> {
    let fields = |record: &RecordType| match &*record.shape {
        Shape::Struct(fields) => fields.iter().map(|(name, _)| name.clone()).collect(),
        _ => Vec::new(),
    };
    RecordType::all().iter().map(|record| (record.nsid.clone().into_owned(), fields(record))).collect()
}

/// The path of the first field of a record whose value is of another kind than its type says; `None` if there
/// is none, or nothing is known of the type. Fields that are not there, or `None`, are not looked at.
#[pyfunction]
pub(crate) fn record_fits(nsid: &str, record: &Bound<'_, PyDict>) -> PyResult<Option<String>> {
    match RecordType::by_nsid(nsid) {
        Some(known) => misfit(&known.shape, record.as_any()),
        None => Ok(None),
    }
}

/// The path of what does not fit, empty for the value itself.
fn misfit(shape: &Shape, value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let fits = match shape {
        Shape::Bool => value.is_instance_of::<PyBool>(),
        Shape::Int => value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>(),
        Shape::Text => value.is_instance_of::<PyString>(),
        Shape::Bytes => value.is_instance_of::<PyBytes>(),
        Shape::List(item) => match value.cast::<PyList>() {
            Ok(list) => {
                for (at, value) in list.iter().enumerate() {
                    if let Some(path) = misfit(item, &value)? {
                        return Ok(Some(format!("[{at}]{path}")));
                    }
                }
                true
            }
            Err(_) => false,
        },
        Shape::Struct(fields) => match value.cast::<PyDict>() {
            Ok(map) => {
                for (name, shape) in fields {
                    let Some(value) = map.get_item(name)?.filter(|value| !value.is_none()) else { continue };
                    if let Some(path) = misfit(shape, &value)? {
                        return Ok(Some(format!(".{name}{path}")));
                    }
                }
                true
            }
            Err(_) => false,
        },
        // Links are CIDs, bytes, or `{"$link": …}` where the record was JSON.
        Shape::Link | Shape::Float | Shape::Json => true,
    };
    Ok((!fits).then(String::new))
}
