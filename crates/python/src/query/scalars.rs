//! Scalars of numpy, pandas and `decimal` as values: exactly, and without importing those libraries.
//!
//! They are told by the modules of their classes. A moment of numpy is a whole number of units, which its
//! type tells: no float and no `datetime`, which end at the microsecond, stands in between.

use std::borrow::Cow;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};
use skytide_connect::tables::Value;

/// Digits beyond which no decimal fits a column.
const MAX_DIGITS: i64 = 76;

/// What a scalar of those libraries holds; none of what is none.
pub(super) fn of(value: &Bound<'_, PyAny>) -> PyResult<Option<Value<'static>>> {
    let py = value.py();
    let class = value.get_type();
    let module = class.module()?;
    match module.to_str()? {
        "numpy" if class.name()? != "ndarray" => of_numpy(value),
        // Its moments and lengths of time are Python's too; these are what it has where nothing is.
        module if module.starts_with("pandas.") => {
            let name = class.name()?;
            Ok((name == "NAType" || name == "NaTType").then_some(Value::Null))
        }
        _ if value.is_instance(decimal(py)?)? => of_decimal(value).map(Some),
        _ => Ok(None),
    }
}

/// Whether a value is an array of numpy.
pub(super) fn is_array(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let class = value.get_type();
    Ok(class.name()? == "ndarray" && class.module()? == "numpy")
}

/// Whether a value is a sequence as Python has it, or an array of one dimension of another library: a Series,
/// an Index, ….
pub(super) fn is_sequence(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    static SEQUENCE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if value.is_instance(SEQUENCE.import(py, "collections.abc", "Sequence")?)? {
        return Ok(true);
    }
    if !value.hasattr(intern!(py, "__array__"))? || !value.hasattr(intern!(py, "__iter__"))? {
        return Ok(false);
    }
    // Those of Arrow's have no shape; frames and tables have two dimensions.
    let Ok(shape) = value.getattr(intern!(py, "shape")) else { return Ok(true) };
    Ok(shape.len().is_ok_and(|dimensions| dimensions == 1))
}

/// What a scalar of pyarrow's holds, as Python's; none of what is none.
pub(super) fn of_arrow<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = value.py();
    if !value.get_type().module()?.to_str()?.starts_with("pyarrow") {
        return Ok(None);
    }
    let held = value.call_method0(intern!(py, "as_py"));
    Ok(held.ok())
}

/// Whether a value is a scalar of numpy that is a number with a fraction.
pub(super) fn is_float(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    if value.get_type().module()?.to_str()? != "numpy" || is_array(value)? {
        return Ok(false);
    }
    let Ok(of) = value.getattr(intern!(py, "dtype")) else { return Ok(false) };
    Ok(of.getattr(intern!(py, "kind"))?.extract::<String>()? == "f")
}

/// The class of decimals.
pub(super) fn decimal(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "decimal", "Decimal")
}

/// A decimal with its digits as they are; what is not a number is null.
fn of_decimal(value: &Bound<'_, PyAny>) -> PyResult<Value<'static>> {
    let py = value.py();
    if value.call_method0(intern!(py, "is_nan"))?.is_truthy()? {
        return Ok(Value::Null);
    }
    let is_finite = value.call_method0(intern!(py, "is_finite"))?.is_truthy()?;
    let adjusted = value.call_method0(intern!(py, "adjusted"))?.extract::<i64>();
    // Written out, one of a large exponent would be as long as that.
    if !is_finite || !adjusted.is_ok_and(|adjusted| adjusted.abs() <= MAX_DIGITS) {
        return Ok(Value::Other);
    }
    let text = value.call_method1(intern!(py, "__format__"), ("f",))?;
    Ok(Value::Decimal(Cow::Owned(text.extract()?)))
}

fn of_numpy(value: &Bound<'_, PyAny>) -> PyResult<Option<Value<'static>>> {
    let py = value.py();
    let Ok(of) = value.getattr(intern!(py, "dtype")) else { return Ok(None) };
    let kind: String = of.getattr(intern!(py, "kind"))?.extract()?;
    Ok(Some(match kind.as_str() {
        "b" => Value::Bool(value.is_truthy()?),
        "M" | "m" => {
            let Some(count) = count(value)? else { return Ok(Some(Value::Null)) };
            let written = of.getattr(intern!(py, "str"))?;
            match (nanos(written.cast::<PyString>()?.to_str()?, count), kind.as_str()) {
                (Some(nanos), "M") => Value::Time(nanos),
                (Some(nanos), _) => Value::Duration(nanos),
                // Years and months have no length; as moments they have days.
                (None, "M") => days(value)?.map_or(Value::Other, Value::Time),
                (None, _) => Value::Other,
            }
        }
        "c" | "V" => Value::Other,
        // Whole numbers, floats and texts say what they are.
        _ => return Ok(None),
    }))
}

/// How many of its units a moment or length of time of numpy is; none where it is none.
fn count(value: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    let py = value.py();
    let count: i64 = value
        .call_method1(intern!(py, "astype"), ("int64",))?
        .call_method0(intern!(py, "item"))?
        .extract()?;
    Ok((count != i64::MIN).then_some(count))
}

/// So many units of a type as `<M8[ms]` or `<m8[25s]` in nanoseconds; none beyond 64 bits, and of units
/// without a length.
fn nanos(of: &str, count: i64) -> Option<i64> {
    let (_, unit) = of.strip_suffix(']')?.split_once('[')?;
    let digits = unit.bytes().take_while(u8::is_ascii_digit).count();
    let (times, unit) = unit.split_at(digits);
    let times: i128 = if times.is_empty() { 1 } else { times.parse().ok()? };
    // Nanoseconds of a unit, or its parts of a nanosecond.
    let (many, part): (i128, i128) = match unit {
        "W" => (604_800_000_000_000, 1),
        "D" => (86_400_000_000_000, 1),
        "h" => (3_600_000_000_000, 1),
        "m" => (60_000_000_000, 1),
        "s" => (1_000_000_000, 1),
        "ms" => (1_000_000, 1),
        "us" => (1_000, 1),
        "ns" => (1, 1),
        "ps" => (1, 1_000),
        "fs" => (1, 1_000_000),
        "as" => (1, 1_000_000_000),
        _ => return None,
    };
    let nanos = i128::from(count).checked_mul(times)?.checked_mul(many)?.div_euclid(part);
    i64::try_from(nanos).ok()
}

/// A moment of numpy that counts years or months, by its first day.
fn days(value: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    let days = value.call_method1(intern!(value.py(), "astype"), ("datetime64[D]",))?;
    Ok(count(&days)?.and_then(|count| nanos("[D]", count)))
}

#[cfg(test)]
mod tests {
    use super::nanos;

    #[test]
    fn units_of_numpy_are_nanoseconds() {
        for (of, count, expected) in [
            ("<M8[ns]", 3, Some(3)),
            ("<M8[25s]", -2, Some(-50_000_000_000)),
            (">m8[W]", 1, Some(604_800_000_000_000)),
            ("<M8[ps]", -1, Some(-1)),
            ("<M8[as]", 1_999_999_999, Some(1)),
            ("<M8[s]", i64::MAX, None),
            ("<M8[D]", 106_752, None),
            ("<M8[Y]", 1, None),
            ("<M8", 1, None),
            ("<M8[99999999999999999999999999999999999999999D]", i64::MAX, None),
        ] {
            assert_eq!(nanos(of, count), expected, "{of}");
        }
    }
}
