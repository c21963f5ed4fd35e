//! Likes, reposts, follows and blocks: a subject and a time.

use skytide_atproto::cbor::{Map, Value};
use skytide_atproto::cid::Cid;

use super::value::{map, record, text};
use super::{RecordType, Scene};

/// A record that is referred to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Its AT-URI.
    pub(crate) uri: String,
    /// Its CID.
    pub(crate) cid: Cid,
}

impl Target {
    /// A `com.atproto.repo.strongRef`.
    pub(super) fn strong_ref(&self) -> Value {
        Value::Map(map([("cid", text(self.cid.to_string())), ("uri", text(&self.uri))]))
    }
}

pub(super) fn like(scene: &mut Scene<'_>) -> Option<Value> {
    on_post(RecordType::Like, 220, scene)
}

pub(super) fn repost(scene: &mut Scene<'_>) -> Option<Value> {
    on_post(RecordType::Repost, 330, scene)
}

/// A record about a post, `via` in a thousand times seen through a repost.
fn on_post(record_type: RecordType, via: u64, scene: &mut Scene<'_>) -> Option<Value> {
    let subject = scene.posts.pick(scene.chance)?.strong_ref();
    let mut fields = record(record_type, created_at(scene), [("subject", subject)]);
    if scene.chance.one_in_a_thousand(via)
        && let Some(repost) = scene.reposts.pick(scene.chance)
    {
        fields.insert("via", repost.strong_ref());
    }
    Some(Value::Map(fields))
}

pub(super) fn follow(scene: &mut Scene<'_>) -> Value {
    Value::Map(on_account(RecordType::Follow, scene))
}

pub(super) fn block(scene: &mut Scene<'_>) -> Value {
    Value::Map(on_account(RecordType::Block, scene))
}

fn on_account(record_type: RecordType, scene: &mut Scene<'_>) -> Map {
    let (did, _) = scene.people.someone(scene.chance);
    let subject = text(did);
    record(record_type, created_at(scene), [("subject", subject)])
}

/// When the author's device says the record was created: mostly within seconds, now and then far off.
pub(super) fn created_at(scene: &mut Scene<'_>) -> i64 {
    use crate::time::SECOND;
    const DAY: i64 = 86_400 * SECOND;
    let off = match scene.chance.below(1000) {
        // An imported archive.
        0..4 => scene.chance.between(-3_000 * DAY, -30 * DAY),
        // A clock that is set wrongly.
        4..8 => scene.chance.between(-2 * DAY, 2 * DAY),
        8..60 => scene.chance.between(-60 * SECOND, 2 * SECOND),
        _ => scene.chance.between(-SECOND, SECOND / 2),
    };
    scene.now + off
}
