//! Lines of the kinds that Jetstream does not have, in the form of those that it has.
//!
//! The part of a kind has the message's fields in the order of their names, as an identity's and an account's
//! have. The blocks of a `#sync` are left out, as those of a commit are.

use super::Subject;
use super::line::Line;
use crate::frame::Kind;
use crate::json::push_bytes;
use crate::message::{Labels, Message};
use crate::syntax::parse_time;

/// Writes a message that is one event of a kind that Jetstream does not have.
pub(super) fn write_message(message: &Message<'_>, time_us: i64, json: &mut String) {
    match message {
        Message::Sync(sync) => Line::about(json, sync.did, time_us, "sync")
            .text("did", sync.did)
            .text("rev", sync.rev)
            .plain("seq", sync.seq)
            .text("time", sync.time)
            .end(),
        Message::Handle(handle) => Line::about(json, handle.did, time_us, "handle")
            .text("did", handle.did)
            .text("handle", handle.handle)
            .plain("seq", handle.seq)
            .text("time", handle.time)
            .end(),
        Message::Migrate(migrate) => Line::about(json, migrate.did, time_us, "migrate")
            .text("did", migrate.did)
            .optional_text("migrateTo", migrate.migrate_to)
            .plain("seq", migrate.seq)
            .text("time", migrate.time)
            .end(),
        Message::Tombstone(tombstone) => Line::about(json, tombstone.did, time_us, "tombstone")
            .text("did", tombstone.did)
            .plain("seq", tombstone.seq)
            .text("time", tombstone.time)
            .end(),
        Message::Info(info) => {
            let mut line = Line::of_stream(json, "info");
            line.optional_text("message", info.message).text("name", info.name).end();
        }
        Message::Error(error) => {
            let mut line = Line::of_stream(json, "error");
            line.text("error", error.error).optional_text("message", error.message).end();
        }
        // These are written elsewhere, or are no events.
        Message::Commit(_)
        | Message::Identity(_)
        | Message::Account(_)
        | Message::Labels(_)
        | Message::Unknown(_) => {}
    }
}

/// Writes the wanted labels of a message, each as a line of kind `label`; gives their number. `seq` is the message's.
pub(super) fn write_labels(
    labels: &Labels<'_>,
    time_us: i64,
    wanted: &impl Fn(&Subject<'_>) -> bool,
    json: &mut String,
) -> usize {
    let mut written = 0;
    for label in &labels.labels {
        let did = label.subject().unwrap_or(label.src);
        let value = Some(label.val);
        if !wanted(&Subject { kind: Kind::Labels, did: Some(did), collection: None, value }) {
            continue;
        }
        written += 1;
        let time_us = parse_time(label.cts).map_or(time_us, |nanos| nanos.div_euclid(1000));
        let mut line = Line::about(json, did, time_us, "label");
        line.optional_text("cid", label.cid)
            .text("cts", label.cts)
            .optional_text("exp", label.exp)
            .optional_plain("neg", label.neg)
            .plain("seq", labels.seq);
        if let Some(sig) = label.sig {
            push_bytes(line.value("sig"), sig);
        }
        line.text("src", label.src)
            .text("uri", label.uri)
            .text("val", label.val)
            .optional_plain("ver", label.ver)
            .end();
    }
    written
}
