//! A table that a program pushes rows into.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow_schema::{Fields, TimeUnit};
use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping};
use pyo3_arrow::{PyRecordBatch, PyRecordBatchReader};
use skytide_connect::late::Late;
use skytide_connect::sources::Offer;
use skytide_connect::tables::{self, Definition, Value, infer};
use skytide_timestream::chain::Chain;

use super::errors::{self, value};
use super::rows;
use super::schema::{self, Schema};
use super::stream::Stream;

/// So many rows are read before others have their turn.
const TOGETHER: usize = 1024;
/// Number of the next table without a name.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Rows that a program pushes.
#[pyclass(frozen, module = "skytide._skytide")]
pub(super) struct Table {
    table: tables::Table,
    idle: Option<Duration>,
}

#[pymethods]
impl Table {
    /// An empty table. `schema` has `__arrow_c_schema__`, or is a dict of names and types.
    #[new]
    #[pyo3(signature = (schema, *, time_column, key_column, subsort_column=None, grouping_name=None, time_unit=None,
                        queryable=true, name=None, lateness=0.0, late="drop", idle_timeout=None, beside=None,
                        hide_time=false))]
    #[expect(clippy::too_many_arguments, reason = "each is a keyword of Python's")]
    fn new(
        schema: &Bound<'_, PyAny>,
        time_column: String,
        key_column: String,
        subsort_column: Option<String>,
        grouping_name: Option<String>,
        time_unit: Option<&str>,
        queryable: bool,
        name: Option<String>,
        lateness: f64,
        late: &str,
        idle_timeout: Option<f64>,
        beside: Option<&Self>,
        hide_time: bool,
    ) -> PyResult<Self> {
        let name = name.unwrap_or_else(|| format!("table{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let definition = Definition {
            hides_time: hide_time,
            subsort: subsort_column,
            grouping: grouping_name,
            unit: time_unit_of(time_unit)?,
            keeps: queryable,
            lateness: seconds(lateness)?,
            late: late_of(late)?,
            ..Definition::new(name, schema::fields(schema)?, time_column, key_column)
        };
        let origin = beside.map(|other| other.table.origin().clone()).unwrap_or_default();
        let table = tables::Table::of(definition, origin).map_err(errors::table)?;
        Ok(Self { table, idle: idle_timeout.map(seconds).transpose()? })
    }

    /// Its name in queries.
    #[getter]
    fn name(&self) -> &str {
        &self.table.definition().name
    }

    /// Its columns.
    #[getter]
    fn schema(&self) -> Schema {
        schema::schema(self.table.definition().fields.clone())
    }

    /// Its points.
    fn stream(&self) -> PyResult<Stream> {
        let offer = Offer::Table { table: self.table.clone(), idle: self.idle };
        Stream::build(Chain::stream(self.name().to_owned()), vec![offer], [])
    }

    /// Adds a row, or rows: dicts, or other mappings.
    fn add_rows(&self, py: Python<'_>, given: &Bound<'_, PyAny>) -> PyResult<()> {
        let table = self.entered()?;
        let rows = rows_of(given, Some(&table.definition().fields))?;
        if rows.len() < 64 {
            return table.push_rows(&rows).map_err(value);
        }
        py.detach(|| table.push_rows(&rows)).map_err(value)
    }

    /// Adds the rows of anything that offers `__arrow_c_stream__` or `__arrow_c_array__`.
    fn add_arrow(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let table = self.entered()?;
        if !data.hasattr("__arrow_c_stream__")? {
            let batch: PyRecordBatch = data.extract().map_err(|error| unread(data, error))?;
            let batch = batch.into_inner();
            return py.detach(|| table.push_batch(&batch)).map_err(value);
        }
        let reader = reader_of(data)?.into_reader()?;
        // Reading may call Python: it takes the lock itself where it needs it.
        py.detach(|| {
            for batch in reader {
                table.push_batch(&batch.map_err(value)?).map_err(value)?;
            }
            Ok(())
        })
    }

    /// Adds the rows of CSV with a header.
    fn add_csv(&self, py: Python<'_>, text: &str) -> PyResult<()> {
        let table = self.entered()?;
        py.detach(|| table.push_csv(text)).map_err(value)
    }

    /// Adds the rows of JSON, one a line.
    fn add_json(&self, py: Python<'_>, text: &str) -> PyResult<()> {
        let table = self.entered()?;
        py.detach(|| table.push_json(text)).map_err(value)
    }

    /// No more rows are added: queries need not wait for any.
    fn end(&self) -> PyResult<()> {
        self.entered()?.end();
        Ok(())
    }

    /// Whether no reader is far behind.
    fn has_room(&self) -> PyResult<bool> {
        Ok(self.entered()?.has_room())
    }

    /// What happened to what was pushed: rows taken, values that did not fit, rows without a time, values of
    /// unknown columns.
    #[getter]
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.entered()?.counts().map_err(value)?;
        let all = PyDict::new(py);
        all.set_item("rows", counts.rows)?;
        all.set_item("misfits", counts.misfits)?;
        all.set_item("untimed", counts.untimed)?;
        all.set_item("unknown", counts.unknown)?;
        Ok(all)
    }

    /// The schema that rows seem to have.
    #[staticmethod]
    fn schema_of_rows(py: Python<'_>, rows: &Bound<'_, PyAny>) -> PyResult<Schema> {
        let rows = rows_of(rows, None)?;
        Ok(schema::schema(py.detach(|| infer(&rows))))
    }

    /// The schema that CSV with a header seems to have.
    #[staticmethod]
    fn schema_of_csv(text: &str) -> PyResult<Schema> {
        Ok(schema::schema(tables::csv_fields(text).map_err(value)?))
    }

    /// The schema that JSON, a row a line, seems to have.
    #[staticmethod]
    fn schema_of_json(text: &str) -> PyResult<Schema> {
        Ok(schema::schema(tables::json_fields(text).map_err(value)?))
    }

    /// The schema of anything that offers `__arrow_c_stream__` or `__arrow_c_schema__`.
    #[staticmethod]
    fn schema_of_arrow(data: &Bound<'_, PyAny>) -> PyResult<Schema> {
        if data.hasattr("__arrow_c_schema__")? {
            return Ok(schema::schema(schema::fields(data)?));
        }
        Ok(Schema(reader_of(data)?.schema_ref()?))
    }
}

