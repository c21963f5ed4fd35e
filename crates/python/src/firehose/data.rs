//! DAG-CBOR as Python values, made from the bytes without a stop in between.

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};
use skytide_atproto::cbor::{Cursor, Error, Kind, MAX_DEPTH, MapKeys, Rule};

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
