//! `MessageFrame`: a frame as it came; nothing of it is decoded before it is asked for.

use bytes::Bytes;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};
use skytide_atproto::cbor::{Cursor, Encoder};
use skytide_atproto::frame::{self, Header};

use super::data::{Links, Reduced, shared, whole};
use super::errors::refused;

/// The header of a frame: `op`, a `FrameType` where it is one, and `t`, the type of the message, as `#commit`.
#[pyclass(frozen, eq, module = "skytide.firehose", name = "MessageFrameHeader")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PyHeader {
    op: i64,
    /// The type of the message, as `#commit`; `None` of an error.
    #[pyo3(get)]
    t: Option<String>,
}

#[pymethods]
impl PyHeader {
    #[new]
    #[pyo3(signature = (op = 1, t = None))]
    fn new(op: i64, t: Option<String>) -> Self {
        Self { op, t }
    }

    /// What the frame is: a `FrameType`, or the number of an operation that is not known.
    #[getter]
    fn op<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        match self.op {
            1 | -1 => TYPE.import(py, "skytide.firehose._types", "FrameType")?.call1((self.op,)),
            other => Ok(other.into_pyobject(py)?.into_any()),
        }
    }

    fn __getnewargs__(&self) -> (i64, Option<&str>) {
        (self.op, self.t.as_deref())
    }

    fn __repr__(&self) -> String {
        match &self.t {
            Some(t) => format!("MessageFrameHeader(op={}, t='{t}')", self.op),
            None => format!("MessageFrameHeader(op={}, t=None)", self.op),
        }
    }
}

/// A frame of an event stream: a header, and a body that is not decoded.
#[pyclass(frozen, module = "skytide.firehose", name = "MessageFrame")]
pub(crate) struct PyFrame(pub(super) Bytes);

impl PyFrame {
    /// The whole frame.
    pub(crate) fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The header and the place where the body begins.
    fn split(&self) -> PyResult<(Header<'_>, usize)> {
        let mut cursor = Cursor::new(&self.0);
        let header = Header::read(&mut cursor).map_err(refused)?;
        Ok((header, cursor.position()))
    }

    fn payload(&self) -> PyResult<&[u8]> {
        let (_, at) = self.split()?;
        Ok(self.0.get(at..).unwrap_or_default())
    }
}

#[pymethods]
impl PyFrame {
    #[new]
    fn new(header: &Bound<'_, PyHeader>, body: &Bound<'_, PyBytes>) -> Self {
        let header = header.get();
        let mut encoder = Encoder::with_capacity(32 + body.as_bytes().len());
        Header { op: header.op, t: header.t.as_deref() }.encode(&mut encoder);
        encoder.raw(body.as_bytes());
        Self(encoder.into_bytes().into())
    }

    /// Makes a frame of the bytes of a whole one. Raises `MessageParsingError` if they have no header.
    #[classmethod]
    fn from_bytes(_: &Bound<'_, PyType>, data: &Bound<'_, PyBytes>) -> PyResult<Self> {
        let frame = Self(shared(data));
        frame.split()?;
        Ok(frame)
    }

    #[getter]
    fn header(&self) -> PyResult<PyHeader> {
        let (header, _) = self.split()?;
        Ok(PyHeader { op: header.op, t: header.t.map(str::to_owned) })
    }

    /// The body: DAG-CBOR, as it came.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.payload()?))
    }

    /// The type of the message, as `#commit`; `None` of an error.
    #[getter]
    fn r#type(&self) -> PyResult<Option<&str>> {
        Ok(self.split()?.0.t)
    }

    /// The number of the frame in its stream, where it has one.
    #[getter]
    fn seq(&self) -> Option<u64> {
        frame::peek_head(&self.0).0
    }

    #[getter]
    fn is_message(&self) -> PyResult<bool> {
        Ok(self.split()?.0.op == 1)
    }

    #[getter]
    fn is_error(&self) -> PyResult<bool> {
        Ok(self.split()?.0.op == -1)
    }

    /// Whether it is no error, and its body one whole item, though perhaps not the message that its header names.
    #[getter]
    fn is_whole(&self) -> bool {
        let mut cursor = Cursor::new(&self.0);
        Header::read(&mut cursor).is_ok_and(|header| header.op != -1)
            && cursor.skip().is_ok()
            && cursor.is_at_end()
    }

    /// The body decoded: a dict. Links are CIDs, or their bytes.
    #[pyo3(signature = (*, links_as_bytes = false))]
    fn decode<'py>(&self, py: Python<'py>, links_as_bytes: bool) -> PyResult<Bound<'py, PyAny>> {
        whole(py, self.payload()?, if links_as_bytes { Links::Bytes } else { Links::Cids })
    }

    /// The whole frame.
    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().0 == self.0)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.__bytes__(py).hash()
    }

    /// Its bytes, as they came.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, (Bound<'py, PyBytes>,)>> {
        let made = slf.get_type().getattr(intern!(slf.py(), "from_bytes"))?;
        Ok((made, (slf.get().__bytes__(slf.py()),)))
    }

    fn __repr__(&self) -> PyResult<String> {
        let (header, at) = self.split()?;
        let name = header.t.unwrap_or(if header.op == -1 { "error" } else { "?" });
        Ok(format!("<MessageFrame {name} of {} bytes>", self.0.len() - at))
    }
}
