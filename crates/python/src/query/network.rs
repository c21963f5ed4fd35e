//! A firehose, labeler, Jetstream, recording, or frames that Python holds, as a source of queries.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use skytide_atproto::columns::Clock;
use skytide_connect::catalog::FirehoseCatalog;
use skytide_connect::network::{self, Connection, Location};
use skytide_connect::shared::Shared;
use skytide_connect::sources::Offer;
use skytide_firehose::Cursor;
use skytide_timestream::catalog::Catalog;
use skytide_timestream::chain::Chain;

use super::stream::Stream;
use super::{errors, held, table};
use crate::firehose::shared;

/// A network by its address, a recording by its path or its bytes, or an iterable of frames.
#[pyclass(frozen, module = "skytide._skytide")]
pub(super) struct Network(Arc<network::Network>);

#[pymethods]
impl Network {
    /// `cursor` is None (what comes next), a number, or "oldest"; `time` is "frame", "rev", "created_at" or
    /// "arrival"; `lexicons` are the texts of lexicon files.
    #[new]
    #[expect(clippy::needless_pass_by_value, reason = "what Python gives is made anew")]
    #[pyo3(signature = (location, *, cursor=None, collections=Vec::new(), lateness=None, late="drop", time="frame",
                        lexicons=Vec::new()))]
    fn new(
        location: &Bound<'_, PyAny>,
        cursor: Option<&Bound<'_, PyAny>>,
        collections: Vec<String>,
        lateness: Option<f64>,
        late: &str,
        time: &str,
        lexicons: Vec<String>,
    ) -> PyResult<Self> {
        let location = if let Ok(bytes) = location.cast::<PyBytes>() {
            Location::Memory(shared(bytes))
        } else if let Ok(name) = location.extract() {
            Location::Named(name)
        } else if location.hasattr("__iter__")? {
            Location::Held(held::supplier(location.clone().unbind()))
        } else {
            let what = location.get_type().name()?;
            let message =
                format!("a firehose is an address, a recording, or an iterable of frames, not {what}");
            return Err(PyTypeError::new_err(message));
        };
        let cursor = match cursor {
            None => Cursor::Live,
            Some(cursor) => match (cursor.extract::<u64>(), cursor.extract::<String>().as_deref()) {
                (Ok(seq), _) => Cursor::Seq(seq),
                (_, Ok("oldest")) => Cursor::Oldest,
                _ => return Err(PyValueError::new_err("a cursor is a number, \"oldest\" or None")),
            },
        };
        let clock = match time {
            "frame" => Clock::FrameTime,
            "rev" => Clock::Rev,
            "created_at" => Clock::CreatedAt,
            "arrival" => Clock::Arrival,
            other => {
                let message = format!("no time is called {other:?}: frame, rev, created_at and arrival are");
                return Err(PyValueError::new_err(message));
            }
        };
        let catalog = FirehoseCatalog::with_lexicons(&lexicons)
            .map_err(|(at, error)| PyValueError::new_err(format!("lexicon {at}: {error}")))?;
        let lateness = lateness.map_or(Ok(Duration::ZERO), table::seconds)?;
        let connection = Connection { location, cursor, ..Connection::default() };
        let late = table::late_of(late)?;
        // A file is read by each query for itself.
        let shared = connection.is_live().then(Shared::new);
        Ok(Self(Arc::new(network::Network {
            connection,
            collections,
            clock,
            lateness,
            late,
            catalog,
            shared,
        })))
    }

    /// The streams that have a name of their own.
    fn names(&self) -> Vec<String> {
        self.0.catalog.names()
    }

    /// A stream by its name.
    fn stream(&self, name: &str) -> PyResult<Stream> {
        Stream::build(Chain::stream(name), vec![Offer::Network(Arc::clone(&self.0))], [])
    }

    /// The records of a collection.
    fn records(&self, collection: &str) -> PyResult<Stream> {
        self.0.catalog.stream_function("records", collection).map_err(errors::value)?;
        Stream::build(Chain::stream_of("records", collection), vec![Offer::Network(Arc::clone(&self.0))], [])
    }
}
