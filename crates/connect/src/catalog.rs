//! What a query over the firehose can name: record streams, identities, accounts, syncs, labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use skytide_atproto::columns::StreamKind;
use skytide_atproto::message::Action;
use skytide_atproto::records::{LexiconError, Lexicons, RecordType};
use skytide_atproto::syntax::Nsid;
use skytide_timestream::catalog::{Catalog, StreamDef};
use skytide_timestream::plan::Plan;

use crate::source::SourceError;

/// The streams of one firehose (SEMANTICS 8.2): `posts`, `likes.deletes()`, `records("com.example.thing")`,
/// `accounts`, …; and `labels`, which is another source.
#[derive(Debug, Clone, Default)]
pub struct FirehoseCatalog {
    /// Record types of lexicons that the user gave, by NSID; they go before the built-in ones.
    own: BTreeMap<String, RecordType>,
}

/// Streams of messages that are no commits.
const MESSAGES: [(&str, StreamKind); 4] = [
    ("identities", StreamKind::Identities),
    ("accounts", StreamKind::Accounts),
    ("syncs", StreamKind::Syncs),
    ("labels", StreamKind::Labels),
];

/// Methods of a stream of records: what else becomes of them.
const METHODS: [(&str, Action); 2] = [("updates", Action::Update), ("deletes", Action::Delete)];

/// The function that names the records of any collection.
const RECORDS: &str = "records";

/// Why one query cannot read the streams of both feeds.
const APART: &str = "labels and repositories in one query: a connection carries either, not both";

/// The kind of connection that carries a plan's streams. Each is a source of its own: their events come in
/// two orders, by two kinds of cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// Commits, identities, accounts and syncs: `com.atproto.sync.subscribeRepos`, or a Jetstream.
    Repos,
    /// Labels of a labeler: `com.atproto.label.subscribeLabels`.
    Labels,
}

impl Feed {
    /// What carries a stream.
    fn of(kind: &StreamKind) -> Self {
        match kind {
            StreamKind::Labels => Self::Labels,
            _ => Self::Repos,
        }
    }

    /// The number of the source that it is to a query.
    fn source(self) -> u16 {
        match self {
            Self::Repos => 0,
            Self::Labels => 1,
        }
    }
}

impl FirehoseCatalog {
    /// The record types that are built in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the record types that lexicon files describe; a lexicon that defines no record may be one that
    /// others refer to.
    ///
    /// # Errors
    /// What is wrong, and with which of the texts (its place).
    pub fn with_lexicons(texts: &[String]) -> Result<Self, (usize, LexiconError)> {
        let mut lexicons = Lexicons::new();
        let mut ids = Vec::with_capacity(texts.len());
        for (place, text) in texts.iter().enumerate() {
            ids.push(lexicons.add(text).map_err(|error| (place, error))?);
        }
        let mut own = BTreeMap::new();
        for (place, id) in ids.into_iter().enumerate() {
            match lexicons.record_type(&id) {
                Ok(record) => {
                    own.insert(id, record);
                }
                Err(LexiconError::NotARecord { .. } | LexiconError::Missing(_)) => {}
                Err(error) => return Err((place, error)),
            }
        }
        Ok(Self { own })
    }

    /// What a stream of this catalog is made of; none for a name that it did not give.
    #[must_use]
    pub fn kind(&self, stream: &StreamDef) -> Option<StreamKind> {
        if let Some((_, kind)) = MESSAGES.iter().find(|(name, _)| *name == stream.name) {
            return Some(kind.clone());
        }
        let (base, action) = if let Some(base) = stream.name.strip_suffix(".updates()") {
            (base, Action::Update)
        } else if let Some(base) = stream.name.strip_suffix(".deletes()") {
            (base, Action::Delete)
        } else {
            (stream.name.as_str(), Action::Create)
        };
        let record = match base.strip_prefix("records(\"").and_then(|rest| rest.strip_suffix("\")")) {
            Some(nsid) => self.record(nsid),
            None => self.named(base)?,
        };
        Some(records(&record, action))
    }

    /// The kind of connection that a plan needs. A plan that reads nothing can have either, and is given
    /// [`Feed::Repos`].
    ///
    /// # Errors
    /// If the plan reads both, or a stream that is not of this catalog.
    pub fn feed(&self, plan: &Plan) -> Result<Feed, SourceError> {
        let mut feed = None;
        for scan in &plan.scans {
            let of = Feed::of(&self.scanned(&scan.stream)?);
            if feed.is_some_and(|feed| feed != of) {
                return Err(SourceError::Unfit(APART.to_owned()));
            }
            feed = Some(of);
        }
        Ok(feed.unwrap_or(Feed::Repos))
    }

