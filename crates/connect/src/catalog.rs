//! What a query over the firehose can name: record streams, identities, accounts, syncs.

use std::collections::BTreeMap;
use std::sync::Arc;

use skytide_atproto::columns::StreamKind;
use skytide_atproto::message::Action;
use skytide_atproto::records::{LexiconError, Lexicons, RecordType};
use skytide_atproto::syntax::Nsid;
use skytide_timestream::catalog::{Catalog, StreamDef};

/// The streams of one firehose (SEMANTICS 8.2): `posts`, `likes.deletes()`, `records("com.example.thing")`, `accounts`, …
#[derive(Debug, Default)]
pub struct FirehoseCatalog {
    /// Record types of lexicons that the user gave, by NSID; they go before the built-in ones.
    own: BTreeMap<String, RecordType>,
}

/// Streams of messages that are no commits.
const MESSAGES: [(&str, StreamKind); 3] = [
    ("identities", StreamKind::Identities),
    ("accounts", StreamKind::Accounts),
    ("syncs", StreamKind::Syncs),
];

/// The one source of these streams.
const SOURCE: u16 = 0;

impl FirehoseCatalog {
    /// The record types that are built in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the record types that lexicon files describe; a lexicon that defines no record may be one that others refer to.
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
    Arc::new(StreamDef { name, source: SOURCE, fields: kind.fields(), key: "did".to_owned() })
}

impl Catalog for FirehoseCatalog {
    fn stream(&self, name: &str) -> Option<Arc<StreamDef>> {
        if let Some((_, kind)) = MESSAGES.iter().find(|(known, _)| *known == name) {
            return Some(stream(name.to_owned(), kind));
        }
        self.named(name).map(|record| stream(name.to_owned(), &records(&record, Action::Create)))
    }

    fn stream_function(&self, function: &str, argument: &str) -> Result<Arc<StreamDef>, String> {
        if function != "records" {
            return Err(format!("no source {function:?} takes a text; records(\"any.nsid\") does"));
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
        let action = match method {
            "updates" => Action::Update,
            "deletes" => Action::Delete,
            _ => return None,
        };
        match self.kind(of)? {
            StreamKind::Records { collection, action: Action::Create, shape } => {
                let kind = StreamKind::Records { collection, action, shape };
                Some(stream(format!("{}.{method}()", of.name), &kind))
            }
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        let records = RecordType::all().iter().filter_map(|record| record.stream);
        records.chain(MESSAGES.iter().map(|(name, _)| *name)).map(str::to_owned).collect()
    }
}
