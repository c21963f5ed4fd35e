//! `CAR`: the blocks of a commit or a repository, decoded as they are asked for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use pyo3::exceptions::PyKeyError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList, PyTuple, PyType};
use skytide_atproto::car::Car;
use skytide_atproto::cid::{Cid, Codec};

use super::cid::{PyCid, named};
use super::data::{Links, Reduced, shared, whole};
use super::errors::refused;

/// A CAR file: a root and blocks by CID. Hashes are not checked.
#[pyclass(frozen, module = "skytide.firehose", name = "CAR")]
pub(crate) struct PyCar {
    root: Cid,
    blocks: Py<Blocks>,
}

#[pymethods]
impl PyCar {
    /// Reads a CAR file: its header and where its blocks are. Raises `MessageParsingError` if it is none.
    #[classmethod]
    #[pyo3(signature = (data, links_as_bytes = false))]
    fn from_bytes(
        class: &Bound<'_, PyType>,
        data: &Bound<'_, PyBytes>,
        links_as_bytes: bool,
    ) -> PyResult<Self> {
        let links = if links_as_bytes { Links::Bytes } else { Links::Cids };
        Self::read(class.py(), shared(data), links)
    }

    /// The CID of the root: of a commit, the commit object.
    #[getter]
    fn root(&self) -> PyCid {
        PyCid(self.root)
    }

    /// The blocks: a mapping from CID to what the block holds.
    #[getter]
    fn blocks(&self, py: Python<'_>) -> Py<Blocks> {
        self.blocks.clone_ref(py)
    }

    fn __len__(&self) -> usize {
        self.blocks.get().index().places.len()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py, (Bound<'py, PyBytes>, bool)>> {
        let blocks = self.blocks.get();
        let made = py.get_type::<Self>().getattr(intern!(py, "from_bytes"))?;
        Ok((made, (PyBytes::new(py, &blocks.bytes), blocks.links == Links::Bytes)))
    }

    fn __repr__(&self) -> String {
        format!("<CAR root={} blocks={}>", self.root, self.__len__())
    }
}

impl PyCar {
    fn read(py: Python<'_>, bytes: Bytes, links: Links) -> PyResult<Self> {
        let car = Car::parse(&bytes).map_err(refused)?;
        let root = car.root().ok_or_else(|| refused("a CAR without a root"))?;
        let mut blocks = Vec::with_capacity(16);
        let start = bytes.as_ptr() as usize;
        for block in car.blocks() {
            let (cid, block) = block.map_err(refused)?;
            let at = block.as_ptr() as usize - start;
            blocks.push((cid, at..at + block.len()));
        }
        let blocks = Py::new(py, Blocks { bytes, blocks, index: OnceLock::new(), links })?;
        Ok(Self { root, blocks })
    }
}

/// The blocks of a CAR: a mapping from CID (or its text) to the decoded value, or to the bytes of a raw block.
#[pyclass(frozen, module = "skytide.firehose", mapping)]
pub(crate) struct Blocks {
    bytes: Bytes,
    /// In the order of the file.
    blocks: Vec<(Cid, Range<usize>)>,
    index: OnceLock<Index>,
    links: Links,
}

/// The places of blocks, each CID once: of blocks with one CID the first counts.
struct Index {
    by_cid: HashMap<Cid, usize>,
    /// In the order of the file.
    places: Vec<usize>,
}

/// So few blocks are looked through faster than they are hashed.
const FEW: usize = 24;

impl Blocks {
    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let mut index = Index { by_cid: HashMap::with_capacity(self.blocks.len()), places: Vec::new() };
            for (at, (cid, _)) in self.blocks.iter().enumerate() {
                if let Entry::Vacant(vacant) = index.by_cid.entry(*cid) {
                    vacant.insert(at);
                    index.places.push(at);
                }
            }
            index
        })
    }

    fn find(&self, cid: &Cid) -> Option<&[u8]> {
        let at = if self.blocks.len() <= FEW {
            self.blocks.iter().position(|(of, _)| of == cid)
        } else {
            self.index().by_cid.get(cid).copied()
        };
        self.at(at?).map(|(_, block)| block)
    }

    fn at(&self, place: usize) -> Option<(&Cid, &[u8])> {
        let (cid, range) = self.blocks.get(place)?;
        Some((cid, self.bytes.get(range.clone())?))
    }

    fn value<'py>(&self, py: Python<'py>, cid: &Cid, block: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        match cid.codec() {
            Codec::DagCbor => whole(py, block, self.links),
            Codec::Raw => Ok(PyBytes::new(py, block).into_any()),
        }
    }

    /// Each block once, in the order of the file.
    fn each(&self) -> impl Iterator<Item = (&Cid, &[u8])> {
        self.index().places.iter().filter_map(|at| self.at(*at))
    }
}

#[pymethods]
impl Blocks {
    fn __len__(&self) -> usize {
        self.index().places.len()
    }

    fn __contains__(&self, cid: &Bound<'_, PyAny>) -> bool {
        named(cid).is_ok_and(|cid| self.find(&cid).is_some())
    }

    fn __getitem__<'py>(&self, py: Python<'py>, cid: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let found = named(cid).ok().and_then(|cid| Some((cid, self.find(&cid)?)));
        let (cid, block) = found.ok_or_else(|| PyKeyError::new_err(cid.clone().unbind()))?;
        self.value(py, &cid, block)
    }

    /// The block of a CID, or the default.
    #[pyo3(signature = (cid, default = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        cid: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match named(cid).ok().and_then(|cid| Some((cid, self.find(&cid)?))) {
            Some((cid, block)) => self.value(py, &cid, block).map(Some),
            None => Ok(default),
        }
    }

    /// The bytes of a block, undecoded; `None` if there is none.
    fn raw<'py>(&self, py: Python<'py>, cid: &Bound<'py, PyAny>) -> Option<Bound<'py, PyBytes>> {
        let cid = named(cid).ok()?;
        self.find(&cid).map(|block| PyBytes::new(py, block))
    }

    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let keys: PyResult<Vec<_>> = self.each().map(|(cid, _)| Bound::new(py, PyCid(*cid))).collect();
        PyList::new(py, keys?)
    }

    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let values: PyResult<Vec<_>> = self.each().map(|(cid, block)| self.value(py, cid, block)).collect();
        PyList::new(py, values?)
    }

    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let item = |(cid, block): (&Cid, &[u8])| {
            let key = Bound::new(py, PyCid(*cid))?.into_any();
            PyTuple::new(py, [key, self.value(py, cid, block)?])
        };
        PyList::new(py, self.each().map(item).collect::<PyResult<Vec<_>>>()?)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.keys(py)?.try_iter()
    }

    /// The blocks of their CAR.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py, (Bound<'py, PyCar>, &'static str)>> {
        let car = Bound::new(py, PyCar::read(py, self.bytes.clone(), self.links)?)?;
        Ok((py.import("builtins")?.getattr("getattr")?, (car, "blocks")))
    }

    fn __repr__(&self) -> String {
        format!("<{} blocks>", self.index().places.len())
    }
}
