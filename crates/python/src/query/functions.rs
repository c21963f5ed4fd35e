//! The registry of functions, for the generator of Python's methods.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use skytide_timestream::functions as registry;
use skytide_timestream::functions::signature;

/// Every function of the engine: name, aliases, operator, signature, summary, details, family, parameters,
/// whether it takes a window.
#[pyfunction]
pub(super) fn functions(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let all = PyList::empty(py);
    for function in registry::all() {
        let about = PyDict::new(py);
        about.set_item("name", function.name)?;
        about.set_item("aliases", function.aliases.to_vec())?;
        about.set_item("operator", function.operator)?;
        about.set_item("signature", function.signature)?;
        about.set_item("summary", function.summary)?;
        about.set_item("details", function.details)?;
        about.set_item("family", format!("{:?}", function.family))?;
        about.set_item("windowed", function.is_aggregation())?;
        let known = registry::signature_of(function);
        let params: Vec<(&str, bool, bool)> = known
            .into_iter()
            .flat_map(|signature| &signature.params)
            .map(|signature::Param { name, optional, repeated, .. }| (name.as_str(), *optional, *repeated))
            .collect();
        about.set_item("params", params)?;
        all.append(about)?;
    }
    Ok(all)
}
