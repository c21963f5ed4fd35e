//! Values between Python and columns, in both directions.

use std::borrow::Cow;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types as arrow;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_schema::{DataType, Field, Fields, IntervalUnit, TimeUnit};
use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple,
};
use skytide_connect::tables::Value;

use super::scalars;

/// Deepest nesting of what is taken; what is deeper does not fit.
const MAX_DEPTH: usize = 64;

/// What is used of `datetime`.
struct Datetime {
    datetime: Py<PyAny>,
    date: Py<PyAny>,
    timedelta: Py<PyAny>,
    time: Py<PyAny>,
    /// 1970 in UTC.
    epoch: Py<PyAny>,
    /// 1970 without a zone.
    naive: Py<PyAny>,
}

fn datetime(py: Python<'_>) -> PyResult<&'static Datetime> {
    static KNOWN: PyOnceLock<Datetime> = PyOnceLock::new();
    KNOWN.get_or_try_init(py, || {
        let module = py.import("datetime")?;
        let class = module.getattr("datetime")?;
        let utc = module.getattr("timezone")?.getattr("utc")?;
        let naive = class.call1((1970, 1, 1))?;
        let with_zone = PyDict::new(py);
        with_zone.set_item("tzinfo", utc)?;
        Ok(Datetime {
            epoch: naive.call_method("replace", (), Some(&with_zone))?.unbind(),
            naive: naive.unbind(),
            datetime: class.unbind(),
            date: module.getattr("date")?.unbind(),
            timedelta: module.getattr("timedelta")?.unbind(),
            time: module.getattr("time")?.unbind(),
        })
    })
}

/// Whether a value is a `datetime`.
pub(super) fn is_moment(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value.is_instance(datetime(value.py())?.datetime.bind(value.py()))
}

/// Whether a value is a `date`, or a `datetime`, which is one.
pub(super) fn is_day(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value.is_instance(datetime(value.py())?.date.bind(value.py()))
}

/// Whether a value is a `timedelta`.
pub(super) fn is_span(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value.is_instance(datetime(value.py())?.timedelta.bind(value.py()))
}

/// Nanoseconds of a `timedelta`.
pub(super) fn nanos_of_span(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    let py = value.py();
    let part = |name| value.getattr(name)?.extract::<i64>();
    let (days, seconds, micros) =
        (part(intern!(py, "days"))?, part(intern!(py, "seconds"))?, part(intern!(py, "microseconds"))?);
    // Of pandas.
    let nanos = part(intern!(py, "nanoseconds")).unwrap_or(0);
    let nanos = (days * 86_400 + seconds)
        .checked_mul(1_000_000_000)
        .and_then(|all| all.checked_add(micros * 1_000 + nanos));
    nanos.ok_or_else(|| beyond(value, "lengths of time", "292 years"))
}

fn beyond(value: &Bound<'_, PyAny>, what: &str, which: &str) -> PyErr {
    PyOverflowError::new_err(format!("{value}: beyond the {what} that 64 bits of nanoseconds hold, {which}"))
}

/// UTC nanoseconds of a `datetime`; one without a zone is UTC. Of a `date` it is the moment at which it begins.
pub(super) fn nanos_of_moment(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    let py = value.py();
    let known = datetime(py)?;
    if !is_moment(value)? && is_day(value)? {
        let part = |name| value.getattr(name);
        let (year, month) = (part(intern!(py, "year"))?, part(intern!(py, "month"))?);
        let day = part(intern!(py, "day"))?;
        return nanos_of_moment(&known.datetime.bind(py).call1((year, month, day))?);
    }
    let is_naive = value.getattr(intern!(py, "tzinfo"))?.is_none();
    let epoch = if is_naive { &known.naive } else { &known.epoch };
    let since = value.sub(epoch.bind(py))?;
    nanos_of_span(&since).map_err(|error| match error.is_instance_of::<PyOverflowError>(py) {
        true => beyond(value, "times", "1677 to 2262"),
        false => error,
    })
}

/// A row: the values of the columns of `fields`, and of others that there are some; all of it where there are none.
pub(super) fn row(row: &Bound<'_, PyAny>, fields: Option<&Fields>) -> PyResult<Value<'static>> {
    record(row, fields, 0)
}

/// The name of the first column of a row in whose value there is a text that has no UTF-8, as Python writes it.
pub(super) fn unencoded(row: &Bound<'_, PyAny>) -> Option<String> {
    let is_wrong = |(name, value): &(Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let name = name.cast::<PyString>();
        name.is_ok_and(|name| name.to_str().is_err()) || cell(value, None, 1).is_err()
    };
    let (name, _) = row.cast::<PyDict>().ok()?.iter().find(is_wrong)?;
    name.repr().ok()?.extract().ok()
}

/// A mapping's values by name.
fn record(of: &Bound<'_, PyAny>, fields: Option<&Fields>, depth: usize) -> PyResult<Value<'static>> {
    let mut values = Vec::new();
    if let Ok(dict) = of.cast::<PyDict>() {
        if let Some(fields) = fields {
            for field in fields {
                if let Some(value) = dict.get_item(field.name())? {
                    values.push((
                        Cow::Owned(field.name().clone()),
                        cell(&value, Some(field.data_type()), depth + 1)?,
                    ));
                }
            }
            // They are counted, not read. A key that is no text is the name of no field.
            if values.len() < dict.len() {
                for (name, value) in dict.iter() {
                    let text = name.cast::<PyString>().ok().map(|text| text.to_str()).transpose()?;
                    if text.is_none_or(|name| fields.find(name).is_none()) {
                        let name = name.str()?.to_string_lossy().into_owned();
                        let value = if value.is_none() { Value::Null } else { Value::Other };
                        values.push((Cow::Owned(name), value));
                    }
                }
            }
        } else {
            for (name, value) in dict.iter() {
                let Ok(name) = name.cast::<PyString>() else { continue };
                let name = name.to_str()?.to_owned();
                values.push((Cow::Owned(name), cell(&value, None, depth + 1)?));
            }
        }
        return Ok(Value::Record(values));
    }
    // Any other mapping is made a dict as Python does it.
    let made = of.py().get_type::<PyDict>().call1((of,));
    match made {
        Ok(made) => record(&made, fields, depth),
        Err(_) => Ok(Value::Other),
    }
}

/// A mapping's entries, whatever their keys, as pairs.
fn pairs(of: &Bound<'_, PyDict>, key: &DataType, value: &DataType, depth: usize) -> PyResult<Value<'static>> {
    let pair = |(k, v): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        Ok(Value::List(vec![cell(&k, Some(key), depth + 1)?, cell(&v, Some(value), depth + 1)?]))
    };
    Ok(Value::List(of.iter().map(pair).collect::<PyResult<_>>()?))
}

/// A value, of the kind that a column of this type wants where it is known.
fn cell(value: &Bound<'_, PyAny>, data_type: Option<&DataType>, depth: usize) -> PyResult<Value<'static>> {
    let py = value.py();
    if value.is_none() {
        return Ok(Value::Null);
    }
    if depth > MAX_DEPTH {
        return Ok(Value::Other);
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Value::Text(Cow::Owned(text.to_str()?.to_owned())));
    }
    if let Ok(value) = value.cast::<PyBool>() {
        return Ok(Value::Bool(value.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        return Ok(whole(value, data_type));
    }
    if let Ok(value) = value.cast::<PyFloat>() {
        return Ok(Value::Float(value.value()));
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Value::Bytes(Cow::Owned(bytes.as_bytes().to_vec())));
    }
    if let Ok(dict) = value.cast::<PyDict>() {
        if let Some((key, item)) = data_type.and_then(entry) {
            return pairs(dict, key.data_type(), item.data_type(), depth);
        }
        let fields = if let Some(DataType::Struct(fields)) = data_type { Some(fields) } else { None };
        return record(value, fields, depth);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        return list(value, data_type, depth);
    }
    if is_moment(value)? {
        return match nanos_of_moment(value) {
            Ok(nanos) => Ok(Value::Time(nanos)),
            Err(_) => Ok(scalars::of(value)?.unwrap_or(Value::Other)),
        };
    }
    if is_span(value)? {
        return Ok(nanos_of_span(value).map_or(Value::Other, Value::Duration));
    }
    if is_day(value)? {
        return Ok(nanos_of_moment(value).map_or(Value::Other, Value::Time));
    }
    if value.is_instance(datetime(py)?.time.bind(py))? {
        return nanos_of_day(value).map(Value::TimeOfDay);
    }
    if value.is_instance_of::<PyByteArray>() || value.is_instance_of::<PyMemoryView>() {
        let bytes = py.get_type::<PyBytes>().call1((value,))?;
        return cell(&bytes, data_type, depth);
    }
    if scalars::is_array(value)? {
        return list(value, data_type, depth);
    }
    if let Some(value) = scalars::of(value)? {
        return Ok(value);
    }
    if scalars::is_sequence(value)? {
        return list(value, data_type, depth);
    }
    if let Some(held) = scalars::of_arrow(value)? {
        return cell(&held, data_type, depth + 1);
    }
    // Numbers of other libraries; then what has fields.
    if let Ok(number) = value.call_method0(intern!(py, "__index__")) {
        return Ok(whole(&number, data_type));
    }
    if let Ok(number) = value.call_method0(intern!(py, "__float__")) {
        return Ok(number.extract().map_or(Value::Other, Value::Float));
    }
    let fields = if let Some(DataType::Struct(fields)) = data_type { Some(fields) } else { None };
    record(value, fields, depth)
}

/// The items of what is iterated, of the kind that a list or a map of this type wants.
fn list(items: &Bound<'_, PyAny>, data_type: Option<&DataType>, depth: usize) -> PyResult<Value<'static>> {
    // An array of no dimension has no items.
    let Ok(items) = items.try_iter() else { return Ok(Value::Other) };
    if let Some((key, value)) = data_type.and_then(entry) {
        return Ok(Value::List(
            items
                .map(|item| entry_of(&item?, key.data_type(), value.data_type(), depth))
                .collect::<PyResult<_>>()?,
        ));
    }
    let of = match data_type {
        Some(DataType::List(item) | DataType::FixedSizeList(item, _)) => Some(item.data_type()),
        _ => None,
    };
    Ok(Value::List(items.map(|item| cell(&item?, of, depth + 1)).collect::<PyResult<_>>()?))
}

/// An entry of a map, if it is a pair; else as it is.
fn entry_of(
    item: &Bound<'_, PyAny>,
    key: &DataType,
    value: &DataType,
    depth: usize,
) -> PyResult<Value<'static>> {
    match item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() {
        Ok((k, v)) => {
            Ok(Value::List(vec![cell(&k, Some(key), depth + 1)?, cell(&v, Some(value), depth + 1)?]))
        }
        Err(_) => cell(item, None, depth + 1),
    }
}

/// The key and the value of a map's entries.
fn entry(data_type: &DataType) -> Option<(&Field, &Field)> {
    let DataType::Map(entries, _) = data_type else { return None };
    let DataType::Struct(fields) = entries.data_type() else { return None };
    Some((fields.first()?, fields.get(1)?))
}

/// A whole number. One beyond 64 bits is its digits for a column of decimals and a float for others, as that
/// of a JSON line is.
fn whole(value: &Bound<'_, PyAny>, data_type: Option<&DataType>) -> Value<'static> {
    if let Ok(value) = value.extract::<i64>() {
        return Value::Int(value);
    }
    if let Ok(value) = value.extract::<u64>() {
        return Value::UInt(value);
    }
    let digits = || value.str()?.extract::<String>();
    if data_type.is_some_and(DataType::is_decimal) {
        return digits().map_or(Value::Other, |digits| Value::Decimal(Cow::Owned(digits)));
    }
    value.extract::<f64>().map_or(Value::Other, Value::Float)
}

/// Nanoseconds of a time of day; of which zone it is does not count.
fn nanos_of_day(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    let py = value.py();
    let part = |name| value.getattr(name)?.extract::<i64>();
    let (hours, minutes) = (part(intern!(py, "hour"))?, part(intern!(py, "minute"))?);
    let (seconds, micros) = (part(intern!(py, "second"))?, part(intern!(py, "microsecond"))?);
    Ok(((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + micros * 1_000)
}

/// The values of a column as Python's. Moments are `datetime`s in UTC (of microseconds: what is finer is cut
/// off), or nanoseconds where they are beyond those.
pub(super) fn values<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Vec<Bound<'py, PyAny>>> {
    match array.data_type() {
        DataType::Null => Ok(vec![py.None().into_bound(py); array.len()]),
        DataType::Boolean => {
            each(py, array, |row| Ok(PyBool::new(py, array.as_boolean().value(row)).to_owned().into_any()))
        }
        DataType::Int8 => primitives::<arrow::Int8Type>(py, array, |value| int(py, value)),
        DataType::Int16 => primitives::<arrow::Int16Type>(py, array, |value| int(py, value)),
        DataType::Int32 => primitives::<arrow::Int32Type>(py, array, |value| int(py, value)),
        DataType::Int64 => primitives::<arrow::Int64Type>(py, array, |value| int(py, value)),
        DataType::UInt8 => primitives::<arrow::UInt8Type>(py, array, |value| int(py, value)),
        DataType::UInt16 => primitives::<arrow::UInt16Type>(py, array, |value| int(py, value)),
        DataType::UInt32 => primitives::<arrow::UInt32Type>(py, array, |value| int(py, value)),
        DataType::UInt64 => {
            primitives::<arrow::UInt64Type>(py, array, |value| Ok(value.into_pyobject(py)?.into_any()))
        }
        DataType::Float32 => {
            primitives::<arrow::Float32Type>(py, array, |value| Ok(PyFloat::new(py, value.into()).into_any()))
        }
        DataType::Float64 => {
            primitives::<arrow::Float64Type>(py, array, |value| Ok(PyFloat::new(py, value).into_any()))
        }
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            each(py, array, |row| Ok(PyString::new(py, texts.value(row)).into_any()))
        }
        DataType::LargeUtf8 => {
            let texts = array.as_string::<i64>();
            each(py, array, |row| Ok(PyString::new(py, texts.value(row)).into_any()))
        }
        DataType::Binary => {
            let bytes = array.as_binary::<i32>();
            each(py, array, |row| Ok(PyBytes::new(py, bytes.value(row)).into_any()))
        }
        DataType::Timestamp(unit, zone) => {
            let known = datetime(py)?;
            let epoch = if zone.is_some() { &known.epoch } else { &known.naive }.bind(py);
            match unit {
                TimeUnit::Second => primitives::<arrow::TimestampSecondType>(py, array, |at| {
                    moment(epoch, i128::from(at) * 1_000_000_000)
                }),
                TimeUnit::Millisecond => primitives::<arrow::TimestampMillisecondType>(py, array, |at| {
                    moment(epoch, i128::from(at) * 1_000_000)
                }),
                TimeUnit::Microsecond => primitives::<arrow::TimestampMicrosecondType>(py, array, |at| {
                    moment(epoch, i128::from(at) * 1_000)
                }),
                TimeUnit::Nanosecond => {
                    primitives::<arrow::TimestampNanosecondType>(py, array, |at| moment(epoch, at.into()))
                }
            }
        }
        DataType::Duration(unit) => match unit {
            TimeUnit::Second => primitives::<arrow::DurationSecondType>(py, array, |len| {
                length(py, i128::from(len) * 1_000_000_000)
            }),
            TimeUnit::Millisecond => primitives::<arrow::DurationMillisecondType>(py, array, |len| {
                length(py, i128::from(len) * 1_000_000)
            }),
            TimeUnit::Microsecond => primitives::<arrow::DurationMicrosecondType>(py, array, |len| {
                length(py, i128::from(len) * 1_000)
            }),
            TimeUnit::Nanosecond => {
                primitives::<arrow::DurationNanosecondType>(py, array, |len| length(py, len.into()))
            }
        },
        DataType::FixedSizeBinary(_) => {
            let bytes = array.as_fixed_size_binary();
            each(py, array, |row| Ok(PyBytes::new(py, bytes.value(row)).into_any()))
        }
        DataType::Date32 => {
            let epoch = datetime(py)?.naive.bind(py).call_method0("date")?;
            primitives::<arrow::Date32Type>(py, array, |days| {
                moment(&epoch, i128::from(days) * 86_400_000_000_000)
            })
        }
        DataType::Date64 => {
            let epoch = datetime(py)?.naive.bind(py).call_method0("date")?;
            primitives::<arrow::Date64Type>(py, array, |at| moment(&epoch, i128::from(at) * 1_000_000))
        }
        DataType::Interval(unit) => intervals(py, array, *unit),
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let items = values(py, &within(lists.values(), lists.offsets()))?;
            each(py, array, |row| Ok(PyList::new(py, &items[entries(lists.offsets(), row)])?.into_any()))
        }
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            let items = values(py, array.as_fixed_size_list().values())?;
            each(py, array, |row| Ok(PyList::new(py, &items[row * size..(row + 1) * size])?.into_any()))
        }
        DataType::Map(..) => {
            let maps = array.as_map();
            let keys = values(py, &within(maps.keys(), maps.offsets()))?;
            let items = values(py, &within(maps.values(), maps.offsets()))?;
            each(py, array, |row| {
                let entries = entries(maps.offsets(), row);
                map(py, &keys[entries.clone()], &items[entries])
            })
        }
        DataType::Struct(fields) => {
            let structs = array.as_struct();
            let columns =
                structs.columns().iter().map(|column| values(py, column)).collect::<PyResult<Vec<_>>>()?;
            let names: Vec<_> = fields.iter().map(|field| PyString::intern(py, field.name())).collect();
            each(py, array, |row| {
                let dict = PyDict::new(py);
                for (name, column) in names.iter().zip(&columns) {
                    dict.set_item(name, &column[row])?;
                }
                Ok(dict.into_any())
            })
        }
        DataType::Time32(TimeUnit::Second) => {
            primitives::<arrow::Time32SecondType>(py, array, |at| of_day(py, i64::from(at) * 1_000_000_000))
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            primitives::<arrow::Time32MillisecondType>(py, array, |at| of_day(py, i64::from(at) * 1_000_000))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            primitives::<arrow::Time64MicrosecondType>(py, array, |at| of_day(py, at.saturating_mul(1_000)))
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            primitives::<arrow::Time64NanosecondType>(py, array, |at| of_day(py, at))
        }
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => {
            let (texts, class) = (texts(py, array)?, scalars::decimal(py)?);
            each(py, array, |row| class.call1((&texts[row],)))
        }
        // What the engine has no values of: as text.
        _ => texts(py, array),
    }
}

/// Those of a column's items that its rows have: a piece of a column has the items of all of it.
fn within(items: &ArrayRef, offsets: &[i32]) -> ArrayRef {
    let (first, last) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
    items.slice(first, last - first)
}

/// Where the items of a row stand among [those](within).
fn entries(offsets: &[i32], row: usize) -> Range<usize> {
    let place = |row: usize| (offsets[row] - offsets[0]) as usize;
    place(row)..place(row + 1)
}

/// A dict; a list of pairs where keys cannot be those of a dict, or one is there twice.
fn map<'py>(
    py: Python<'py>,
    keys: &[Bound<'py, PyAny>],
    items: &[Bound<'py, PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    let dict = PyDict::new(py);
    let mut pairs = keys.iter().zip(items);
    if keys.iter().all(|key| key.hash().is_ok()) {
        pairs.try_for_each(|(key, item)| dict.set_item(key, item))?;
        if dict.len() == keys.len() {
            return Ok(dict.into_any());
        }
    }
    Ok(PyList::new(py, keys.iter().zip(items))?.into_any())
}

/// Calendar intervals as (months, days, nanoseconds), since Python has none.
fn intervals<'py>(py: Python<'py>, array: &ArrayRef, unit: IntervalUnit) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let parts = |months: i32, days: i32, nanos: i64| Ok((months, days, nanos).into_pyobject(py)?.into_any());
    match unit {
        IntervalUnit::YearMonth => {
            primitives::<arrow::IntervalYearMonthType>(py, array, |months| parts(months, 0, 0))
        }
        IntervalUnit::DayTime => primitives::<arrow::IntervalDayTimeType>(py, array, |of| {
            parts(0, of.days, i64::from(of.milliseconds) * 1_000_000)
        }),
        IntervalUnit::MonthDayNano => primitives::<arrow::IntervalMonthDayNanoType>(py, array, |of| {
            parts(of.months, of.days, of.nanoseconds)
        }),
    }
}

fn texts<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Vec<Bound<'py, PyAny>>> {
    values(py, &skytide_connect::tables::texts(array).map_err(super::errors::value)?)
}

fn int<'py>(py: Python<'py>, value: impl Into<i64>) -> PyResult<Bound<'py, PyAny>> {
    Ok(value.into().into_pyobject(py)?.into_any())
}