impl Table {
    /// It, where this process can use it: one that was forked may not.
    fn entered(&self) -> PyResult<&tables::Table> {
        self.table.enter().map_err(errors::runtime)?;
        Ok(&self.table)
    }
}

/// The rows of what is given: a mapping is one, else each item of it is. Other threads have their turns, and
/// Ctrl-C is looked for.
fn rows_of(given: &Bound<'_, PyAny>, fields: Option<&Fields>) -> PyResult<Vec<Value<'static>>> {
    let row = |(at, row): (usize, PyResult<Bound<'_, PyAny>>)| {
        if at % TOGETHER == TOGETHER - 1 {
            given.py().detach(|| ());
            given.py().check_signals()?;
        }
        let row = row?;
        row_of(&row, given, fields).map_err(|error| unencoded(at, &row, error))
    };
    match given.cast::<PyList>() {
        Ok(list) => list.iter().map(Ok).enumerate().map(row).collect(),
        Err(_) if given.is_instance_of::<PyMapping>() => row((0, Ok(given.clone()))).map(|row| vec![row]),
        Err(_) => given.try_iter()?.enumerate().map(row).collect(),
    }
}

/// Where a text stands that is none: half of a surrogate pair is in no text of UTF-8, which Arrow has alone.
/// Two of them would be one if they were null.
fn unencoded(at: usize, row: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    if !error.is_instance_of::<PyUnicodeEncodeError>(row.py()) {
        return error;
    }
    let column = rows::unencoded(row).map_or_else(String::new, |column| format!(", column {column}"));
    value(format!("row {}{column}: {}", at + 1, error.value(row.py())))
}

/// A row of what is given, which must be a mapping.
fn row_of(
    row: &Bound<'_, PyAny>,
    given: &Bound<'_, PyAny>,
    fields: Option<&Fields>,
) -> PyResult<Value<'static>> {
    match rows::row(row, fields)? {
        Value::Record(fields) => Ok(Value::Record(fields)),
        _ if given.hasattr("__arrow_c_stream__")? => {
            let message =
                format!("rows are dicts: a {} is taken by Arrow or Pandas", given.get_type().name()?);
            Err(PyTypeError::new_err(message))
        }
        _ => Err(PyTypeError::new_err(format!("a row is a dict, not {}", row.get_type().name()?))),
    }
}

fn reader_of(data: &Bound<'_, PyAny>) -> PyResult<PyRecordBatchReader> {
    data.extract().map_err(|error| unread(data, error))
}

/// Why what was given cannot be read: often it has no columns.
fn unread(data: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let has = |name| data.hasattr(name).unwrap_or(false);
    // One column speaks Arrow, too.
    let is_table = (has("__arrow_c_stream__") || has("__arrow_c_array__")) && !has("to_frame");
    if is_table {
        return error;
    }
    let class = data.get_type();
    let name = class.fully_qualified_name().map_or_else(|_| class.to_string(), |name| name.to_string());
    PyTypeError::new_err(format!(
        "{name} has no columns: a frame or table has; a Series by `.to_frame()`, a LazyFrame by `.collect()`, a Dataset by `.to_table()`"
    ))
}

/// A unit by its name; nanoseconds where there is none.
pub(super) fn time_unit_of(name: Option<&str>) -> PyResult<TimeUnit> {
    match name {
        None | Some("ns") => Ok(TimeUnit::Nanosecond),
        Some("us") => Ok(TimeUnit::Microsecond),
        Some("ms") => Ok(TimeUnit::Millisecond),
        Some("s") => Ok(TimeUnit::Second),
        Some(other) => {
            Err(PyValueError::new_err(format!("no time unit is called {other:?}: s, ms, us and ns are")))
        }
    }
}

/// What becomes of late points, by its name.
pub(super) fn late_of(name: &str) -> PyResult<Late> {
    Late::of_name(name).ok_or_else(|| {
        PyValueError::new_err(format!(
            "late points are not treated as {name:?}: drop, side and error are ways"
        ))
    })
}

/// Seconds as a length of time.
pub(super) fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| PyValueError::new_err(format!("{seconds} seconds: {error}")))
}
