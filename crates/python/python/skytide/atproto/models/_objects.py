"""What the lexicons say of the objects that stand in records: embeds, facets and their features, references, labels.

A test derives the fields from the published lexicons and fails where they differ.
"""

from __future__ import annotations

# Every object that the lexicons here define but records and messages, and its fields.
OBJECTS: dict[str, str] = {
    "app.bsky.embed.defs#aspectRatio": "width height",
    "app.bsky.embed.external": "external",
    "app.bsky.embed.external#colorRGB": "r g b",
    "app.bsky.embed.external#external": "uri title description thumb associatedRefs",
    "app.bsky.embed.external#view": "external",
    "app.bsky.embed.external#viewExternal": (
        "uri title description thumb createdAt updatedAt readingTime labels source "
        "associatedRefs associatedProfiles"
    ),
    "app.bsky.embed.external#viewExternalSource": "uri icon title description theme",
    "app.bsky.embed.external#viewExternalSourceTheme": (
        "backgroundRGB foregroundRGB accentRGB accentForegroundRGB"
    ),
    "app.bsky.embed.gallery": "items",
    "app.bsky.embed.gallery#image": "image alt aspectRatio",
    "app.bsky.embed.gallery#view": "items",
    "app.bsky.embed.gallery#viewImage": "thumbnail fullsize alt aspectRatio",
    "app.bsky.embed.images": "images",
    "app.bsky.embed.images#image": "image alt aspectRatio",
    "app.bsky.embed.images#view": "images",
    "app.bsky.embed.images#viewImage": "thumb fullsize alt aspectRatio",
    "app.bsky.embed.record": "record",
    "app.bsky.embed.record#view": "record",
    "app.bsky.embed.record#viewBlocked": "uri blocked author",
    "app.bsky.embed.record#viewDetached": "uri detached",
    "app.bsky.embed.record#viewNotFound": "uri notFound",
    "app.bsky.embed.record#viewRecord": (
        "uri cid author value labels replyCount repostCount likeCount quoteCount embeds indexedAt"
    ),
    "app.bsky.embed.recordWithMedia": "record media",
    "app.bsky.embed.recordWithMedia#view": "record media",
    "app.bsky.embed.video": "video captions alt aspectRatio presentation",
    "app.bsky.embed.video#caption": "lang file",
    "app.bsky.embed.video#view": "cid playlist thumbnail alt aspectRatio presentation",
    "app.bsky.feed.post#entity": "index type value",
    "app.bsky.feed.post#replyRef": "root parent",
    "app.bsky.feed.post#textSlice": "start end",
    "app.bsky.feed.postgate#disableRule": "",
    "app.bsky.feed.threadgate#followerRule": "",
    "app.bsky.feed.threadgate#followingRule": "",
    "app.bsky.feed.threadgate#listRule": "list",
    "app.bsky.feed.threadgate#mentionRule": "",
    "app.bsky.graph.starterpack#feedItem": "uri",
    "app.bsky.labeler.defs#labelerPolicies": "labelValues labelValueDefinitions",
    "app.bsky.labeler.defs#labelerView": "uri cid creator likeCount viewer indexedAt labels",
    "app.bsky.labeler.defs#labelerViewDetailed": (
        "uri cid creator policies likeCount viewer indexedAt labels reasonTypes "
        "subjectTypes subjectCollections"
    ),
    "app.bsky.labeler.defs#labelerViewerState": "like",
    "app.bsky.richtext.facet": "index features",
    "app.bsky.richtext.facet#byteSlice": "byteStart byteEnd",
    "app.bsky.richtext.facet#link": "uri",
    "app.bsky.richtext.facet#mention": "did",
    "app.bsky.richtext.facet#tag": "tag",
    "com.atproto.label.defs#labelValueDefinition": (
        "identifier severity blurs defaultSetting adultOnly locales"
    ),
    "com.atproto.label.defs#labelValueDefinitionStrings": "lang name description",
    "com.atproto.label.defs#selfLabel": "val",
    "com.atproto.label.defs#selfLabels": "values",
    "com.atproto.repo.strongRef": "uri cid",
}

_FACET = "app.bsky.richtext.facet"
_REF = "com.atproto.repo.strongRef"
_RATIO = "app.bsky.embed.defs#aspectRatio"
_POLICIES = "app.bsky.labeler.defs#labelerPolicies"
_VALUE = "com.atproto.label.defs#labelValueDefinition"
# What stands in records and their objects, where the data does not say it: objects of these types, or lists of them.
WITHIN: dict[str, dict[str, str]] = {
    "app.bsky.actor.profile": {"joinedViaStarterPack": _REF, "links": _REF, "pinnedPost": _REF},
    "app.bsky.embed.external": {"external": "app.bsky.embed.external#external"},
    "app.bsky.embed.external#external": {"associatedRefs": _REF},
    "app.bsky.embed.gallery": {"items": "app.bsky.embed.gallery#image"},
    "app.bsky.embed.gallery#image": {"aspectRatio": _RATIO},
    "app.bsky.embed.images": {"images": "app.bsky.embed.images#image"},
    "app.bsky.embed.images#image": {"aspectRatio": _RATIO},
    "app.bsky.embed.record": {"record": _REF},
    "app.bsky.embed.recordWithMedia": {"record": "app.bsky.embed.record"},
    "app.bsky.embed.video": {"aspectRatio": _RATIO, "captions": "app.bsky.embed.video#caption"},
    "app.bsky.feed.generator": {"descriptionFacets": _FACET},
    "app.bsky.feed.like": {"subject": _REF, "via": _REF},
    "app.bsky.feed.post": {
        "entities": "app.bsky.feed.post#entity",
        "facets": _FACET,
        "reply": "app.bsky.feed.post#replyRef",
    },
    "app.bsky.feed.post#entity": {"index": "app.bsky.feed.post#textSlice"},
    "app.bsky.feed.post#replyRef": {"parent": _REF, "root": _REF},
    "app.bsky.feed.repost": {"subject": _REF, "via": _REF},
    "app.bsky.graph.follow": {"via": _REF},
    "app.bsky.graph.list": {"descriptionFacets": _FACET},
    "app.bsky.graph.starterpack": {
        "descriptionFacets": _FACET,
        "feeds": "app.bsky.graph.starterpack#feedItem",
    },
    "app.bsky.labeler.service": {"policies": _POLICIES},
    _POLICIES: {"labelValueDefinitions": _VALUE},
    _VALUE: {"locales": f"{_VALUE}Strings"},
    "com.atproto.label.defs#selfLabels": {"values": "com.atproto.label.defs#selfLabel"},
    _FACET: {"index": f"{_FACET}#byteSlice"},
}
