//! What every message offers of its fields: as pairs, by name, as text, as data.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList, PyString, PyTuple, PyType};

pyo3::import_exception!(skytide.firehose._errors, ModelFieldNotFoundError);

/// The fields of a message as pairs of name and value, in order.
pub(super) fn pairs<'py>(message: &Bound<'py, PyAny>, fields: &[&str]) -> PyResult<Bound<'py, PyIterator>> {
    let py = message.py();
    let pair = |name: &&str| PyTuple::new(py, [PyString::new(py, name).into_any(), message.getattr(*name)?]);
    PyList::new(py, fields.iter().map(pair).collect::<PyResult<Vec<_>>>()?)?.try_iter()
}

/// A field by its name. That there is none is a `KeyError`, and the error that models have for it.
pub(super) fn item<'py>(
    message: &Bound<'py, PyAny>,
    fields: &[&str],
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    if fields.contains(&name) {
        message.getattr(name)
    } else {
        Err(ModelFieldNotFoundError::new_err(format!("no field '{name}' in {}", message.get_type().name()?)))
    }
}

pub(super) fn shown(message: &Bound<'_, PyAny>, fields: &[&str]) -> PyResult<String> {
    let mut parts = Vec::new();
    for name in fields {
        let value = message.getattr(*name)?;
        let text = match value.cast::<PyBytes>() {
            Ok(bytes) => format!("<{} bytes>", bytes.as_bytes().len()),
            Err(_) => value.repr()?.to_string(),
        };
        parts.push(format!("{name}={text}"));
    }
    Ok(format!("{}({})", message.get_type().name()?, parts.join(", ")))
}

/// A message by a function of the module that writes models as data.
pub(super) fn dumped<'py>(
    message: &Bound<'py, PyAny>,
    function: &str,
    exclude_none: bool,
    by_alias: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let module = message.py().import("skytide.firehose._dump")?;
    module.getattr(function)?.call1((message, exclude_none, by_alias))
}

/// A message of a class and its type, made of data by the same module.
pub(super) fn validated<'py>(
    class: &Bound<'py, PyType>,
    of: &str,
    data: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    if data.is_instance(class)? {
        return Ok(data.clone());
    }
    class.py().import("skytide.firehose._dump")?.getattr("load")?.call1((of, data))
}
