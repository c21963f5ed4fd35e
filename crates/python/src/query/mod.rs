//! Queries: what `skytide` builds them with, runs them with, and reads their answers as.

mod answer;
mod batch;
mod errors;
mod files;
mod functions;
mod held;
mod literal;
mod network;
mod rows;
mod run;
mod scalars;
mod schema;
mod stream;
mod table;
mod udf;
mod window;
mod write;

use pyo3::prelude::*;

/// Adds what this half of the package is made of.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<batch::Batch>()?;
    module.add_class::<answer::Answer>()?;
    module.add_class::<files::Files>()?;
    module.add_class::<network::Network>()?;
    module.add_class::<run::Execution>()?;
    module.add_class::<schema::DataType>()?;
    module.add_class::<schema::Schema>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<table::Table>()?;
    module.add_class::<window::Window>()?;
    module.add_class::<udf::Udf>()?;
    module.add_function(wrap_pyfunction!(functions::functions, module)?)
}
