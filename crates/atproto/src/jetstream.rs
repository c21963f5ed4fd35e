//! Events in Jetstream v1's JSON: one line for each operation of a commit, each `#identity` and each `#account`.
//!
//! The order of fields is Jetstream's own, so that lines can be compared as bytes (all but `time_us`, which is
//! the server's clock).

use std::fmt::Write as _;

use crate::cbor::{Cursor, Rule};
use crate::cid::Cid;
use crate::frame::{Frame, FrameError, Kind};
use crate::json::{push_text, write};
use crate::message::{Account, Action, Commit, Identity, Message};

/// What an event is about, for choosing among events before they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// [`Kind::Commit`], [`Kind::Identity`] or [`Kind::Account`].
    pub kind: Kind,
    /// The account.
    pub did: &'a str,
    /// The collection, of an operation of a commit.
    pub collection: Option<&'a str>,
}

/// Appends the wanted events of a frame to `json`, each as a line that ends with `\n`; gives their number.
///
/// `time_us` is the time to put on them, in microseconds since 1970. Frames of other kinds have no events.
///
/// # Errors
/// If the frame is refused, or a wanted record in it is missing or not strict DAG-CBOR; then `json` is as it was.
pub fn write_events(
    frame: &Frame<'_>,
    time_us: i64,
    wanted: impl Fn(&Subject<'_>) -> bool,
    json: &mut String,
) -> Result<usize, FrameError> {
    let start = json.len();
    let account = |kind, did| wanted(&Subject { kind, did, collection: None });
    let written = match Message::parse(frame)? {
        Message::Commit(commit) => write_commit(&commit, time_us, &wanted, json),
        Message::Identity(identity) if account(Kind::Identity, identity.did) => {
            write_identity(&identity, time_us, json);
            Ok(1)
        }
        Message::Account(message) if account(Kind::Account, message.did) => {
            write_account(&message, time_us, json);
            Ok(1)
        }
        _ => Ok(0),
    };
    if written.is_err() {
        json.truncate(start);
    }
    written
}

/// Appends what all events start with; the event's own part and two closing braces follow.
fn open(json: &mut String, did: &str, time_us: i64, kind: &str) {
    json.push_str("{\"did\":");
    push_text(json, did);
    // Writing to a `String` does not fail.
    let _ = write!(json, ",\"time_us\":{time_us},\"kind\":\"{kind}\",\"{kind}\":{{");
}

/// Appends `"name":"text"`.
fn field(json: &mut String, name: &str, text: &str) {
    let _ = write!(json, "\"{name}\":");
    push_text(json, text);
}

fn write_commit(
    commit: &Commit<'_>,
    time_us: i64,
    wanted: &impl Fn(&Subject<'_>) -> bool,
    json: &mut String,
) -> Result<usize, FrameError> {
    let mut written = 0;
    for (index, op) in commit.ops()?.iter().enumerate() {
        if !wanted(&Subject { kind: Kind::Commit, did: commit.repo, collection: Some(op.collection) }) {
            continue;
        }
        written += 1;
        open(json, commit.repo, time_us, "commit");
        field(json, "rev", commit.rev);
        json.push(',');
        field(json, "operation", op.action.as_str());
        json.push(',');
        field(json, "collection", op.collection);
        json.push(',');
        field(json, "rkey", op.rkey);
        if op.action != Action::Delete {
            let record = op.record.ok_or(FrameError::NoRecord { op: index })?;
            let refused = |error| FrameError::Record { op: index, error };
            let mut cursor = Cursor::new(record);
            json.push_str(",\"record\":");
            write(&mut cursor, json).map_err(refused)?;
            if !cursor.is_at_end() {
                return Err(refused(crate::cbor::Error { at: cursor.position(), rule: Rule::Trailing }));
            }
            if let Some(cid) = op.cid {
                json.push(',');
                field(json, "cid", cid.write_text(&mut [0; Cid::TEXT_LENGTH]));
            }
        }
        json.push_str("}}\n");
    }
    Ok(written)
}

fn write_identity(identity: &Identity<'_>, time_us: i64, json: &mut String) {
    open(json, identity.did, time_us, "identity");
    field(json, "did", identity.did);
    if let Some(handle) = identity.handle {
        json.push(',');
        field(json, "handle", handle);
    }
    let _ = write!(json, ",\"seq\":{},", identity.seq);
    field(json, "time", identity.time);
    json.push_str("}}\n");
}

fn write_account(account: &Account<'_>, time_us: i64, json: &mut String) {
    open(json, account.did, time_us, "account");
    let _ = write!(json, "\"active\":{},", account.active);
    field(json, "did", account.did);
    let _ = write!(json, ",\"seq\":{},", account.seq);
    if let Some(status) = account.status {
        field(json, "status", status);
        json.push(',');
    }
    field(json, "time", account.time);
    json.push_str("}}\n");
}
