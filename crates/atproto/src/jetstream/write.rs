//! From frames to lines: one for each operation of a commit, each label, and each other message.
//!
//! Here is what is common to all, and the three kinds that Jetstream has. The order of their fields is
//! Jetstream's own, so that lines can be compared as bytes (all but `time_us`, which is the server's clock).

use super::line::Line;
use super::others;
use crate::cid::Cid;
use crate::frame::{Frame, FrameError, Kind};
use crate::json::write_whole;
use crate::message::{Account, Action, Commit, Identity, Message};

/// What an event is about, for choosing among events before they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// What it was made from. [`Kind::Labels`] is one label.
    pub kind: Kind,
    /// The account; of a label the one that it is about, or else the labeler. None of remarks and errors.
    pub did: Option<&'a str>,
    /// The collection, of an operation of a commit.
    pub collection: Option<&'a str>,
    /// What a label says.
    pub value: Option<&'a str>,
}

/// Appends the wanted events of a frame to `json`, each as a line that ends with `\n`; gives their number.
///
/// `time_us` is the time to put on them, in microseconds since 1970; a label has that of its `cts`, where
/// that is a time. Frames of an unknown kind have no events. A record that is missing, or is not strict
/// DAG-CBOR, is not in its event.
///
/// # Errors
/// If the frame is refused; then `json` is as it was.
pub fn write_events(
    frame: &Frame<'_>,
    time_us: i64,
    wanted: impl Fn(&Subject<'_>) -> bool,
    json: &mut String,
) -> Result<usize, FrameError> {
    match Message::parse(frame)? {
        Message::Commit(commit) => write_commit(&commit, time_us, &wanted, json),
        Message::Labels(labels) => Ok(others::write_labels(&labels, time_us, &wanted, json)),
        Message::Unknown(_) => Ok(0),
        message => {
            let subject = Subject { kind: message.kind(), did: message.did(), collection: None, value: None };
            let is_wanted = wanted(&subject);
            if is_wanted {
                write_message(&message, time_us, json);
            }
            Ok(usize::from(is_wanted))
        }
    }
}

/// Writes a message that is one event.
fn write_message(message: &Message<'_>, time_us: i64, json: &mut String) {
    match message {
        Message::Identity(identity) => write_identity(identity, time_us, json),
        Message::Account(account) => write_account(account, time_us, json),
        other => others::write_message(other, time_us, json),
    }
}

fn write_commit(
    commit: &Commit<'_>,
    time_us: i64,
    wanted: &impl Fn(&Subject<'_>) -> bool,
    json: &mut String,
) -> Result<usize, FrameError> {
    let mut written = 0;
    for op in commit.ops()? {
        let collection = Some(op.collection);
        let subject = Subject { kind: Kind::Commit, did: Some(commit.repo), collection, value: None };
        if !wanted(&subject) {
            continue;
        }
        written += 1;
        let mut line = Line::about(json, commit.repo, time_us, "commit");
        line.text("rev", commit.rev)
            .text("operation", op.action.as_str())
            .text("collection", op.collection)
            .text("rkey", op.rkey);
        if op.action != Action::Delete {
            if let Some(record) = op.record {
                line.value_by("record", |json| write_whole(record, json));
            }
            if let Some(cid) = op.cid {
                line.text("cid", cid.write_text(&mut [0; Cid::TEXT_LENGTH]));
            }
        }
        line.end();
    }
    Ok(written)
}

fn write_identity(identity: &Identity<'_>, time_us: i64, json: &mut String) {
    Line::about(json, identity.did, time_us, "identity")
        .text("did", identity.did)
        .optional_text("handle", identity.handle)
        .plain("seq", identity.seq)
        .text("time", identity.time)
        .end();
}

fn write_account(account: &Account<'_>, time_us: i64, json: &mut String) {
    Line::about(json, account.did, time_us, "account")
        .plain("active", account.active)
        .text("did", account.did)
        .plain("seq", account.seq)
        .optional_text("status", account.status)
        .text("time", account.time)
        .end();
}
