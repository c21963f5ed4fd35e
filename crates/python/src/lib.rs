//! The native half of the Python package `skytide`: it hands the Rust core on, and has no logic of its own.

mod firehose;
mod query;

use pyo3::prelude::*;

/// The module `skytide._skytide`.
#[pymodule(gil_used = false)]
mod _skytide {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        skytide_connect::files::hush_caught();
        crate::firehose::add(module)?;
        crate::query::add(module)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
