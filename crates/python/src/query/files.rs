//! Files of rows as a source of queries.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use skytide_connect::files::{self, Definition, MEMORY, matching};
use skytide_connect::sources::Offer;
use skytide_timestream::chain::Chain;

use super::errors;
use super::schema::{self, Schema};
use super::stream::Stream;
use super::table::time_unit_of;

/// Files of one stream.
#[pyclass(frozen, module = "skytide._skytide")]
pub(super) struct Files(Arc<files::Files>);

#[pymethods]
impl Files {
    /// `paths` may be none where `schema`, which has `__arrow_c_schema__` or is a dict of names and types,
    /// tells the columns. `spill` is the folder for what does not fit into `memory` bytes while it is sorted.
    #[new]
    #[pyo3(signature = (paths, *, time_column, key_column, name, spill, schema=None, subsort_column=None, grouping_name=None,
                        time_unit=None, memory=MEMORY))]
    #[expect(clippy::too_many_arguments, reason = "each is a keyword of Python's")]
    fn new(
        py: Python<'_>,
        paths: Vec<PathBuf>,
        time_column: String,
        key_column: String,
        name: String,
        spill: PathBuf,
        schema: Option<&Bound<'_, PyAny>>,
        subsort_column: Option<String>,
        grouping_name: Option<String>,
        time_unit: Option<&str>,
        memory: usize,
    ) -> PyResult<Self> {
        let definition = Definition {
            name,
            paths: Vec::new(),
            format: None,
            time: time_column,
            key: key_column,
            subsort: subsort_column,
            grouping: grouping_name,
            unit: time_unit_of(time_unit)?,
            memory,
            readers: 0,
            spill,
            fields: schema.map(schema::fields).transpose()?,
        };
        if paths.is_empty() && definition.fields.is_none() {
            return Err(PyValueError::new_err("schema or path must be given"));
        }
        let open = || {
            let mut all = Vec::new();
            for path in paths {
                all.extend(matching(&path)?);
            }
            files::Files::open(Definition { paths: all, ..definition })
        };
        py.detach(open).map(|files| Self(Arc::new(files))).map_err(errors::file)
    }

    /// Adds a file, or those that a pattern fits, for queries that start later.
    #[expect(clippy::needless_pass_by_value, reason = "what Python gives is made anew")]
    fn add(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let add = || matching(&path)?.iter().try_for_each(|path| self.0.add(path));
        py.detach(add).map_err(errors::file)
    }

    /// Its name in queries.
    #[getter]
    fn name(&self) -> &str {
        &self.0.definition().name
    }

    /// Its columns.
    #[getter]
    fn schema(&self) -> Schema {
        schema::schema(self.0.fields().clone())
    }

    /// Its points.
    fn stream(&self) -> PyResult<Stream> {
        Stream::build(Chain::stream(self.name()), vec![Offer::Files(Arc::clone(&self.0))], [])
    }
}
