//! The record types that are built in, as data.
//!
//! A test derives the same from the published lexicons and fails where they differ.

use super::Shape;
use super::Shape::{Bool, Int, Text};

/// A built-in record type: collection, name of its stream if it has one, and what makes its shape.
pub type BuiltIn = (&'static str, Option<&'static str>, fn() -> Shape);

/// Every built-in record type.
pub const BUILT_IN: &[BuiltIn] = &[
    ("app.bsky.feed.post", Some("posts"), post),
    ("app.bsky.feed.like", Some("likes"), like),
    ("app.bsky.feed.repost", Some("reposts"), like),
    ("app.bsky.graph.follow", Some("follows"), follow),
    ("app.bsky.graph.block", Some("blocks"), block),
    ("app.bsky.actor.profile", Some("profiles"), profile),
    ("app.bsky.graph.list", None, list),
    ("app.bsky.graph.listitem", None, list_item),
    ("app.bsky.feed.generator", None, feed_generator),
    ("app.bsky.feed.threadgate", None, threadgate),
    ("app.bsky.feed.postgate", None, postgate),
    ("app.bsky.graph.starterpack", None, starter_pack),
    ("app.bsky.labeler.service", None, labeler),
];

/// The shape of a definition that lexicons of others often refer to; for a user's file that comes without them.
#[must_use]
pub fn well_known(reference: &str) -> Option<Shape> {
    match reference {
        "com.atproto.repo.strongRef#main" => Some(strong_ref()),
        "com.atproto.label.defs#selfLabels" => Some(Shape::object([("values", label_values())])),
        "app.bsky.richtext.facet#main" => Some(facet()),
        "app.bsky.embed.defs#aspectRatio" => Some(aspect_ratio()),
        _ => None,
    }
}

fn post() -> Shape {
    Shape::object([
        ("text", Text),
        ("entities", Shape::list(entity())),
        ("facets", Shape::list(facet())),
        ("reply", Shape::object([("root", strong_ref()), ("parent", strong_ref())])),
        ("embed", embed()),
        ("langs", Shape::list(Text)),
        ("labels", self_labels()),
        ("tags", Shape::list(Text)),
        ("createdAt", Text),
    ])
}

/// Likes and reposts are of one shape.
fn like() -> Shape {
    Shape::object([("subject", strong_ref()), ("createdAt", Text), ("via", strong_ref())])
}

fn follow() -> Shape {
    Shape::object([("subject", Text), ("createdAt", Text), ("via", strong_ref())])
}

fn block() -> Shape {
    Shape::object([("subject", Text), ("createdAt", Text)])
}

fn profile() -> Shape {
    Shape::object([
        ("displayName", Text),
        ("description", Text),
        ("pronouns", Text),
        ("website", Text),
        ("avatar", Shape::blob()),
        ("banner", Shape::blob()),
        ("labels", self_labels()),
        ("joinedViaStarterPack", strong_ref()),
        ("pinnedPost", strong_ref()),
        ("createdAt", Text),
    ])
}

fn list() -> Shape {
    Shape::object([
        ("purpose", Text),
        ("name", Text),
        ("description", Text),
        ("descriptionFacets", Shape::list(facet())),
        ("avatar", Shape::blob()),
        ("labels", self_labels()),
        ("createdAt", Text),
    ])
}

fn list_item() -> Shape {
    Shape::object([("subject", Text), ("list", Text), ("createdAt", Text)])
}

fn feed_generator() -> Shape {
    Shape::object([
        ("did", Text),
        ("displayName", Text),
        ("description", Text),
        ("descriptionFacets", Shape::list(facet())),
        ("avatar", Shape::blob()),
        ("acceptsInteractions", Bool),
        ("labels", self_labels()),
        ("contentMode", Text),
        ("createdAt", Text),
    ])
}

fn threadgate() -> Shape {
    Shape::object([
        ("post", Text),
        ("allow", Shape::list(Shape::object([("$type", Text), ("list", Text)]))),
        ("createdAt", Text),
        ("hiddenReplies", Shape::list(Text)),
    ])
}

fn postgate() -> Shape {
    Shape::object([
        ("createdAt", Text),
        ("post", Text),
        ("detachedEmbeddingUris", Shape::list(Text)),
        ("embeddingRules", Shape::list(Shape::object([("$type", Text)]))),
    ])
}

fn starter_pack() -> Shape {
    Shape::object([
        ("name", Text),
        ("description", Text),
        ("descriptionFacets", Shape::list(facet())),
        ("list", Text),
        ("feeds", Shape::list(Shape::object([("uri", Text)]))),
        ("createdAt", Text),
    ])
}

fn labeler() -> Shape {
    let locale = Shape::object([("lang", Text), ("name", Text), ("description", Text)]);
    let definition = Shape::object([
        ("identifier", Text),
        ("severity", Text),
        ("blurs", Text),
        ("defaultSetting", Text),
        ("adultOnly", Bool),
        ("locales", Shape::list(locale)),
    ]);
    let policies = Shape::object([
        ("labelValues", Shape::list(Text)),
        ("labelValueDefinitions", Shape::list(definition)),
    ]);
    Shape::object([
        ("policies", policies),
        ("labels", self_labels()),
        ("createdAt", Text),
        ("reasonTypes", Shape::list(Text)),
        ("subjectTypes", Shape::list(Text)),
        ("subjectCollections", Shape::list(Text)),
    ])
}

fn strong_ref() -> Shape {
    Shape::object([("uri", Text), ("cid", Text)])
}

fn label_values() -> Shape {
    Shape::list(Shape::object([("val", Text)]))
}

fn self_labels() -> Shape {
    Shape::object([("$type", Text), ("values", label_values())])
}

fn entity() -> Shape {
    let index = Shape::object([("start", Int), ("end", Int)]);
    Shape::object([("index", index), ("type", Text), ("value", Text)])
}

fn facet() -> Shape {
    let index = Shape::object([("byteStart", Int), ("byteEnd", Int)]);
    let feature = Shape::object([("$type", Text), ("did", Text), ("uri", Text), ("tag", Text)]);
    Shape::object([("index", index), ("features", Shape::list(feature))])
}

fn aspect_ratio() -> Shape {
    Shape::object([("width", Int), ("height", Int)])
}

/// Images, video, gallery and external: what may stand alone or beside a quoted record.
fn media() -> [(&'static str, Shape); 9] {
    let image = [("image", Shape::blob()), ("alt", Text), ("aspectRatio", aspect_ratio())];
    let item = Shape::object([("$type", Text)]).merge(Shape::object(image.clone()));
    let caption = Shape::object([("lang", Text), ("file", Shape::blob())]);
    let external = Shape::object([
        ("uri", Text),
        ("title", Text),
        ("description", Text),
        ("thumb", Shape::blob()),
        ("associatedRefs", Shape::list(strong_ref())),
    ]);
    [
        ("$type", Text),
        ("images", Shape::list(Shape::object(image))),
        ("video", Shape::blob()),
        ("captions", Shape::list(caption)),
        ("alt", Text),
        ("aspectRatio", aspect_ratio()),
        ("presentation", Text),
        ("items", Shape::list(item)),
        ("external", external),
    ]
}

/// All variants of a post's embed. A quoted record is `record.uri`, beside media it is `record.record.uri`.
fn embed() -> Shape {
    let record = Shape::object([("uri", Text), ("cid", Text), ("record", strong_ref())]);
    Shape::object(media()).merge(Shape::object([("record", record), ("media", Shape::object(media()))]))
}
