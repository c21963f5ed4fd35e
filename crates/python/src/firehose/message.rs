//! Messages: what a frame says. Texts, operations and records are taken from the frame's bytes as they are asked for.

mod commit;
mod fields;

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList, PyString, PyTuple, PyType};
use skytide_atproto::frame::Kind;
use skytide_atproto::message::{Label, Message};

use super::data::shared;
use super::errors::refused;
use super::frame::PyFrame;
pub(crate) use commit::{RepoCommit, RepoOperation};
use fields::{dumped, item, pairs, shown, validated};

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

            /// A message of its fields, a dict as it is on the wire, or by the names of Python. Raises
            /// `MessageParsingError` if they are not its fields.
            #[classmethod]
            fn model_validate<'py>(
                class: &Bound<'py, PyType>,
                data: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, PyAny>> {
                validated(class, $type, data)
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
    /// A remark of a labeler, as `OutdatedCursor`.
    LabelsInfo, "LabelsInfo", "com.atproto.label.subscribeLabels#info", { name: String, message: Option<String>, }
}
message_class! {
    /// An error frame: why the server ends the stream.
    ErrorMessage, "ErrorMessage", "error", { error: String, message: Option<String>, }
}
message_class! {
    /// A labeler's word about an account or a record.
    PyLabel, "Label", "com.atproto.label.defs#label", {
        src: String, uri: String, cid: Option<String>, val: String, neg: Option<bool>, cts: String, exp: Option<String>,
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
            neg: label.neg,
            cts: label.cts.to_owned(),
            exp: label.exp.map(str::to_owned),
            sig: label.sig.map(|sig| Py3Bytes(sig.to_vec())),
            ver: label.ver,
        }
    }
}

const LABELS_TYPE: &str = "com.atproto.label.subscribeLabels#labels";
const LABELS_FIELDS: &[&str] = &["seq", "labels", "py_type"];

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
        LABELS_TYPE
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.labels.bind(py).try_iter()
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.labels.bind(py).len()
    }

    /// A label by its place, or a field by its name.
    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match key.cast::<PyString>() {
            Ok(name) => item(slf.as_any(), LABELS_FIELDS, &name.to_cow()?),
            Err(_) => slf.get().labels.bind(slf.py()).as_any().get_item(key),
        }
    }

    /// The names of the fields, for `dict`.
    fn keys(&self) -> &'static [&'static str] {
        LABELS_FIELDS
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else { return Ok(false) };
        let (py, other) = (other.py(), other.get());
        Ok(self.seq == other.seq && self.labels.bind(py).eq(&other.labels)?)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        shown(slf.as_any(), &["seq", "labels"])
    }

    /// A message of its fields, a dict as it is on the wire, or by the names of Python. Raises
    /// `MessageParsingError` if they are not its fields.
    #[classmethod]
    fn model_validate<'py>(
        class: &Bound<'py, PyType>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        validated(class, LABELS_TYPE, data)
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
        RepoMigrate: Migrate, RepoTombstone: Tombstone, PyLabels: Labels, InfoMessage: Info, LabelsInfo: Info,
        ErrorMessage: Error,
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

/// Reads the message in a frame, of the labels' stream or the repositories', and makes its Python object; none of
/// an unknown type.
fn read(py: Python<'_>, bytes: &Bytes, of_labels: bool) -> PyResult<(Kind, Option<Py<PyAny>>)> {
    let message = Message::from_bytes(bytes).map_err(refused)?;
    let kind = message.kind();
    let owned = |text: &str| text.to_owned();
    let object = match message {
        Message::Commit(commit) => Bound::new(py, RepoCommit::of(bytes, commit))?.into_any(),
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
            let (name, message) = (owned(it.name), it.message.map(owned));
            if of_labels {
                Bound::new(py, LabelsInfo { name, message })?.into_any()
            } else {
                Bound::new(py, InfoMessage { name, message })?.into_any()
            }
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
    let (kind, message) = read(frame.py(), &frame_of(frame)?, false)?;
    Ok(SubscribeReposMessage::new(kind, message))
}

/// Reads a frame of a labeler's stream: a `MessageFrame`, or the bytes of a whole frame. Raises
/// `MessageParsingError` if it is not the message that its header names.
#[pyfunction]
pub(crate) fn parse_subscribe_labels_message(frame: &Bound<'_, PyAny>) -> PyResult<SubscribeLabelsMessage> {
    let (kind, message) = read(frame.py(), &frame_of(frame)?, true)?;
    Ok(SubscribeLabelsMessage::new(kind, message))
}

/// Reads the message in a frame of either stream: the message itself, `None` of an unknown type.
#[pyfunction]
#[pyo3(signature = (frame, *, of_labels = false))]
pub(crate) fn parse_message(frame: &Bound<'_, PyAny>, of_labels: bool) -> PyResult<Option<Py<PyAny>>> {
    Ok(read(frame.py(), &frame_of(frame)?, of_labels)?.1)
}
