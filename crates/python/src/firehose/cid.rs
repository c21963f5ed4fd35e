//! `CID`: a content identifier, equal to its text.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyType};
use skytide_atproto::cid::{Cid, Codec};

/// The code of SHA-256 among the hashes of multiformats, the only one that there is in the AT Protocol.
const SHA_256: u64 = 0x12;

/// A content identifier (CIDv1, DAG-CBOR or raw, SHA-256). It equals, and hashes as, its text.
#[pyclass(frozen, module = "skytide.firehose", name = "CID")]
pub(crate) struct PyCid(pub(super) Cid);

#[pymethods]
impl PyCid {
    #[new]
    fn new(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::decode(value)
    }

    /// Reads a CID from its text or its bytes.
    #[staticmethod]
    fn decode(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        named(value).map(Self)
    }

    /// The text form.
    fn encode(&self) -> String {
        self.0.to_string()
    }

    #[getter]
    fn version(&self) -> u64 {
        1
    }

    /// 0x71 for DAG-CBOR, 0x55 for raw bytes.
    #[getter]
    fn codec(&self) -> u64 {
        match self.0.codec() {
            Codec::DagCbor => 0x71,
            Codec::Raw => 0x55,
        }
    }

    /// The hash: its `code` (0x12 for SHA-256), its `size` and its `digest`.
    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let digest = PyBytes::new(py, self.0.digest());
        TYPE.import(py, "skytide.firehose._types", "Multihash")?.call1((
            SHA_256,
            self.0.digest().len(),
            digest,
        ))
    }

    /// The SHA-256 digest, 32 bytes.
    #[getter]
    fn digest(&self) -> &[u8] {
        self.0.digest()
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.as_bytes())
    }

    fn __str__(&self) -> String {
        self.encode()
    }

    fn __repr__(&self) -> String {
        format!("CID('{}')", self.0)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyString::new(py, self.0.write_text(&mut [0; Cid::TEXT_LENGTH])).hash()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        if let Ok(other) = other.cast::<Self>() {
            return self.0 == other.get().0;
        }
        other
            .cast::<PyString>()
            .ok()
            .and_then(|text| {
                text.to_cow().ok().map(|text| text == self.0.write_text(&mut [0; Cid::TEXT_LENGTH]))
            })
            .unwrap_or_default()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyAny>, (String,)) {
        (py.get_type::<Self>().into_any(), (self.encode(),))
    }
}

/// The CID that a Python value is or names: a `CID`, its text or its bytes.
pub(super) fn named(value: &Bound<'_, PyAny>) -> PyResult<Cid> {
    if let Ok(cid) = value.cast::<PyCid>() {
        return Ok(cid.get().0);
    }
    let refused = |error: &dyn std::fmt::Display| PyValueError::new_err(format!("not a CID: {error}"));
    if let Ok(text) = value.cast::<PyString>() {
        return text.to_cow()?.parse().map_err(|error| refused(&error));
    }
    match value.cast::<PyBytes>() {
        Ok(bytes) => Cid::from_bytes(bytes.as_bytes()).map_err(|error| refused(&error)),
        Err(_) => Err(PyTypeError::new_err(format!("a CID, str or bytes, not {}", value.get_type().name()?))),
    }
}
