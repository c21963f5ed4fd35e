//! Messages: what a frame says. Texts, operations and records are taken from the frame's bytes as they are asked for.

use std::sync::Arc;

use bytes::Bytes;
use pyo3::exceptions::{PyIndexError, PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyIterator, PyList, PyString, PyTuple};
use skytide_atproto::car::Car;
use skytide_atproto::cid::Cid;
use skytide_atproto::frame::Kind;
use skytide_atproto::message::{Action, Commit, Label, Message};

use super::cid::PyCid;
use super::data::{Links, Reduced, shared, whole};
use super::errors::refused;
use super::frame::PyFrame;

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

/// The fields of a message as pairs of name and value, in order.
fn pairs<'py>(message: &Bound<'py, PyAny>, fields: &[&str]) -> PyResult<Bound<'py, PyIterator>> {
    let py = message.py();
    let pair = |name: &&str| PyTuple::new(py, [PyString::new(py, name).into_any(), message.getattr(*name)?]);
    PyList::new(py, fields.iter().map(pair).collect::<PyResult<Vec<_>>>()?)?.try_iter()
}

fn item<'py>(message: &Bound<'py, PyAny>, fields: &[&str], name: &str) -> PyResult<Bound<'py, PyAny>> {
    if fields.contains(&name) { message.getattr(name) } else { Err(PyKeyError::new_err(name.to_owned())) }
}

fn shown(message: &Bound<'_, PyAny>, fields: &[&str]) -> PyResult<String> {
    let mut parts = Vec::new();
    for name in fields {
        let value = message.getattr(*name)?;
        let text = match value.cast::<PyBytes>() {
            Ok(bytes) => format!("<{} bytes>", bytes.as_bytes().len()),
            Err(_) => value.repr()?.to_string(),
        };
        parts.push(format!("{name}={text}"));
    }
    Ok(format!("{}({})", message.get_type().name()?, parts.join(", ")))
}

/// A message by a function of the module that writes models as data.
fn dumped<'py>(
    message: &Bound<'py, PyAny>,
    function: &str,
    exclude_none: bool,
    by_alias: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let module = message.py().import("skytide.firehose._dump")?;
    module.getattr(function)?.call1((message, exclude_none, by_alias))
}

