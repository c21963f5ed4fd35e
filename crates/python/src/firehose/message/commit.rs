//! A commit and its operations. Texts are left where they stand in the frame, and made when they are asked for.

use std::sync::Arc;

use bytes::Bytes;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyIterator, PyList, PyString, PyType};
use skytide_atproto::car::Car;
use skytide_atproto::cid::Cid;
use skytide_atproto::message::{Action, Commit};

use super::fields::{dumped, item, pairs, shown, validated};
use crate::firehose::cid::PyCid;
use crate::firehose::data::{Links, Reduced, whole};
use crate::firehose::errors::refused;

/// Where a part of a frame stands in it.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// A frame's length fits: no larger one is received. What would not is empty.
    fn of(frame: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(frame.as_ptr() as usize);
        let end = u32::try_from(start.wrapping_add(part.len())).unwrap_or_default();
        Self { start: u32::try_from(start).unwrap_or_default().min(end), end }
    }

    fn bytes(self, frame: &[u8]) -> &[u8] {
        frame.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Of a text that was read as one.
    fn text<'py>(self, py: Python<'py>, frame: &[u8]) -> PyResult<Bound<'py, PyString>> {
        PyString::from_bytes(py, self.bytes(frame))
    }

    /// Its first so many bytes, and those after the next one.
    fn split(self, at: u32) -> (Self, Self) {
        let end = self.start.saturating_add(at).min(self.end);
        (Self { end, ..self }, Self { start: end.saturating_add(1).min(self.end), ..self })
    }
}

/// A commit, with its texts where they stand in its frame.
struct CommitData {
    frame: Bytes,
    seq: u64,
    rebase: bool,
    too_big: bool,
    repo: Span,
    commit: Cid,
    prev: Option<Cid>,
    rev: Span,
    since: Option<Span>,
    blocks: Span,
    ops: Vec<OpData>,
    blobs: Vec<Cid>,
    time: Span,
    prev_data: Option<Cid>,
}

struct OpData {
    action: Action,
    path: Span,
    /// Length of the collection in the path.
    collection: u32,
    cid: Option<Cid>,
    prev: Option<Cid>,
}

impl CommitData {
    fn new(frame: &Bytes, commit: Commit<'_>) -> Self {
        let span = |part: &str| Span::of(frame, part.as_bytes());
        let ops = commit.ops.iter().map(|op| {
            let (collection, rkey) = (span(op.path.collection), span(op.path.rkey));
            OpData {
                action: op.action,
                path: Span { start: collection.start, end: rkey.end },
                collection: collection.end - collection.start,
                cid: op.cid,
                prev: op.prev,
            }
        });
        Self {
            seq: commit.seq,
            rebase: commit.rebase.unwrap_or_default(),
            too_big: commit.too_big.unwrap_or_default(),
            repo: span(commit.repo),
            commit: commit.commit,
            prev: commit.prev,
            rev: span(commit.rev),
            since: commit.since.map(span),
            blocks: Span::of(frame, commit.blocks),
            ops: ops.collect(),
            blobs: commit.blobs.unwrap_or_default(),
            time: span(commit.time),
            prev_data: commit.prev_data,
            frame: frame.clone(),
        }
    }

    /// The block that a CID names; none if the commit does not hold it.
    fn block(&self, cid: &Cid) -> PyResult<Option<&[u8]>> {
        for block in Car::parse(self.blocks.bytes(&self.frame)).map_err(refused)?.blocks() {
            let (of, block) = block.map_err(refused)?;
            if of == *cid {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }
}

const COMMIT_TYPE: &str = "com.atproto.sync.subscribeRepos#commit";
const COMMIT_FIELDS: &[&str] = &[
    "seq",
    "rebase",
    "too_big",
    "repo",
    "commit",
    "prev",
    "rev",
    "since",
    "blocks",
    "ops",
    "blobs",
    "time",
    "prev_data",
    "py_type",
];

/// Changes of a repository: `#commit`. It equals one that came in an equal frame.
#[pyclass(frozen, eq, module = "skytide.firehose")]
pub(crate) struct RepoCommit {
    data: Arc<CommitData>,
    ops: PyOnceLock<Py<PyList>>,
}

impl RepoCommit {
    pub(super) fn of(frame: &Bytes, commit: Commit<'_>) -> Self {
        Self { data: Arc::new(CommitData::new(frame, commit)), ops: PyOnceLock::new() }
    }
}

impl PartialEq for RepoCommit {
    fn eq(&self, other: &Self) -> bool {
        self.data.frame == other.data.frame
    }
}

#[pymethods]
impl RepoCommit {
    /// Its frame, to be read again.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py, (Bound<'py, PyBytes>,)>> {
        let read = py.import("skytide._skytide")?.getattr("parse_message")?;
        Ok((read, (PyBytes::new(py, &self.data.frame),)))
    }

    /// Number in the stream.
    #[getter]
    fn seq(&self) -> u64 {
        self.data.seq
    }

    /// Deprecated: unused.
    #[getter]
    fn rebase(&self) -> bool {
        self.data.rebase
    }

    /// Deprecated: blocks and operations were left out because they were too many.
    #[getter]
    fn too_big(&self) -> bool {
        self.data.too_big
    }

    /// DID of the repository's account.
    #[getter]
    fn repo<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        self.data.repo.text(py, &self.data.frame)
    }

