//! Posts: text with facets, languages, replies, embeds and tags.

use skytide_atproto::cbor::{Map, Value};

use super::social::{Target, created_at};
use super::text::Marked;
use super::value::{blob, int, list, map, record, text, typed};
use super::{Belongs, Language, RecordType, Scene};

pub(super) fn post(scene: &mut Scene<'_>) -> Value {
    // A few write in another language than their own, now and then.
    let language =
        if scene.chance.one_in_a_thousand(60) { Language::common(scene.chance) } else { scene.language };
    let mut marked = Marked::sentences(language, scene);
    if scene.chance.one_in_a_thousand(60) {
        let (did, handle) = scene.people.someone(scene.chance);
        marked.mention(did, handle);
    }
    let tags = if scene.chance.one_in_a_thousand(140) { 1 + scene.chance.below(3) } else { 0 };
    for _ in 0..tags {
        if let Some(tag) = scene.chance.pick(language.tags) {
            marked.tag(tag);
        }
    }
    let mut fields = record(RecordType::Post, created_at(scene), []);
    if let Some(embed) = embed(scene, language, &mut marked) {
        fields.insert("embed", Value::Map(embed));
    }
    if let Some(facets) = marked.take_facets() {
        fields.insert("facets", facets);
    }
    fields.insert("text", text(marked.text));
    if let Some(langs) = langs(scene, language) {
        fields.insert("langs", langs);
    }
    if let Some(reply) = reply(scene) {
        fields.insert("reply", Value::Map(reply));
    }
    if scene.chance.one_in_a_thousand(12)
        && let Some(tag) = scene.chance.pick(language.tags)
    {
        fields.insert("tags", list([text(*tag)]));
    }
    if scene.chance.one_in_a_thousand(8) {
        let label = map([("val", text("sexual"))]);
        let labels = typed("com.atproto.label.defs#selfLabels", [("values", list([Value::Map(label)]))]);
        fields.insert("labels", Value::Map(labels));
    }
    Value::Map(fields)
}

/// A post with at least one picture.
pub(super) fn picture_post(scene: &mut Scene<'_>) -> Value {
    let mut post = post(scene);
    let pictures = images(scene, scene.language);
    if let Value::Map(fields) = &mut post {
        fields.insert("embed", Value::Map(pictures));
    }
    post
}

/// The languages the client claims: none at all for some, an empty list for few, two for few.
fn langs(scene: &mut Scene<'_>, language: &Language) -> Option<Value> {
    match scene.chance.below(1000) {
        0..60 => None,
        60..65 => Some(list([])),
        65..95 if language.tag != "en" => Some(list([text(language.tag), text("en")])),
        _ => Some(list([text(language.tag)])),
    }
}

/// What the post answers: the one before it in its thread, else, often, somebody's.
fn reply(scene: &mut Scene<'_>) -> Option<Map> {
    if let Belongs::Thread { first, last } = scene.belongs {
        return Some(map([("root", first.strong_ref()), ("parent", last.strong_ref())]));
    }
    if !scene.chance.one_in_a_thousand(380) {
        return None;
    }
    let parent = scene.posts.pick(scene.chance)?;
    let root = if scene.chance.one_in_a_thousand(600) { parent } else { scene.posts.pick(scene.chance)? };
    Some(map([("root", root.strong_ref()), ("parent", parent.strong_ref())]))
}

/// What is attached; a link is shown in the text too.
fn embed(scene: &mut Scene<'_>, language: &Language, marked: &mut Marked) -> Option<Map> {
    match scene.chance.below(1000) {
        0..180 => Some(images(scene, language)),
        180..290 => Some(external(scene, language, marked)),
        290..350 => quoted(scene).map(|quoted| typed("app.bsky.embed.record", [("record", quoted)])),
        350..365 => {
            let media = Value::Map(images(scene, language));
            let quoted = typed("app.bsky.embed.record", [("record", quoted(scene)?)]);
            let fields = [("media", media), ("record", Value::Map(quoted))];
            Some(typed("app.bsky.embed.recordWithMedia", fields))
        }
        365..395 => {
            let video = blob(scene.chance, "video/mp4", 400_000, 40_000_000);
            let fields = [("video", video), ("aspectRatio", aspect_ratio(scene))];
            Some(typed("app.bsky.embed.video", fields))
        }
        _ => None,
    }
}

fn quoted(scene: &mut Scene<'_>) -> Option<Value> {
    scene.posts.pick(scene.chance).map(Target::strong_ref)
}

fn images(scene: &mut Scene<'_>, language: &Language) -> Map {
    let count = 1 + scene.chance.below(4).saturating_sub(1);
    let images = (0..count).map(|_| {
        let alt = match scene.chance.pick(language.sentences) {
            Some(alt) if scene.chance.one_in_a_thousand(400) => *alt,
            _ => "",
        };
        let image = blob(scene.chance, "image/jpeg", 20_000, 950_000);
        Value::Map(map([("alt", text(alt)), ("image", image), ("aspectRatio", aspect_ratio(scene))]))
    });
    typed("app.bsky.embed.images", [("images", list(images))])
}

fn aspect_ratio(scene: &mut Scene<'_>) -> Value {
    const COMMON: [(i64, i64); 5] = [(2000, 1500), (1500, 2000), (1920, 1080), (1080, 1080), (1170, 2532)];
    let (width, height) = COMMON[scene.chance.index(COMMON.len())];
    Value::Map(map([("width", int(width)), ("height", int(height))]))
}

fn external(scene: &mut Scene<'_>, language: &Language, marked: &mut Marked) -> Map {
    const SITES: [&str; 6] = [
        "news.example.com",
        "www.example.org/watch",
        "blog.example.net",
        "example.dev",
        "example.com",
        "a.example",
    ];
    let site = SITES[scene.chance.index(SITES.len())];
    let uri = format!("https://{site}/{:x}/{:x}", scene.chance.below(1 << 16), scene.chance.below(1 << 40));
    marked.link(&uri);
    let mut sentence = || scene.chance.pick(language.sentences).copied().unwrap_or_default();
    let (title, description) = (text(sentence()), text(sentence()));
    let mut card = map([("uri", text(uri)), ("title", title), ("description", description)]);
    if scene.chance.one_in_a_thousand(800) {
        card.insert("thumb", blob(scene.chance, "image/jpeg", 10_000, 400_000));
    }
    typed("app.bsky.embed.external", [("external", Value::Map(card))])
}