fn each<'py>(
    py: Python<'py>,
    array: &ArrayRef,
    mut of: impl FnMut(usize) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    (0..array.len())
        .map(|row| if array.is_null(row) { Ok(py.None().into_bound(py)) } else { of(row) })
        .collect()
}

fn primitives<'py, T: ArrowPrimitiveType>(
    py: Python<'py>,
    array: &ArrayRef,
    mut of: impl FnMut(T::Native) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let values = array.as_primitive::<T>();
    each(py, array, |row| of(values.value(row)))
}

/// A moment after 1970; as its nanoseconds where Python has none such.
fn moment<'py>(epoch: &Bound<'py, PyAny>, nanos: i128) -> PyResult<Bound<'py, PyAny>> {
    let py = epoch.py();
    span(py, nanos).and_then(|since| epoch.add(since)).or_else(|_| Ok(nanos.into_pyobject(py)?.into_any()))
}

/// A length of time; as its nanoseconds where Python has none such.
fn length(py: Python<'_>, nanos: i128) -> PyResult<Bound<'_, PyAny>> {
    span(py, nanos).or_else(|_| Ok(nanos.into_pyobject(py)?.into_any()))
}

/// A time of day, of its nanoseconds.
fn of_day(py: Python<'_>, nanos: i64) -> PyResult<Bound<'_, PyAny>> {
    moment(datetime(py)?.naive.bind(py), nanos.into())?.call_method0(intern!(py, "time"))
}

fn span(py: Python<'_>, nanos: i128) -> PyResult<Bound<'_, PyAny>> {
    let micros = nanos.div_euclid(1_000);
    let seconds = i64::try_from(micros.div_euclid(1_000_000)).unwrap_or(i64::MAX);
    let micros = micros.rem_euclid(1_000_000) as i64;
    datetime(py)?.timedelta.bind(py).call1((0, seconds, micros))
}
