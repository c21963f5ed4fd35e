//! From an event to the frame that it could have been made from, and the message that changes what a server sends.
//!
//! The frame is a canonical one. Its `seq` is the event's `time_us`, which is the cursor of a Jetstream, and
//! its `time` the same moment as a datetime to the microsecond. So a client resumes, and a query tells the
//! time, as with a relay.
//!
//! What an event has not, its frame has not either:
//!
//! - A commit has the one operation, and `blocks` with its record alone. No commit object is there, no tree
//!   and no signature: the commit and the root of the CAR are [`no_commit`], `since` is null, `prevData` and
//!   the operation's `prev` are not there. Nothing in it can be verified but the record by its CID.
//! - The `seq` and `time` that an event of an identity or an account has of the relay are not in the frame,
//!   which has the server's own. The `seq` tells such events apart in [`EventFrame::id`].

use std::sync::LazyLock;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::car;
use crate::cid::{Cid, CidError};
use crate::frame::Kind;
use crate::json::{JsonError, from_server_json, push_text};
use crate::message::{Account, Action, Commit, Identity, Message, Op, Path};

/// The latest `time_us`: that of the last nanosecond that 64 bits hold, in the year 2262.
const LATEST: i64 = i64::MAX / 1000;

/// An event as a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFrame {
    /// The frame, canonically encoded.
    pub bytes: Vec<u8>,
    /// When the server had the event, in microseconds since 1970: its cursor, and the frame's `seq` and
    /// `time`. From one event to the next it may fall.
    pub time_us: i64,
    /// [`Kind::Commit`], [`Kind::Identity`] or [`Kind::Account`].
    pub kind: Kind,
    /// What the event is told from all others by.
    pub id: EventId,
}