    /// CID of the commit object.
    #[getter]
    fn commit(&self) -> PyCid {
        PyCid(self.data.commit)
    }

    /// The commit before, in older streams.
    #[getter]
    fn prev(&self) -> Option<PyCid> {
        self.data.prev.map(PyCid)
    }

    /// Revision of the repository after it.
    #[getter]
    fn rev<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        self.data.rev.text(py, &self.data.frame)
    }

    /// Revision of the commit before.
    #[getter]
    fn since<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.data.since.map(|since| since.text(py, &self.data.frame)).transpose()
    }

    /// A CAR with the commit object, the records and the tree nodes that changed.
    #[getter]
    fn blocks<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.data.blocks.bytes(&self.data.frame))
    }

    /// What was done to which records: a list of `RepoOperation`.
    #[getter]
    fn ops<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = self.ops.get_or_try_init(py, || {
            let op = |at| {
                Bound::new(py, RepoOperation { data: Arc::clone(&self.data), at, record: PyOnceLock::new() })
            };
            let ops: PyResult<Vec<_>> = (0..self.data.ops.len()).map(op).collect();
            Ok::<_, PyErr>(PyList::new(py, ops?)?.unbind())
        })?;
        Ok(list.bind(py).clone())
    }

    /// Deprecated: CIDs of blobs that new records refer to.
    #[getter]
    fn blobs(&self) -> Vec<PyCid> {
        self.data.blobs.iter().copied().map(PyCid).collect()
    }

    /// When the relay sent it, as it is in the message.
    #[getter]
    fn time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        self.data.time.text(py, &self.data.frame)
    }

    /// Root of the tree before this commit.
    #[getter]
    fn prev_data(&self) -> Option<PyCid> {
        self.data.prev_data.map(PyCid)
    }

    /// The type's full name in the lexicons.
    #[getter]
    fn py_type(&self) -> &'static str {
        COMMIT_TYPE
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyIterator>> {
        pairs(slf.as_any(), COMMIT_FIELDS)
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        item(slf.as_any(), COMMIT_FIELDS, name)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        shown(slf.as_any(), COMMIT_FIELDS)
    }

    /// A message of its fields, a dict as it is on the wire, or by the names of Python. Raises
    /// `MessageParsingError` if they are not its fields.
    #[classmethod]
    fn model_validate<'py>(
        class: &Bound<'py, PyType>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validated(class, COMMIT_TYPE, data)
    }

    /// The fields as a dict, with those of messages in it: CIDs are their texts.
    #[pyo3(signature = (*, exclude_none = false, by_alias = false))]
    fn model_dump<'py>(
        slf: &Bound<'py, Self>,
        exclude_none: bool,
        by_alias: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        dumped(slf.as_any(), "dump", exclude_none, by_alias)
    }

    /// The same as JSON; bytes are `{"$bytes": …}`.
    #[pyo3(signature = (*, exclude_none = false, by_alias = false))]
    fn model_dump_json<'py>(
        slf: &Bound<'py, Self>,
        exclude_none: bool,
        by_alias: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        dumped(slf.as_any(), "dump_json", exclude_none, by_alias)
    }
}

const OP_FIELDS: &[&str] = &["action", "path", "cid", "prev", "py_type"];

