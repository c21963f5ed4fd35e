//! What a client of a Jetstream asks for: by the parameters of the address, and by messages later.

use std::collections::HashSet;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use skytide_atproto::frame::Kind;
use skytide_atproto::jetstream::Subject;
use skytide_atproto::syntax::{Did, Nsid};

use super::Jetstream;

/// No client may want more.
const MOST_COLLECTIONS: usize = 100;
const MOST_DIDS: usize = 10_000;

/// What is wrong with what a client says. It is told so in these words, which need no escapes in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::relay) enum OptionsError {
    #[error("a parameter is not UTF-8")]
    Encoding,
    #[error("cursor must be an integer")]
    Cursor,
    #[error("wantedCollections must be NSIDs, or the start of some and .*")]
    Collection,
    #[error("wantedDids must be DIDs")]
    Did,
    #[error("too many wantedCollections: at most 100")]
    Collections,
    #[error("too many wantedDids: at most 10000")]
    Dids,
    #[error("there is no dictionary to compress with")]
    NoDictionary,
    #[error("not an options_update")]
    Message,
}

/// The parameters of a subscription.
#[derive(Debug, Default)]
pub(in crate::relay) struct Options {
    pub(in crate::relay) wants: Wants,
    /// Microseconds since 1970.
    pub(in crate::relay) cursor: Option<u64>,
    pub(in crate::relay) compress: bool,
    pub(in crate::relay) require_hello: bool,
}

impl Options {
    /// Reads the query of an address. Parameters that are not known are ignored; of those that stand once the
    /// first counts.
    pub(in crate::relay) fn of_query(query: &str) -> Result<Self, OptionsError> {
        let (mut collections, mut dids) = (Vec::new(), Vec::new());
        let (mut cursor, mut compress, mut require_hello) = (None, None, None);
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = percent_decode_str(value).decode_utf8().map_err(|_| OptionsError::Encoding)?;
            match name {
                "wantedCollections" => collections.push(value),
                "wantedDids" => dids.push(value),
                "cursor" => _ = cursor.get_or_insert(value),
                "compress" => _ = compress.get_or_insert(value == "true"),
                "requireHello" => _ = require_hello.get_or_insert(value == "true"),
                _ => {}
            }
        }
        let cursor = cursor.filter(|cursor| !cursor.is_empty()).map(|cursor| cursor.parse::<i64>());
        let cursor = cursor.transpose().map_err(|_| OptionsError::Cursor)?;
        Ok(Self {
            wants: Wants::new(&collections, &dids)?,
            // Before 1970 there is nothing.
            cursor: cursor.map(|cursor| u64::try_from(cursor).unwrap_or_default()),
            compress: compress.unwrap_or_default(),
            require_hello: require_hello.unwrap_or_default(),
        })
    }

    /// These, if the Jetstream can do so.
    pub(in crate::relay) fn within(self, jetstream: &Jetstream) -> Result<Self, OptionsError> {
        if self.compress && jetstream.dictionary.is_none() {
            return Err(OptionsError::NoDictionary);
        }
        Ok(self)
    }
}

/// Which events a client wants: empty sets are all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::relay) struct Wants {
    collections: HashSet<String>,
    /// Up to the dot.
    prefixes: HashSet<String>,
    dids: HashSet<String>,
}

impl Wants {
    fn new(collections: &[impl AsRef<str>], dids: &[impl AsRef<str>]) -> Result<Self, OptionsError> {
        let mut wants = Self::default();
        for collection in collections.iter().map(AsRef::as_ref) {
            match collection.strip_suffix('*') {
                Some(prefix) if is_prefix(prefix) => _ = wants.prefixes.insert(prefix.to_owned()),
                None if Nsid::parse(collection).is_ok() => {
                    _ = wants.collections.insert(collection.to_owned());
                }
                _ => return Err(OptionsError::Collection),
            }
        }
        for did in dids.iter().map(AsRef::as_ref) {
            Did::parse(did).map_err(|_| OptionsError::Did)?;
            wants.dids.insert(did.to_owned());
        }
        if wants.collections.len() + wants.prefixes.len() > MOST_COLLECTIONS {
            return Err(OptionsError::Collections);
        }
        if wants.dids.len() > MOST_DIDS {
            return Err(OptionsError::Dids);
        }
        Ok(wants)
    }

    /// Reads a message of a client; `None` where it is of a type that means nothing.
    pub(super) fn of_message(text: &str) -> Result<Option<Self>, OptionsError> {
        const MALFORMED: OptionsError = OptionsError::Message;
        let message: Value = serde_json::from_str(text).map_err(|_| MALFORMED)?;
        if message.get("type").and_then(Value::as_str).ok_or(MALFORMED)? != "options_update" {
            return Ok(None);
        }
        let payload = message.get("payload").and_then(Value::as_object).ok_or(MALFORMED)?;
        let wants = Self::new(&texts(payload, "wantedCollections")?, &texts(payload, "wantedDids")?)?;
        Ok(Some(wants))
    }

