//! A firehose, labeler, Jetstream or recording as a source of queries.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
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
use super::{errors, table};
use crate::firehose::shared;

/// A network by its address, or a recording by its path or its bytes.
#[pyclass(frozen, module = "skytide._skytide")]
pub(super) struct Network(Arc<network::Network>);

#[pymethods]
impl Network {
    /// `cursor` is None (what comes next), a number, or "oldest"; `time` is "frame", "rev", "created_at" or "arrival"; `lexicons` are
    /// the texts of lexicon files.
    #[new]
    #[expect(clippy::needless_pass_by_value, reason = "what Python gives is made anew")]
    #[pyo3(signature = (location, *, cursor=None, collections=Vec::new(), lateness=None, time="frame", lexicons=Vec::new()))]
    fn new(
        location: &Bound<'_, PyAny>,
        cursor: Option<&Bound<'_, PyAny>>,
        collections: Vec<String>,
        lateness: Option<f64>,
        time: &str,
        lexicons: Vec<String>,
    ) -> PyResult<Self> {
        let location = match location.cast::<PyBytes>() {
            Ok(bytes) => Location::Memory(shared(bytes)),
            Err(_) => Location::Named(location.extract()?),
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
        let lateness = lateness.map_or(Ok(Duration::from_secs(60)), table::seconds)?;
        let connection = Connection { location, cursor, ..Connection::default() };
        // A file is read by each query for itself.
        let shared = connection.is_live().then(Shared::new);
        Ok(Self(Arc::new(network::Network { connection, collections, clock, lateness, catalog, shared })))
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