/// One change of one record. It equals one of the same fields in another commit.
#[pyclass(frozen, eq, module = "skytide.firehose")]
pub(crate) struct RepoOperation {
    data: Arc<CommitData>,
    at: usize,
    record: PyOnceLock<Option<Py<PyAny>>>,
}

impl RepoOperation {
    /// It was made for a place that there is.
    fn op(&self) -> PyResult<&OpData> {
        self.data.ops.get(self.at).ok_or_else(|| refused("no such operation"))
    }
}

impl PartialEq for RepoOperation {
    fn eq(&self, other: &Self) -> bool {
        let (Ok(op), Ok(its)) = (self.op(), other.op()) else { return false };
        let are_alike = (op.action, op.cid, op.prev) == (its.action, its.cid, its.prev);
        are_alike && op.path.bytes(&self.data.frame) == its.path.bytes(&other.data.frame)
    }
}

#[pymethods]
impl RepoOperation {
    /// The operation of a commit that stands at this place.
    #[new]
    fn new(commit: &RepoCommit, at: usize) -> PyResult<Self> {
        let data = Arc::clone(&commit.data);
        let is_there = at < data.ops.len();
        is_there.then_some(Self { data, at, record: PyOnceLock::new() }).ok_or_else(|| {
            PyIndexError::new_err(format!("there is no operation {at} of {}", commit.data.ops.len()))
        })
    }

    fn __getnewargs__(&self) -> (RepoCommit, usize) {
        (RepoCommit { data: Arc::clone(&self.data), ops: PyOnceLock::new() }, self.at)
    }

    /// `create`, `update` or `delete`.
    #[getter]
    fn action<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyString>> {
        Ok(match self.op()?.action {
            Action::Create => pyo3::intern!(py, "create"),
            Action::Update => pyo3::intern!(py, "update"),
            Action::Delete => pyo3::intern!(py, "delete"),
        })
    }

    /// The record's place in the repository: `collection/rkey`.
    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        self.op()?.path.text(py, &self.data.frame)
    }

    /// NSID of the record's collection.
    #[getter]
    fn collection<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let op = self.op()?;
        op.path.split(op.collection).0.text(py, &self.data.frame)
    }

    /// Key of the record in its collection.
    #[getter]
    fn rkey<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let op = self.op()?;
        op.path.split(op.collection).1.text(py, &self.data.frame)
    }

    /// The record's CID after it; `None` for a delete.
    #[getter]
    fn cid(&self) -> PyResult<Option<PyCid>> {
        Ok(self.op()?.cid.map(PyCid))
    }

    /// The record's CID before an update or delete, where the commit says it.
    #[getter]
    fn prev(&self) -> PyResult<Option<PyCid>> {
        Ok(self.op()?.prev.map(PyCid))
    }

    /// The record, decoded when it is first asked for; `None` for a delete, and where the commit does not hold it.
    #[getter]
    fn record<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let record = self.record.get_or_try_init(py, || {
            let Some(cid) = self.op()?.cid else { return Ok(None) };
            let Some(block) = self.data.block(&cid)? else { return Ok(None) };
            Ok::<_, PyErr>(Some(whole(py, block, Links::Cids)?.unbind()))
        })?;
        Ok(record.as_ref().map(|record| record.bind(py).clone()))
    }

    /// The type's full name in the lexicons.
    #[getter]
    fn py_type(&self) -> &'static str {
        "com.atproto.sync.subscribeRepos#repoOp"
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyIterator>> {
        pairs(slf.as_any(), OP_FIELDS)
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        item(slf.as_any(), OP_FIELDS, name)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        shown(slf.as_any(), OP_FIELDS)
    }

    /// The fields as a dict, with those of messages in it: CIDs are their texts.
    #[pyo3(signature = (*, exclude_none = false, by_alias = false))]
    fn model_dump<'py>(
        slf: &Bound<'py, Self>,
        exclude_none: bool,
        by_alias: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        dumped(slf.as_any(), "dump", exclude_none, by_alias)
    }

    /// The same as JSON; bytes are `{"$bytes": …}`.
    #[pyo3(signature = (*, exclude_none = false, by_alias = false))]
    fn model_dump_json<'py>(
        slf: &Bound<'py, Self>,
        exclude_none: bool,
        by_alias: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        dumped(slf.as_any(), "dump_json", exclude_none, by_alias)
    }
}