/// What an event is told from all others by, whichever server sent it and when: of a commit's the DID,
/// revision, collection, record key and operation; of others the kind, the DID and the relay's `seq`. Equal
/// ones are one event that came twice.
///
/// The first 16 bytes of their SHA-256: small enough to keep for the last million events, and nobody can make
/// two events alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    fn of(parts: &[&str]) -> EventId {
        let mut hash = Sha256::new();
        for part in parts {
            // With its length before it, so that no two lists of parts are the same bytes.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let (id, _) = digest.split_first_chunk().unwrap_or((&[0; 16], &[]));
        EventId(*id)
    }

    /// Of the frame that was made of an event ([`frame_of`]), as recordings have it: of a commit the event's
    /// own. The frames of others do not have the relay's `seq`: theirs is made of the time, and tells those
    /// of one server apart. None of other frames.
    #[must_use]
    pub fn of_frame(frame: &[u8]) -> Option<EventId> {
        match Message::from_bytes(frame).ok()? {
            Message::Commit(Commit { repo, rev, ops, .. }) => {
                let [Op { path, action, .. }] = ops.as_slice() else { return None };
                Some(EventId::of(&["commit", repo, rev, path.collection, path.rkey, action.as_str()]))
            }
            Message::Identity(identity) => Some(EventId::at("identity", identity.did, identity.seq)),
            Message::Account(account) => Some(EventId::at("account", account.did, account.seq)),
            _ => None,
        }
    }

    fn at(kind: &str, did: &str, time_us: u64) -> EventId {
        EventId::of(&[kind, did, "at", &time_us.to_string()])
    }

    /// The identifier that these bytes are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> EventId {
        EventId(bytes)
    }

    /// Its bytes, to be kept.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// Why an event cannot be read. None of them is a reason to leave the stream: the event is left out, and counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JetstreamError {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A field that every such event has is not there.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
    /// A field is of another type.
    #[error("the field `{field}` is not {expected}")]
    Type {
        /// Its name.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The event is of a kind that is not known: to be ignored and counted.
    #[error("an event of the unknown kind {0:?}")]
    Kind(String),
    /// An operation other than create, update and delete.
    #[error("the unknown operation {0:?}")]
    Operation(String),
    /// `time_us` is before 1970 or after what nanoseconds in 64 bits can hold.
    #[error("`time_us` is before 1970 or after 2262")]
    Time,
    /// The collection or record key is empty or has a slash.
    #[error("a collection or record key that is empty or has a slash")]
    Path,
    /// The record's `cid` is not one.
    #[error("the record's `cid`: {0}")]
    Cid(#[from] CidError),
    /// The record is not JSON of the data model.
    #[error("the record: {0}")]
    Record(#[from] JsonError),
}

/// What stands where a frame has its commit's CID, since an event does not say it: the CID of DAG-CBOR's
/// null, which no commit object is.
#[must_use]
pub fn no_commit() -> Cid {
    static NULL: LazyLock<Cid> = LazyLock::new(|| Cid::for_dag_cbor(&[0xf6]));
    *NULL
}

/// Reads an event of Jetstream v1 as a frame: a `#commit` of one operation, an `#identity` or an `#account`.
///
/// Fields that are not known are ignored, and null is as if a field were not there. A record is encoded
/// again, and stands under the CID that the event names, unchecked; where the event names none, as old
/// servers did, under that of its bytes. Of an event without one the frame has none either.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn frame_of(json: &[u8]) -> Result<EventFrame, JetstreamError> {
    let event: Value = serde_json::from_slice(json)?;
    let event =
        Fields(event.as_object().ok_or(JetstreamError::Type { field: "event", expected: "an object" })?);
    let did = event.text("did")?;
    let (time_us, seq) = event.time_us()?;
    let time = datetime(time_us);
    let kind = event.text("kind")?;
    let (kind, id, message) = match kind {
        "commit" => return commit(did, time_us, seq, &time, &event.object("commit")?),
        "identity" => {
            let identity = event.object("identity")?;
            let handle = identity.optional_text("handle")?;
            let message = Message::Identity(Identity { did, seq, time: &time, handle });
            (Kind::Identity, message_id(kind, did, &identity)?, message)
        }
        "account" => {
            let account = event.object("account")?;
            let (active, status) = (account.bool("active")?, account.optional_text("status")?);
            let message = Message::Account(Account { did, seq, time: &time, active, status });
            (Kind::Account, message_id(kind, did, &account)?, message)
        }
        _ => return Err(JetstreamError::Kind(kind.to_owned())),
    };
    Ok(EventFrame { bytes: message.to_frame_bytes(), time_us, kind, id })
}

fn message_id(kind: &str, did: &str, message: &Fields<'_>) -> Result<EventId, JetstreamError> {
    let seq = message.get("seq").ok_or(JetstreamError::Missing("seq"))?;
    let seq = seq.as_u64().ok_or(JetstreamError::Type { field: "seq", expected: "an unsigned integer" })?;
    Ok(EventId::of(&[kind, did, &seq.to_string()]))
}

fn commit(
    did: &str,
    time_us: i64,
    seq: u64,
    time: &str,
    event: &Fields<'_>,
) -> Result<EventFrame, JetstreamError> {
    let rev = event.text("rev")?;
    let operation = event.text("operation")?;
    let action = match operation {
        "create" => Action::Create,
        "update" => Action::Update,
        "delete" => Action::Delete,
        _ => return Err(JetstreamError::Operation(operation.to_owned())),
    };
    let path = Path { collection: event.text("collection")?, rkey: event.text("rkey")? };
    if [path.collection, path.rkey].iter().any(|part| part.is_empty() || part.contains('/')) {
        return Err(JetstreamError::Path);
    }
    let (cid, record) = match action {
        Action::Delete => (None, None),
        Action::Create | Action::Update => {
            let record = event.get("record").map(from_server_json).transpose()?.map(|of| of.to_bytes());
            let cid = match event.optional_text("cid")? {
                Some(cid) => Some(cid.parse()?),
                None => record.as_deref().map(Cid::for_dag_cbor),
            };
            (cid, record)
        }
    };
    let blocks = car::write(&[no_commit()], cid.zip(record));
    let message = Message::Commit(Commit {
        ops: vec![Op { cid, path, prev: None, action }],
        rev,
        seq,
        prev: None,
        repo: did,
        time,
        blobs: Some(Vec::new()),
        since: None,
        blocks: &blocks,
        commit: no_commit(),
        rebase: Some(false),
        too_big: Some(false),
        prev_data: None,
    });
    let id = EventId::of(&["commit", did, rev, path.collection, path.rkey, operation]);
    Ok(EventFrame { bytes: message.to_frame_bytes(), time_us, kind: Kind::Commit, id })
}

/// The fields of an object, null as if it were not there.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get(&self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn optional_text(&self, field: &'static str) -> Result<Option<&'a str>, JetstreamError> {
        let text = |value: &'a Value| value.as_str().ok_or(JetstreamError::Type { field, expected: "text" });
        self.get(field).map(text).transpose()
    }

    fn text(&self, field: &'static str) -> Result<&'a str, JetstreamError> {
        self.optional_text(field)?.ok_or(JetstreamError::Missing(field))
    }

    fn bool(&self, field: &'static str) -> Result<bool, JetstreamError> {
        let value = self.get(field).ok_or(JetstreamError::Missing(field))?;
        value.as_bool().ok_or(JetstreamError::Type { field, expected: "true or false" })
    }

    fn object(&self, field: &'static str) -> Result<Fields<'a>, JetstreamError> {
        let value = self.get(field).ok_or(JetstreamError::Missing(field))?;
        value.as_object().map(Fields).ok_or(JetstreamError::Type { field, expected: "an object" })
    }

    /// The time, as microseconds and as what a frame counts by.
    fn time_us(&self) -> Result<(i64, u64), JetstreamError> {
        const FIELD: &str = "time_us";
        let value = self.get(FIELD).ok_or(JetstreamError::Missing(FIELD))?;
        if !value.is_i64() && !value.is_u64() {
            return Err(JetstreamError::Type { field: FIELD, expected: "an integer" });
        }
        let micros =
            value.as_i64().filter(|micros| (0..=LATEST).contains(micros)).ok_or(JetstreamError::Time)?;
        Ok((micros, micros.unsigned_abs()))
    }
}

/// A moment in microseconds since 1970, up to [`LATEST`], as a datetime of UTC with all six digits.
fn datetime(micros: i64) -> String {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in years that start in March, so that the leap day is the last of its year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) =
        if month < 10 { (era * 400 + year, month + 3) } else { (era * 400 + year + 1, month - 9) };
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// The message that a client sends to a Jetstream to have other events from then on: of these collections
/// (`prefix.*` too) and accounts. An empty list is all of them. Of sizes it says nothing, so that there is no
/// limit.
#[must_use]
pub fn options_update(collections: &[String], dids: &[String]) -> String {
    let mut json = String::from("{\"type\":\"options_update\",\"payload\":{\"wantedCollections\":");
    push_texts(&mut json, collections);
    json.push_str(",\"wantedDids\":");
    push_texts(&mut json, dids);
    json.push_str("}}");
    json
}

fn push_texts(json: &mut String, texts: &[String]) {
    json.push('[');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        push_text(json, text);
    }
    json.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse_time;

    #[test]
    fn a_datetime_is_read_back_to_the_microsecond() {
        assert_eq!(datetime(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(datetime(1_783_175_888_085_434), "2026-07-04T14:38:08.085434Z");
        assert_eq!(datetime(951_782_400_000_001), "2000-02-29T00:00:00.000001Z");
        // Every day of the range, each at another time of day.
        let step = 86_400_000_000 - 7_654_321;
        let mut checked = 0;
        for micros in (0..=LATEST).step_by(step).chain([LATEST]) {
            assert_eq!(parse_time(&datetime(micros)), Some(micros * 1000), "{micros}");
            checked += 1;
        }
        assert!(checked > 106_000, "{checked}");
    }
}
