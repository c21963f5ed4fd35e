//! The less common records: profiles, lists, gates, feeds, and those of other applications.

use skytide_atproto::cbor::Value;

use super::social::created_at;
use super::text::Marked;
use super::value::{blob, int, list, map, record, text, typed};
use super::{Belongs, RecordType, Scene};

pub(super) fn profile(scene: &mut Scene<'_>) -> Value {
    let description = Marked::sentences(scene.language, scene).text;
    let mut fields = record(
        RecordType::Profile,
        created_at(scene),
        [("displayName", text(name(scene))), ("description", text(description))],
    );
    fields.insert("avatar", blob(scene.chance, "image/jpeg", 10_000, 900_000));
    if scene.chance.one_in_a_thousand(500) {
        fields.insert("banner", blob(scene.chance, "image/png", 10_000, 990_000));
    }
    if scene.chance.one_in_a_thousand(300)
        && let Some(pinned) = scene.posts.pick(scene.chance)
    {
        fields.insert("pinnedPost", pinned.strong_ref());
    }
    Value::Map(fields)
}

pub(super) fn status(scene: &mut Scene<'_>) -> Value {
    let card = map([
        ("uri", text(format!("https://live.example.com/{:x}", scene.chance.below(1 << 32)))),
        ("title", text(name(scene))),
        ("description", text("")),
    ]);
    let embed = typed("app.bsky.embed.external", [("external", Value::Map(card))]);
    let minutes = scene.chance.between(5, 240);
    let fields = [
        ("status", text("app.bsky.actor.status#live")),
        ("durationMinutes", int(minutes)),
        ("embed", Value::Map(embed)),
    ];
    Value::Map(record(RecordType::Status, created_at(scene), fields))
}

pub(super) fn list_of_people(scene: &mut Scene<'_>) -> Value {
    const PURPOSES: [&str; 3] = ["curatelist", "modlist", "referencelist"];
    let purpose = PURPOSES[scene.chance.index(PURPOSES.len())];
    let description = Marked::sentences(scene.language, scene).text;
    let fields = [
        ("name", text(name(scene))),
        ("purpose", text(format!("app.bsky.graph.defs#{purpose}"))),
        ("description", text(description)),
    ];
    Value::Map(record(RecordType::List, created_at(scene), fields))
}

pub(super) fn list_item(scene: &mut Scene<'_>) -> Value {
    let (subject, _) = scene.people.someone(scene.chance);
    let fields = [("subject", text(subject)), ("list", text(own(scene, RecordType::List)))];
    Value::Map(record(RecordType::ListItem, created_at(scene), fields))
}

/// Who may answer a post.
pub(super) fn threadgate(scene: &mut Scene<'_>) -> Option<Value> {
    let Belongs::Thread { first: post, .. } = scene.belongs else { return None };
    const RULES: [&str; 3] = ["mentionRule", "followingRule", "followerRule"];
    let rules = (0..scene.chance.below(3)).map(|_| {
        let rule = RULES[scene.chance.index(RULES.len())];
        Value::Map(typed(&format!("app.bsky.feed.threadgate#{rule}"), []))
    });
    let allow = list(rules);
    let fields = [("post", text(&post.uri)), ("allow", allow), ("hiddenReplies", list([]))];
    Some(Value::Map(record(RecordType::Threadgate, created_at(scene), fields)))
}

/// Whether a post may be quoted.
pub(super) fn postgate(scene: &mut Scene<'_>) -> Option<Value> {
    let Belongs::Thread { first: post, .. } = scene.belongs else { return None };
    let rule = typed("app.bsky.feed.postgate#disableRule", []);
    let fields = [("post", text(&post.uri)), ("embeddingRules", list([Value::Map(rule)]))];
    Some(Value::Map(record(RecordType::Postgate, created_at(scene), fields)))
}

pub(super) fn generator(scene: &mut Scene<'_>) -> Value {
    let description = Marked::sentences(scene.language, scene).text;
    let fields = [
        ("did", text("did:web:feeds.example.com")),
        ("displayName", text(name(scene))),
        ("description", text(description)),
        ("avatar", blob(scene.chance, "image/png", 10_000, 500_000)),
        ("acceptsInteractions", Value::Bool(scene.chance.one_in_a_thousand(500))),
    ];
    Value::Map(record(RecordType::Generator, created_at(scene), fields))
}