    /// Whether an event is wanted. Collections choose among operations alone.
    pub(super) fn want(&self, subject: &Subject<'_>) -> bool {
        if !matches!(subject.kind, Kind::Commit | Kind::Identity | Kind::Account) {
            return false;
        }
        if !self.dids.is_empty() && subject.did.is_none_or(|did| !self.dids.contains(did)) {
            return false;
        }
        let Some(collection) = subject.collection else { return true };
        (self.collections.is_empty() && self.prefixes.is_empty())
            || self.collections.contains(collection)
            || self.prefixes.iter().any(|prefix| collection.starts_with(prefix.as_str()))
    }
}

/// `app.bsky.` and the like.
fn is_prefix(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_segment = |segment: &str| !segment.is_empty() && segment.bytes().all(allowed);
    text.strip_suffix('.').is_some_and(|start| start.split('.').all(is_segment))
}

/// A list of texts, empty where it is not there.
fn texts<'a>(payload: &'a Map<String, Value>, field: &str) -> Result<Vec<&'a str>, OptionsError> {
    match payload.get(field) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(values)) => {
            values.iter().map(|value| value.as_str().ok_or(OptionsError::Message)).collect()
        }
        Some(_) => Err(OptionsError::Message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_and_decoded() {
        let options = Options::of_query(
            "cursor=12&cursor=x&wantedCollections=app.bsky.feed.post&wantedCollections=app.bsky%2Egraph.%2A\
             &wantedDids=did%3Aplc%3Aabc&compress=true&requireHello=false&other=1&cursor",
        );
        let options = options.unwrap();
        assert_eq!((options.cursor, options.compress, options.require_hello), (Some(12), true, false));
        let subject =
            |did, collection| Subject { kind: Kind::Commit, did: Some(did), collection, value: None };
        assert!(options.wants.want(&subject("did:plc:abc", Some("app.bsky.feed.post"))));
        assert!(options.wants.want(&subject("did:plc:abc", Some("app.bsky.graph.follow"))));
        assert!(options.wants.want(&subject("did:plc:abc", None)));
        assert!(!options.wants.want(&subject("did:plc:abc", Some("app.bsky.feed.post2"))));
        assert!(!options.wants.want(&subject("did:plc:abc", Some("app.bsky.graphs.x"))));
        assert!(!options.wants.want(&subject("did:plc:abd", Some("app.bsky.feed.post"))));
        let none = Options::of_query("").unwrap();
        assert_eq!((none.cursor, &none.wants), (None, &Wants::default()));
        let sync = Subject { kind: Kind::Sync, ..subject("did:plc:abc", None) };
        assert!(!none.wants.want(&sync));
        assert_eq!(Options::of_query("cursor=-5").unwrap().cursor, Some(0));
        assert_eq!(Options::of_query("cursor=").unwrap().cursor, None);
    }

    #[test]
    fn what_is_malformed_or_too_much_is_refused() {
        for (query, expected) in [
            ("cursor=now", OptionsError::Cursor),
            ("cursor=%ff", OptionsError::Encoding),
            ("wantedCollections=post", OptionsError::Collection),
            ("wantedCollections=*", OptionsError::Collection),
            ("wantedCollections=.*", OptionsError::Collection),
            ("wantedCollections=app..*", OptionsError::Collection),
            ("wantedCollections=app.bsky*", OptionsError::Collection),
            ("wantedCollections=", OptionsError::Collection),
            ("wantedDids=alice.test", OptionsError::Did),
        ] {
            assert_eq!(Options::of_query(query).unwrap_err(), expected, "{query}");
        }
        let many = |count: usize, text: &dyn Fn(usize) -> String| (0..count).map(text).collect::<Vec<_>>();
        let (none, collection) = (many(0, &|_| String::new()), |at| format!("app.bsky.c{at}"));
        assert!(Wants::new(&many(100, &collection), &none).is_ok());
        assert_eq!(Wants::new(&many(101, &collection), &none), Err(OptionsError::Collections));
        let did = |at| format!("did:plc:{at}");
        assert!(Wants::new(&none, &many(10_000, &did)).is_ok());
        assert_eq!(Wants::new(&none, &many(10_001, &did)), Err(OptionsError::Dids));
        assert!(Wants::new(&many(500, &|_| "app.bsky.same".to_owned()), &none).is_ok());
    }

    #[test]
    fn messages_are_updates_or_mean_nothing_or_are_malformed() {
        let update =
            r#"{"type":"options_update","payload":{"wantedCollections":["app.bsky.*"],"wantedDids":null}}"#;
        let expected = Wants::new(&["app.bsky.*"], &[""; 0]).unwrap();
        assert_eq!(Wants::of_message(update), Ok(Some(expected)));
        assert_eq!(
            Wants::of_message(r#"{"type":"options_update","payload":{}}"#),
            Ok(Some(Wants::default()))
        );
        assert_eq!(Wants::of_message(r#"{"type":"greeting"}"#), Ok(None));
        for text in [
            "",
            "hello",
            "[]",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"options_update"}"#,
            r#"{"type":"options_update","payload":[]}"#,
            r#"{"type":"options_update","payload":{"wantedDids":"did:plc:a"}}"#,
            r#"{"type":"options_update","payload":{"wantedDids":[1]}}"#,
        ] {
            assert_eq!(Wants::of_message(text), Err(OptionsError::Message), "{text}");
        }
    }
}