/// A message whose fields are copied out of its frame.
macro_rules! message_class {
    ($(#[$doc:meta])* $rust:ident, $name:literal, $type:expr, {
        $($(#[$field_doc:meta])* $field:ident: $of:ty,)*
    }) => {
        $(#[$doc])*
        #[pyclass(frozen, eq, get_all, module = "skytide.firehose", name = $name)]
        #[derive(Clone, PartialEq)]
        pub(crate) struct $rust { $($(#[$field_doc])* $field: $of,)* }

        impl $rust {
            const FIELDS: &[&str] = &[$(stringify!($field),)* "py_type"];
        }

        #[pymethods]
        impl $rust {
            #[new]
            #[pyo3(signature = ($($field),*))]
            #[allow(clippy::too_many_arguments, reason = "each is a field; some messages have many")]
            fn new($($field: $of),*) -> Self {
                Self { $($field),* }
            }

            fn __getnewargs__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
                let py = slf.py();
                let fields = [$(slf.getattr(pyo3::intern!(py, stringify!($field)))?),*];
                PyTuple::new(py, fields)
            }

            /// The type's full name in the lexicons.
            #[getter]
            fn py_type(&self) -> &'static str {
                $type
            }

            fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyIterator>> {
                pairs(slf.as_any(), Self::FIELDS)
            }

            fn __getitem__<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
                item(slf.as_any(), Self::FIELDS, name)
            }

            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                shown(slf.as_any(), Self::FIELDS)
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
    };
}

message_class! {
    /// The current state of a repository, which may not follow what came before.
    RepoSync, "RepoSync", "com.atproto.sync.subscribeRepos#sync", {
        seq: u64, did: String, rev: String, blocks: Py3Bytes, time: String,
    }
}
message_class! {
    /// The account's DID document or handle may have changed.
    Identity, "Identity", "com.atproto.sync.subscribeRepos#identity", {
        seq: u64, did: String, time: String, handle: Option<String>,
    }
}
message_class! {
    /// Whether an account's content is to be shown.
    Account, "Account", "com.atproto.sync.subscribeRepos#account", {
        seq: u64, did: String, time: String, active: bool, status: Option<String>,
    }
}
message_class! {
    /// The account has a new handle; no longer sent.
    HandleUpdate, "HandleUpdate", "com.atproto.sync.subscribeRepos#handle", {
        seq: u64, did: String, handle: String, time: String,
    }
}
message_class! {
    /// The account moved to another DID, or was closed; no longer sent.
    RepoMigrate, "RepoMigrate", "com.atproto.sync.subscribeRepos#migrate", {
        seq: u64, did: String, migrate_to: Option<String>, time: String,
    }
}
message_class! {
    /// The account was deleted; no longer sent.
    RepoTombstone, "RepoTombstone", "com.atproto.sync.subscribeRepos#tombstone", {
        seq: u64, did: String, time: String,
    }
}
message_class! {
    /// A remark of the server, as `OutdatedCursor`.
    InfoMessage, "InfoMessage", "com.atproto.sync.subscribeRepos#info", { name: String, message: Option<String>, }
}
message_class! {
    /// An error frame: why the server ends the stream.
    ErrorMessage, "ErrorMessage", "error", { error: String, message: Option<String>, }
}
message_class! {
    /// A labeler's word about an account or a record.
    PyLabel, "Label", "com.atproto.label.defs#label", {
        src: String, uri: String, cid: Option<String>, val: String, neg: bool, cts: String, exp: Option<String>,
        sig: Option<Py3Bytes>, ver: Option<i64>,
    }
}

/// Bytes that are `bytes` in Python, too.
#[derive(Clone, PartialEq)]
pub(crate) struct Py3Bytes(Vec<u8>);

impl<'py> FromPyObject<'_, 'py> for Py3Bytes {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(given.cast::<PyBytes>()?.as_bytes().to_vec()))
    }
}

impl<'py> IntoPyObject<'py> for &Py3Bytes {
    type Target = PyBytes;
    type Output = Bound<'py, PyBytes>;
    type Error = std::convert::Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
        Ok(PyBytes::new(py, &self.0))
    }
}

impl<'py> IntoPyObject<'py> for Py3Bytes {
    type Target = PyBytes;
    type Output = Bound<'py, PyBytes>;
    type Error = std::convert::Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
        (&self).into_pyobject(py)
    }
}

impl From<&Label<'_>> for PyLabel {
    fn from(label: &Label<'_>) -> Self {
        Self {
            src: label.src.to_owned(),
            uri: label.uri.to_owned(),
            cid: label.cid.map(str::to_owned),
            val: label.val.to_owned(),
            neg: label.neg.unwrap_or_default(),
            cts: label.cts.to_owned(),
            exp: label.exp.map(str::to_owned),
            sig: label.sig.map(|sig| Py3Bytes(sig.to_vec())),
            ver: label.ver,
        }
    }
}

/// Labels that a labeler made or took back: iterable, with `seq` and `labels`.
#[pyclass(frozen, get_all, module = "skytide.firehose", name = "Labels")]
pub(crate) struct PyLabels {
    seq: u64,
    labels: Py<PyList>,
}

#[pymethods]
impl PyLabels {
    #[new]
    fn new(seq: u64, labels: Py<PyList>) -> Self {
        Self { seq, labels }
    }

    fn __getnewargs__<'py>(&self, py: Python<'py>) -> (u64, &Bound<'py, PyList>) {
        (self.seq, self.labels.bind(py))
    }

    /// The type's full name in the lexicons.
    #[getter]
    fn py_type(&self) -> &'static str {
        "com.atproto.label.subscribeLabels#labels"
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.labels.bind(py).try_iter()
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.labels.bind(py).len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.labels.bind(py).as_any().get_item(key)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        shown(slf.as_any(), &["seq", "labels"])
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