    /// The collections whose records a plan reads, sorted: what a server that is told so, as a Jetstream, may
    /// leave the commits of all others out by. Identities and accounts are sent by it in any case. None where
    /// the plan reads no records, so that there is nothing to choose by (to a Jetstream, an empty list is all
    /// collections).
    #[must_use]
    pub fn wanted_collections(&self, plan: &Plan) -> Option<Vec<String>> {
        let collection = |kind| match kind {
            StreamKind::Records { collection, .. } => Some(collection),
            _ => None,
        };
        let kinds = plan.scans.iter().filter_map(|scan| self.kind(&scan.stream));
        let collections: BTreeSet<String> = kinds.filter_map(collection).collect();
        (!collections.is_empty()).then(|| collections.into_iter().collect())
    }

    /// What a stream that a plan scans is made of.
    ///
    /// # Errors
    /// If it is not of this catalog.
    pub(crate) fn scanned(&self, stream: &StreamDef) -> Result<StreamKind, SourceError> {
        self.kind(stream)
            .ok_or_else(|| SourceError::Unfit(format!("the firehose has no stream {:?}", stream.name)))
    }

    /// The record type of a collection, known or not.
    fn record(&self, nsid: &str) -> RecordType {
        let known = self.own.get(nsid).or_else(|| RecordType::by_nsid(nsid));
        known.cloned().unwrap_or_else(|| RecordType::unknown(nsid))
    }

    /// The record type whose stream has a name of its own.
    fn named(&self, name: &str) -> Option<RecordType> {
        RecordType::by_stream(name).map(|record| self.record(&record.nsid))
    }
}

fn records(record: &RecordType, action: Action) -> StreamKind {
    StreamKind::Records { collection: record.nsid.to_string(), action, shape: Arc::clone(&record.shape) }
}

fn stream(name: String, kind: &StreamKind) -> Arc<StreamDef> {
    Arc::new(StreamDef {
        name,
        source: Feed::of(kind).source(),
        fields: kind.fields(),
        key: "did".to_owned(),
        // A point's time is made to rise (SEMANTICS 7.3): it is in no column.
        time: None,
    })
}

impl Catalog for FirehoseCatalog {
    fn stream(&self, name: &str) -> Option<Arc<StreamDef>> {
        if let Some((_, kind)) = MESSAGES.iter().find(|(known, _)| *known == name) {
            return Some(stream(name.to_owned(), kind));
        }
        self.named(name).map(|record| stream(name.to_owned(), &records(&record, Action::Create)))
    }

    fn stream_function(&self, function: &str, argument: &str) -> Result<Arc<StreamDef>, String> {
        if function != RECORDS {
            return Err(format!("no function is called `{function}`"));
        }
        let nsid: Nsid = argument
            .parse()
            .map_err(|error| format!("records() takes a collection, as \"app.bsky.feed.post\": {error}"))?;
        let record = self.record(nsid.as_str());
        // One stream, one name: posts and records("app.bsky.feed.post") are the same points.
        let name = record.stream.map_or_else(|| format!("records({:?})", nsid.as_str()), str::to_owned);
        Ok(stream(name, &records(&record, Action::Create)))
    }

    fn stream_method(&self, of: &StreamDef, method: &str) -> Option<Arc<StreamDef>> {
        let (_, action) = METHODS.iter().find(|(known, _)| *known == method)?;
        let action = *action;
        match self.kind(of)? {
            StreamKind::Records { collection, action: Action::Create, shape } => {
                let kind = StreamKind::Records { collection, action, shape };
                Some(stream(format!("{}.{method}()", of.name), &kind))
            }
            _ => None,
        }
    }

    fn apart(&self, one: &StreamDef, other: &StreamDef) -> Option<String> {
        let feeds = [one, other].map(|stream| self.kind(stream).as_ref().map(Feed::of));
        (feeds[0].is_some() && feeds[1].is_some() && feeds[0] != feeds[1]).then(|| APART.to_owned())
    }

    fn stream_methods(&self, stream: &StreamDef) -> Vec<String> {
        let has = |method: &&str| self.stream_method(stream, method).is_some();
        METHODS.iter().map(|(method, _)| *method).filter(has).map(str::to_owned).collect()
    }

    fn stream_functions(&self) -> Vec<(String, Vec<String>)> {
        let built_in = RecordType::all().iter().map(|record| record.nsid.as_ref());
        let known: BTreeSet<&str> = built_in.chain(self.own.keys().map(String::as_str)).collect();
        vec![(RECORDS.to_owned(), known.into_iter().map(str::to_owned).collect())]
    }

    fn names(&self) -> Vec<String> {
        let records = RecordType::all().iter().filter_map(|record| record.stream);
        records.chain(MESSAGES.iter().map(|(name, _)| *name)).map(str::to_owned).collect()
    }
}
