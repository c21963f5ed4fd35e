//! Python's constants as constants of a query.

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};
use skytide_connect::tables::Value;
use skytide_timestream::builder::{self, Timestream, lit};
use skytide_timestream::times;

use super::rows::{is_day, is_span, nanos_of_moment, nanos_of_span};
use super::scalars;

/// None, bool, int, float, str, timedelta, datetime (without a zone: UTC) or date (its beginning) as a constant.
pub(super) fn of(value: &Bound<'_, PyAny>) -> PyResult<Timestream> {
    if value.is_none() {
        return Ok(builder::null());
    }
    if let Ok(value) = value.cast::<PyBool>() {
        return Ok(lit(value.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        if let Ok(value) = value.extract::<i64>() {
            return Ok(lit(value));
        }
        return value
            .extract::<u64>()
            .map(lit)
            .map_err(|_| PyOverflowError::new_err("a whole number of a query has 64 bits at most"));
    }
    if let Ok(value) = value.cast::<PyFloat>() {
        return Ok(lit(value.value()));
    }
    if let Ok(value) = value.cast::<PyString>() {
        return Ok(lit(value.to_str()?));
    }
    // Before moments: pandas' moment that is none is an instance of those.
    match scalars::of(value)? {
        Some(Value::Null) => return Ok(builder::null()),
        Some(Value::Bool(value)) => return Ok(lit(value)),
        Some(Value::Time(nanos)) => return Ok(moment(nanos)),
        Some(Value::Duration(nanos)) => return Ok(span(nanos)),
        _ => {}
    }
    if is_day(value)? {
        return Ok(moment(nanos_of_moment(value)?));
    }
    if is_span(value)? {
        return Ok(span(nanos_of_span(value)?));
    }
    // Numbers of numpy.
    if scalars::is_float(value)? {
        return Ok(lit(value.extract::<f64>()?));
    }
    if let Ok(number) = value.call_method0(intern!(value.py(), "__index__")) {
        return of(&number);
    }
    let class = value.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "no {class} is a constant of a query: None, bool, int, float, str, timedelta, datetime and date are"
    )))
}

fn moment(nanos: i64) -> Timestream {
    lit(times::timestamp_text(nanos).as_str()).cast("timestamp")
}

fn span(nanos: i64) -> Timestream {
    lit(times::duration_text(nanos).as_str()).cast("duration")
}