/// Changes of a repository: `#commit`.
#[pyclass(frozen, module = "skytide.firehose")]
pub(crate) struct RepoCommit {
    data: Arc<CommitData>,
    ops: PyOnceLock<Py<PyList>>,
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
        "com.atproto.sync.subscribeRepos#commit"
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

/// One change of one record.
#[pyclass(frozen, module = "skytide.firehose")]
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

/// What a message is, by its class.
fn kind_of(message: &Bound<'_, PyAny>) -> Option<Kind> {
    macro_rules! first {
        ($($class:ty: $kind:ident),* $(,)?) => {
            $(if message.is_instance_of::<$class>() { return Some(Kind::$kind); })*
        };
    }
    first! {
        RepoCommit: Commit, RepoSync: Sync, Identity: Identity, Account: Account, HandleUpdate: Handle,
        RepoMigrate: Migrate, RepoTombstone: Tombstone, PyLabels: Labels, InfoMessage: Info, ErrorMessage: Error,
    }
    None
}

/// A message of one of the two streams. One attribute is set, the others are `None`; of an unknown type all are.
macro_rules! holder {
    ($(#[$doc:meta])* $name:ident { $($(#[$getter_doc:meta])* $getter:ident: $kind:ident,)* }) => {
        $(#[$doc])*
        #[pyclass(frozen, module = "skytide.firehose")]
        pub(crate) struct $name {
            kind: Kind,
            message: Option<Py<PyAny>>,
        }

        #[pymethods]
        impl $name {
            /// The holder of a message; of none it is one of an unknown type.
            #[new]
            #[pyo3(signature = (message = None))]
            fn of(message: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
                let Some(message) = message else { return Ok(Self::new(Kind::Unknown, None)) };
                match kind_of(message) {
                    Some(kind) => Ok(Self::new(kind, Some(message.clone().unbind()))),
                    None => Err(PyTypeError::new_err(format!("a message, not {}", message.get_type().name()?))),
                }
            }

            fn __getnewargs__(&self, py: Python<'_>) -> (Option<Py<PyAny>>,) {
                (self.message.as_ref().map(|message| message.clone_ref(py)),)
            }

            $(
                $(#[$getter_doc])*
                #[getter]
                fn $getter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
                    self.message.as_ref().filter(|_| self.kind == Kind::$kind).map(|it| it.clone_ref(py))
                }
            )*

            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                let set: &[&str] = match slf.get().kind {
                    $(Kind::$kind => &[stringify!($getter)],)*
                    _ => &[],
                };
                shown(slf.as_any(), set)
            }
        }

        impl $name {
            fn new(kind: Kind, message: Option<Py<PyAny>>) -> Self {
                let known = matches!(kind, $(Kind::$kind)|*);
                Self { kind, message: message.filter(|_| known) }
            }
        }
    };
}

holder! {
    /// A message of the repositories' stream: one attribute is set; of an unknown type none is.
    SubscribeReposMessage {
        commit: Commit, sync: Sync, identity: Identity, account: Account, handle: Handle, migrate: Migrate,
        tombstone: Tombstone, info: Info, error: Error,
    }
}
holder! {
    /// A message of a labeler's stream: one attribute is set; of an unknown type none is.
    SubscribeLabelsMessage { labels: Labels, info: Info, error: Error, }
}

/// The bytes of a frame that a Python value is: a `MessageFrame`, or the bytes of a whole one.
fn frame_of(frame: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(frame) = frame.cast::<PyFrame>() {
        return Ok(frame.get().0.clone());
    }
    match frame.cast::<PyBytes>() {
        Ok(bytes) => Ok(shared(bytes)),
        Err(_) => {
            Err(PyTypeError::new_err(format!("a MessageFrame or bytes, not {}", frame.get_type().name()?)))
        }
    }
}

/// Reads the message in a frame and makes its Python object; none of an unknown type.
fn read(py: Python<'_>, bytes: &Bytes) -> PyResult<(Kind, Option<Py<PyAny>>)> {
    let message = Message::from_bytes(bytes).map_err(refused)?;
    let kind = message.kind();
    let owned = |text: &str| text.to_owned();
    let object = match message {
        Message::Commit(commit) => {
            let data = Arc::new(CommitData::new(bytes, commit));
            Bound::new(py, RepoCommit { data, ops: PyOnceLock::new() })?.into_any()
        }
        Message::Sync(it) => {
            let blocks = Py3Bytes(it.blocks.to_vec());
            let sync = RepoSync {
                seq: it.seq,
                did: owned(it.did),
                rev: owned(it.rev),
                blocks,
                time: owned(it.time),
            };
            Bound::new(py, sync)?.into_any()
        }
        Message::Identity(it) => {
            let handle = it.handle.map(owned);
            Bound::new(py, Identity { seq: it.seq, did: owned(it.did), time: owned(it.time), handle })?
                .into_any()
        }
        Message::Account(it) => {
            let (did, time, status) = (owned(it.did), owned(it.time), it.status.map(owned));
            Bound::new(py, Account { seq: it.seq, did, time, active: it.active, status })?.into_any()
        }
        Message::Handle(it) => {
            let (did, handle, time) = (owned(it.did), owned(it.handle), owned(it.time));
            Bound::new(py, HandleUpdate { seq: it.seq, did, handle, time })?.into_any()
        }
        Message::Migrate(it) => {
            let (did, migrate_to, time) = (owned(it.did), it.migrate_to.map(owned), owned(it.time));
            Bound::new(py, RepoMigrate { seq: it.seq, did, migrate_to, time })?.into_any()
        }
        Message::Tombstone(it) => {
            Bound::new(py, RepoTombstone { seq: it.seq, did: owned(it.did), time: owned(it.time) })?
                .into_any()
        }
        Message::Info(it) => {
            Bound::new(py, InfoMessage { name: owned(it.name), message: it.message.map(owned) })?.into_any()
        }
        Message::Error(it) => {
            Bound::new(py, ErrorMessage { error: owned(it.error), message: it.message.map(owned) })?
                .into_any()
        }
        Message::Labels(it) => {
            let labels: PyResult<Vec<_>> =
                it.labels.iter().map(|label| Bound::new(py, PyLabel::from(label))).collect();
            let labels = PyList::new(py, labels?)?.unbind();
            Bound::new(py, PyLabels { seq: it.seq, labels })?.into_any()
        }
        Message::Unknown(_) => return Ok((kind, None)),
    };
    Ok((kind, Some(object.unbind())))
}

/// Reads a frame of the repositories' stream: a `MessageFrame`, or the bytes of a whole frame. Raises
/// `MessageParsingError` if it is not the message that its header names.
#[pyfunction]
pub(crate) fn parse_subscribe_repos_message(frame: &Bound<'_, PyAny>) -> PyResult<SubscribeReposMessage> {
    let (kind, message) = read(frame.py(), &frame_of(frame)?)?;
    Ok(SubscribeReposMessage::new(kind, message))
}

/// Reads a frame of a labeler's stream: a `MessageFrame`, or the bytes of a whole frame. Raises `MessageParsingError` if it
/// is not the message that its header names.
#[pyfunction]
pub(crate) fn parse_subscribe_labels_message(frame: &Bound<'_, PyAny>) -> PyResult<SubscribeLabelsMessage> {
    let (kind, message) = read(frame.py(), &frame_of(frame)?)?;
    Ok(SubscribeLabelsMessage::new(kind, message))
}

/// Reads the message in a frame of either stream: the message itself, `None` of an unknown type.
#[pyfunction]
pub(crate) fn parse_message(frame: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    Ok(read(frame.py(), &frame_of(frame)?)?.1)
}
