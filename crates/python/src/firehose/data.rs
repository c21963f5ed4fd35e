//! DAG-CBOR as Python values, made from the bytes without a stop in between; and back.

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use skytide_atproto::cbor::{Cursor, Error, Kind, MAX_DEPTH, Map, MapKeys, Rule, Value};

use super::cid::PyCid;
use super::errors::refused;

/// The bytes of a Python object, which live as long as what is made of them; nothing is copied.
pub(crate) fn shared(bytes: &Bound<'_, PyBytes>) -> Bytes {
    Bytes::from_owner(PyBackedBytes::from(bytes.clone()))
}

/// How a copy of an object is made, here or in another process: by what, of what.
pub(super) type Reduced<'py, T> = (Bound<'py, PyAny>, T);

/// What a link becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// A `CID`.
    Cids,
    /// The bytes of its CID, as the AT Protocol SDK has them.
    Bytes,
}

/// Reads exactly one item.
pub(super) fn whole<'py>(py: Python<'py>, bytes: &[u8], links: Links) -> PyResult<Bound<'py, PyAny>> {
    let mut cursor = Cursor::new(bytes);
    let value = read(py, &mut cursor, links, 0)?;
    if !cursor.is_at_end() {
        return Err(refused(Error { at: cursor.position(), rule: Rule::Trailing }));
    }
    Ok(value)
}

/// Reads the next item, within so many lists and maps.
fn read<'py>(
    py: Python<'py>,
    cursor: &mut Cursor<'_>,
    links: Links,
    depth: usize,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(match cursor.kind().map_err(refused)? {
        Kind::Text => PyString::new(py, cursor.read_text().map_err(refused)?).into_any(),
        Kind::Unsigned => cursor.read_u64().map_err(refused)?.into_pyobject(py)?.into_any(),
        Kind::Negative => {
            let integer = cursor.read_integer().map_err(refused)?;
            match i64::try_from(integer) {
                Ok(small) => PyInt::new(py, small).into_any(),
                Err(_) => integer.into_pyobject(py)?.into_any(),
            }
        }
        Kind::Map => {
            if depth >= MAX_DEPTH {
                return Err(refused(Error { at: cursor.position(), rule: Rule::Depth }));
            }
            let map = PyDict::new(py);
            let mut keys = MapKeys::new(cursor.read_map().map_err(refused)?);
            while let Some(key) = keys.next(cursor).map_err(refused)? {
                let key = PyString::new(py, key);
                map.set_item(key, read(py, cursor, links, depth + 1)?)?;
            }
            map.into_any()
        }
        Kind::List => {
            if depth >= MAX_DEPTH {
                return Err(refused(Error { at: cursor.position(), rule: Rule::Depth }));
            }
            let list = PyList::empty(py);
            for _ in 0..cursor.read_list().map_err(refused)? {
                list.append(read(py, cursor, links, depth + 1)?)?;
            }
            list.into_any()
        }
        Kind::Link => {
            let cid = cursor.read_link().map_err(refused)?;
            match links {
                Links::Cids => Bound::new(py, PyCid(cid))?.into_any(),
                Links::Bytes => PyBytes::new(py, cid.as_bytes()).into_any(),
            }
        }
        Kind::Bytes => PyBytes::new(py, cursor.read_bytes().map_err(refused)?).into_any(),
        Kind::Bool => PyBool::new(py, cursor.read_bool().map_err(refused)?).to_owned().into_any(),
        Kind::Float => PyFloat::new(py, cursor.read_f64().map_err(refused)?).into_any(),
        Kind::Null => {
            cursor.read_null().map_err(refused)?;
            py.None().into_bound(py)
        }
    })
}

/// A Python value in DAG-CBOR, where CIDs are links. Raises `MessageParsingError` if it has no form there.
#[pyfunction]
pub(crate) fn encode<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(value.py(), &item(value, 0)?.to_bytes()))
}

/// The item that a value is, within so many lists and maps.
fn item(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    if depth > MAX_DEPTH {
        return Err(refused("data deeper than DAG-CBOR may be"));
    }
    // Lists and tuples.
    let list = |items: &mut dyn Iterator<Item = Bound<'_, PyAny>>| {
        items.map(|each| item(&each, depth + 1)).collect::<PyResult<_>>().map(Value::List)
    };
    if value.is_none() {
        Ok(Value::Null)
    } else if let Ok(it) = value.cast::<PyBool>() {
        Ok(Value::Bool(it.is_true()))
    } else if value.is_instance_of::<PyInt>() {
        let number = value.extract().ok().filter(|it| (-(1_i128 << 64)..1 << 64).contains(it));
        number.map(Value::Integer).ok_or_else(|| refused("an integer beyond 64 bits"))
    } else if let Ok(it) = value.cast::<PyFloat>() {
        Some(it.value())
            .filter(|it| it.is_finite())
            .map(Value::Float)
            .ok_or_else(|| refused("a float that is no number"))
    } else if let Ok(it) = value.cast::<PyString>() {
        Ok(Value::Text(it.to_cow().map_err(refused)?.into_owned()))
    } else if let Ok(it) = value.cast::<PyBytes>() {
        Ok(Value::Bytes(it.as_bytes().to_vec()))
    } else if let Ok(it) = value.cast::<PyCid>() {
        Ok(Value::Link(it.get().0))
    } else if let Ok(it) = value.cast::<PyList>() {
        list(&mut it.iter())
    } else if let Ok(it) = value.cast::<PyTuple>() {
        list(&mut it.iter())
    } else if let Ok(it) = value.cast::<PyDict>() {
        let mut map = Map::new();
        for (key, value) in it {
            map.insert(key.extract::<String>().map_err(refused)?, item(&value, depth + 1)?);
        }
        Ok(Value::Map(map))
    } else {
        Err(refused(format!("{} has no form in DAG-CBOR", value.get_type().name()?)))
    }
}