pub(super) fn starter_pack(scene: &mut Scene<'_>) -> Value {
    let feed = map([("uri", text(own(scene, RecordType::Generator)))]);
    let fields = [
        ("name", text(name(scene))),
        ("list", text(own(scene, RecordType::List))),
        ("feeds", list([Value::Map(feed)])),
    ];
    Value::Map(record(RecordType::StarterPack, created_at(scene), fields))
}

pub(super) fn labeler(scene: &mut Scene<'_>) -> Value {
    let locale =
        map([("lang", text("en")), ("name", text("Spoiler")), ("description", text("Tells the end."))]);
    let definition = map([
        ("identifier", text("spoiler")),
        ("severity", text("inform")),
        ("blurs", text("content")),
        ("defaultSetting", text("warn")),
        ("adultOnly", Value::Bool(false)),
        ("locales", list([Value::Map(locale)])),
    ]);
    let policies = map([
        ("labelValues", list([text("spoiler"), text("!hide")])),
        ("labelValueDefinitions", list([Value::Map(definition)])),
    ]);
    Value::Map(record(RecordType::Labeler, created_at(scene), [("policies", Value::Map(policies))]))
}

/// A song played, as another application writes it.
pub(super) fn play(scene: &mut Scene<'_>) -> Value {
    let artist = map([("artistName", text(name(scene)))]);
    let fields = [
        ("trackName", text(name(scene))),
        ("artists", list([Value::Map(artist)])),
        ("duration", int(scene.chance.between(90, 600))),
        ("playedTime", text(crate::time::text(scene.now))),
        ("musicServiceBaseDomain", text("music.example.com")),
    ];
    Value::Map(record(RecordType::Play, created_at(scene), fields))
}

/// A record of no known lexicon that holds every kind of value there is.
pub(super) fn reading(scene: &mut Scene<'_>) -> Value {
    let station = map([
        ("id", Value::Bytes(scene.chance.bytes::<12>().to_vec())),
        ("height", int(scene.chance.between(-420, 4_800))),
        ("serial", Value::Integer(scene.chance.below(u64::MAX).into())),
    ]);
    // Halves have an exact float, so the text of it is the same everywhere.
    let degrees = scene.chance.between(-60, 90) as f64 / 2.0;
    let fields = [
        ("station", Value::Map(station)),
        ("degrees", Value::Float(degrees)),
        ("calm", Value::Bool(scene.chance.one_in_a_thousand(500))),
        ("remark", Value::Null),
        ("samples", list((0..scene.chance.below(5)).map(|_| int(scene.chance.between(-9, 9))))),
        ("firmware", Value::Link(skytide_atproto::cid::Cid::for_raw(&scene.chance.bytes::<32>()))),
    ];
    Value::Map(record(RecordType::Reading, created_at(scene), fields))
}

/// A page of an archive with exactly `size` bytes of text: a record can be large.
pub(super) fn page(scene: &mut Scene<'_>, size: usize) -> Value {
    let mut words = String::with_capacity(size);
    loop {
        let sentence = Marked::sentences(scene.language, scene).text;
        if words.len() + sentence.len() + 1 > size {
            break;
        }
        words.push_str(&sentence);
        words.push('\n');
    }
    words.extend(std::iter::repeat_n(' ', size - words.len()));
    Value::Map(record(RecordType::Page, created_at(scene), [("text", text(words))]))
}

/// The AT-URI of a record of the author's, at a key of those days.
fn own(scene: &mut Scene<'_>, record_type: RecordType) -> String {
    let key = scene.chance.text(b"234567abcdefghijklmnopqrstuvwxyz", 9);
    format!("at://{}/{}/3lzz{key}", scene.did, record_type.nsid())
}

/// A name for a person, a list, a song.
fn name(scene: &mut Scene<'_>) -> String {
    const FIRST: [&str; 12] = [
        "Quiet",
        "Blue",
        "Late",
        "Northern",
        "Little",
        "Paper",
        "Salt",
        "Électrique",
        "Alte",
        "小さな",
        "Velho",
        "Red",
    ];
    const LAST: [&str; 12] = [
        "Harbour", "Birds", "Garden", "Signal", "Tide", "Atlas", "Lantern", "海", "Straße", "Café",
        "Orchard", "Fox",
    ];
    format!("{} {}", FIRST[scene.chance.index(FIRST.len())], LAST[scene.chance.index(LAST.len())])
}
