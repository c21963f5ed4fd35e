//! What accounts write: records of every common type, with texts in skewed languages, as DAG-CBOR.
//!
//! The proportions are those of a real window of the public relay; the texts are a few sentences a language, put
//! together at random, which is all that a reader of languages, lengths and bytes can tell.

mod language;
mod mix;
mod others;
mod posts;
mod social;
mod text;
mod value;

pub use mix::Mix;

pub(crate) use language::Language;
pub(crate) use mix::{Deed, RecordType};
pub(crate) use social::Target;

use crate::rng::Chance;
use skytide_atproto::cbor::Value;
use skytide_atproto::cid::Cid;

/// What a record is written from: who writes, when, and what there is to refer to.
pub(crate) struct Scene<'a> {
    pub(crate) chance: &'a mut Chance,
    /// The author's DID.
    pub(crate) did: &'a str,
    /// The language the author mostly writes in.
    pub(crate) language: &'static Language,
    /// When the record is written, nanoseconds.
    pub(crate) now: i64,
    /// Posts to like, to repost, to answer.
    pub(crate) posts: &'a Pool,
    /// Reposts through which posts are seen.
    pub(crate) reposts: &'a Pool,
    /// Other accounts.
    pub(crate) people: &'a dyn People,
    /// What the record belongs to, where it is not written for itself.
    pub(crate) belongs: Belongs<'a>,
}

/// What a record belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Belongs<'a> {
    /// Nothing.
    Alone,
    /// A gate or the next post of a thread: to the author's first and last post of the same commit.
    Thread { first: &'a Target, last: &'a Target },
}

/// Accounts that a record may name.
pub(crate) trait People {
    /// The DID and the handle of some account, by its popularity.
    fn someone(&self, chance: &mut Chance) -> (&str, &str);
}

/// Records that others may refer to, the most popular first; where there are enough, a new one takes the place of a
/// random one, so that what is popular stays so for a while.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    targets: Vec<Target>,
}

impl Pool {
    const LIMIT: usize = 4096;

    pub(crate) fn add(&mut self, target: Target, chance: &mut Chance) {
        if self.targets.len() < Self::LIMIT {
            self.targets.push(target);
            return;
        }
        let place = chance.index(Self::LIMIT);
        self.targets[place] = target;
    }

    /// One of them, by popularity: the place is a product of two even draws.
    pub(crate) fn pick(&self, chance: &mut Chance) -> Option<&Target> {
        let limit = chance.index(self.targets.len()) + 1;
        self.targets.get(chance.index(limit))
    }
}

/// Writes a record of a type; `None` where it needs something to refer to and there is nothing.
pub(crate) fn write(record_type: RecordType, scene: &mut Scene<'_>) -> Option<Value> {
    match record_type {
        RecordType::Like => social::like(scene),
        RecordType::Repost => social::repost(scene),
        RecordType::Follow => Some(social::follow(scene)),
        RecordType::Block => Some(social::block(scene)),
        RecordType::Post => Some(posts::post(scene)),
        RecordType::Profile => Some(others::profile(scene)),
        RecordType::Status => Some(others::status(scene)),
        RecordType::List => Some(others::list_of_people(scene)),
        RecordType::ListItem => Some(others::list_item(scene)),
        RecordType::Threadgate => others::threadgate(scene),
        RecordType::Postgate => others::postgate(scene),
        RecordType::Generator => Some(others::generator(scene)),
        RecordType::StarterPack => Some(others::starter_pack(scene)),
        RecordType::Labeler => Some(others::labeler(scene)),
        RecordType::Play => Some(others::play(scene)),
        RecordType::Reading => Some(others::reading(scene)),
        RecordType::Page => Some(others::page(scene, 0)),
    }
}

/// Writes a [`RecordType::Page`] with so many bytes of text.
pub(crate) fn page(scene: &mut Scene<'_>, size: usize) -> Value {
    others::page(scene, size)
}

/// Writes a post with pictures.
pub(crate) fn picture_post(scene: &mut Scene<'_>) -> Value {
    posts::picture_post(scene)
}

/// Appends the blobs that a record refers to.
pub(crate) fn blobs(record: &Value, found: &mut Vec<Cid>) {
    match record {
        Value::Map(map) => match (map.get("$type"), map.get("ref")) {
            (Some(Value::Text(name)), Some(Value::Link(content))) if name == "blob" => found.push(*content),
            _ => map.iter().for_each(|(_, value)| blobs(value, found)),
        },
        Value::List(items) => items.iter().for_each(|value| blobs(value, found)),
        _ => {}
    }
}
