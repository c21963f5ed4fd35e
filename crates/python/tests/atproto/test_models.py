"""Models in the SDK's shape: records, messages, blobs, URIs."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import pathlib
import pickle
from typing import Any

import pytest
from skytide.atproto import (
    CAR,
    CID,
    AtUri,
    exceptions,
    firehose_models,
    models,
    parse_subscribe_labels_message,
    parse_subscribe_repos_message,
)
from skytide.atproto.exceptions import ModelError, ModelFieldNotFoundError
from skytide.atproto.models import DotDict, _base, _objects, get_model_as_dict, get_or_create

from ..firehose import wire
from ..firehose.wire import cid_of, post

IMAGE = cid_of(b"image", 0x55)
RICH: dict[str, Any] = post(
    facets=[
        {
            "index": {"byteStart": 0, "byteEnd": 3},
            "features": [{"$type": "app.bsky.richtext.facet#link", "uri": "https://a.test"}],
        }
    ],
    reply={
        "root": {"uri": "at://did:plc:a/app.bsky.feed.post/1", "cid": "bafy"},
        "parent": {"uri": "at://did:plc:a/app.bsky.feed.post/2", "cid": "bafy"},
    },
    embed={
        "$type": "app.bsky.embed.images",
        "images": [
            {
                "alt": "a picture",
                "image": {"$type": "blob", "ref": IMAGE.cid, "mimeType": "image/png", "size": 5},
                "aspectRatio": {"width": 3, "height": 2},
            }
        ],
    },
    via="a client",
)


def test_a_record_has_its_fields_by_snake_case_names() -> None:
    record = models.get_or_create(RICH)
    assert isinstance(record, models.AppBskyFeedPost.Record)
    assert models.app.bsky.feed.post.Main is models.AppBskyFeedPost.Record
    assert (record.text, record.created_at, record.langs) == ("hello", wire.TIME, ["en"])
    assert record.py_type == "app.bsky.feed.post" == models.ids.AppBskyFeedPost
    assert record.labels is None and record.entities is None
    assert record["created_at"] == wire.TIME
    assert record.via == "a client" and record.model_extra == {"via": "a client"}
    with pytest.raises(AttributeError):
        record.nothing  # noqa: B018
    with pytest.raises(ModelFieldNotFoundError):
        record["nothing"]
    assert getattr(record, "nothing", 5) == 5 and not hasattr(record, "createdAt")


def test_what_is_in_a_record_is_a_model_too() -> None:
    record = models.get_or_create(RICH)
    assert record.reply.parent.uri.endswith("/2")
    assert record.facets[0].index.byte_end == 3
    feature = record.facets[0].features[0]
    assert isinstance(feature, models.AppBskyRichtextFacet.Link)
    assert not isinstance(feature, models.AppBskyRichtextFacet.Tag)
    assert feature.py_type == "app.bsky.richtext.facet#link" and feature.uri == "https://a.test"
    assert isinstance(record.embed, models.AppBskyEmbedImages.Main)
    image = record.embed.images[0]
    assert (image.alt, image.aspect_ratio.width) == ("a picture", 3)
    assert isinstance(image.image, models.BlobRef)
    assert (image.image.mime_type, image.image.size, image.image.ref) == ("image/png", 5, IMAGE.cid)
    assert image.image.cid == CID.decode(IMAGE.cid)
    as_json = image.image.to_json_representation()
    assert as_json.ref["$link"] == str(IMAGE) and as_json.cid == image.image.cid
    assert as_json.to_bytes_representation() == image.image


def test_what_an_object_has_tells_what_it_is() -> None:
    embed = get_or_create(RICH).embed
    of_others = ("external", "video", "record", "media", "items", "values", "keys", "nothing")
    assert hasattr(embed, "images") and not any(hasattr(embed, name) for name in of_others)
    assert getattr(embed, "external", []) == []
    features = [
        {"$type": "app.bsky.richtext.facet#tag", "tag": "a"},
        {"$type": "a.b.c", "uri": "x"},
    ]
    [facet] = get_or_create(post(facets=[{"features": features}])).facets
    assert [hasattr(each, "tag") for each in facet.features] == [True, True], "a DotDict has all"
    assert not hasattr(facet.features[0], "uri") and facet.index is None
    reply = get_or_create(RICH).reply
    assert reply["py_type"] == reply["$type"] == "app.bsky.feed.post#replyRef"
    for wrong in ("nothing", "text"):
        with pytest.raises(ModelFieldNotFoundError):
            reply[wrong]
        with pytest.raises(AttributeError, match=f"'ReplyRef' object has no attribute '{wrong}'"):
            getattr(reply, wrong)
    # A field that is missing is None, and what is in the data and no field is there.
    video = models.AppBskyEmbedVideo.Main(aspectRatio=None, other=5)
    assert (video.alt, video.aspect_ratio, video["alt"], video["aspectRatio"]) == (None,) * 4
    assert (video.other, video.model_extra) == (5, {"other": 5})
    assert dict(embed) == {"images": embed.images, "py_type": "app.bsky.embed.images"}


def test_objects_of_types_that_no_lexicon_defines_are_plain() -> None:
    record = get_or_create(RICH)
    for known in (record.embed, record.reply, record.facets[0], record.embed.images[0].image):
        assert not isinstance(known, DotDict)
    # Anybody may publish any name.
    for name in (
        "a.b.c",
        "a.b.c#kind",
        "x#a\0b",
        "",
        "app.bsky.embed.images#main",
        "app.bsky.feed",
    ):
        embed = get_or_create(post(embed={"$type": name, "n": 1})).embed
        assert type(embed) is DotDict and (embed.n, embed["$type"], embed.images) == (1, name, None)
        assert pickle.loads(pickle.dumps(embed)) == embed
    before = len(object.__subclasses__()), len(_base.Definition.__subclasses__())
    for number in range(1000):
        embed = get_or_create(post(embed={"$type": f"a.b.c#kind{number}"})).embed
    assert (len(object.__subclasses__()), len(_base.Definition.__subclasses__())) == before
    for lexicon in (models.AppBskyEmbedImages, models.AppBskyFeedPost):
        assert not hasattr(lexicon, "Nothing") and not hasattr(lexicon, "record")


@pytest.mark.skipif("SKYTIDE_VECTORS" not in os.environ, reason="has no published lexicons")
def test_objects_have_the_fields_of_the_published_lexicons() -> None:
    folder = pathlib.Path(os.environ["SKYTIDE_VECTORS"]) / "lexicons"
    found = {}
    for lexicon in models._lexicons.values():
        nsid = lexicon.__name__
        file = folder / f"{nsid.replace('.', '/')}.json"
        # Not all that the SDK has were published by then.
        definitions = json.loads(file.read_text())["defs"] if file.exists() else {}
        for name, definition in definitions.items():
            if definition["type"] == "object" and not isinstance(
                lexicon.__dict__.get(name[:1].upper() + name[1:]), type
            ):
                full = nsid if name == "main" else f"{nsid}#{name}"
                found[full] = set(definition.get("properties", {}))
    assert len(found) > 40
    assert found == {name: set(fields.split()) for name, fields in _objects.OBJECTS.items()}
    assert _objects.WITHIN.keys() <= found.keys() | _base.records.keys()


def test_what_is_changed_within_a_model_stays_changed() -> None:
    data = {
        "$type": "app.bsky.feed.post",
        "text": "old",
        "createdAt": "2026-07-04T14:38:08Z",
        "langs": ["en"],
        "embed": {"$type": "app.bsky.embed.images", "images": [{"alt": "old", "image": {}}]},
        "unknown": {"list": [{"n": 1}, 2]},
    }
    before = copy.deepcopy(data)
    post: Any = get_or_create(data)
    post.text = "new"
    post.langs.append("de")
    images = post.embed.images
    images[0].alt = "new"
    images.append({"alt": "second"})
    post.embed.images[1].alt = "third"
    assert (post.text, post.langs, [image.alt for image in images]) == (
        "new",
        ["en", "de"],
        ["new", "third"],
    )
    dumped = get_model_as_dict(post)
    assert json.loads(json.dumps(dumped)) == dumped
    assert dumped["embed"]["images"] == [{"alt": "new", "image": {}}, {"alt": "third"}]
    assert data == before, "what it was made of is as it was"
    assert copy.deepcopy(post) == post

    assert DotDict({"snake_case": 1}).snakeCase == DotDict({"snakeCase": 1}).snake_case == 1
    dots = DotDict({"a": {"b": 1}, "list": [{"c": 2}, 3]})
    dots.a.b = 4
    dots["list"][0]["c"] = 5
    for name, value in dots.items():
        if name == "list":
            value.append(6)
    assert dots == {"a": {"b": 4}, "list": [{"c": 5}, 3, 6]}
    assert dots.to_dict() == {"a": {"b": 4}, "list": [{"c": 5}, 3, 6]}


def test_a_link_has_its_cid() -> None:
    image = models.get_or_create(RICH).embed.images[0].image
    for blob in (image.to_json_representation(), models.BlobRef(ref={"$link": str(IMAGE)})):
        assert blob.is_json_representation and not blob.is_bytes_representation
        assert blob.ref.link == str(IMAGE) == str(blob.cid)
        again = pickle.loads(pickle.dumps(blob))
        assert again.ref.link == copy.copy(blob.ref).link == str(IMAGE)
    made = models.BlobRef(ref=blob.ref)
    assert made.is_json_representation and made.cid == str(IMAGE)
    assert made.model_dump_json() == f'{{"$type":"blob","ref":{{"$link":"{IMAGE}"}}}}'


def test_a_dict_of_a_record_has_every_field() -> None:
    found = dict(models.get_or_create(post(via="x")))
    assert found == {
        "text": "hello",
        "entities": None,
        "facets": None,
        "reply": None,
        "embed": None,
        "langs": ["en"],
        "labels": None,
        "tags": None,
        "created_at": wire.TIME,
        "py_type": "app.bsky.feed.post",
        "via": "x",
    }


def test_records_are_written_as_they_came() -> None:
    record = models.get_or_create(RICH)
    assert models.get_model_as_dict(record) == RICH
    made = models.AppBskyFeedPost.Record(text="x", created_at="y", langs=None)
    assert models.get_model_as_dict(made) == {
        "text": "x",
        "createdAt": "y",
        "$type": "app.bsky.feed.post",
    }
    assert (
        models.get_model_as_json(made)
        == '{"text":"x","createdAt":"y","$type":"app.bsky.feed.post"}'
    )
    assert made.model_dump(exclude_none=True) == {
        "text": "x",
        "created_at": "y",
        "py_type": "app.bsky.feed.post",
    }
    made.text = "z"
    assert made.text == "z" and made == models.AppBskyFeedPost.Record(
        text="z", created_at="y", langs=None
    )
    assert copy.deepcopy(record) == record


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": 5},
        {"text": None},
        {"createdAt": None},
        {"langs": "en"},
        {"langs": ["en", 5]},
        {"reply": {"root": {"uri": 1}}},
        {"facets": [{"index": {"byteStart": "0"}}]},
    ],
)
def test_data_that_does_not_fit_is_refused_or_a_dot_dict(wrong: dict[str, Any]) -> None:
    data = post() | wrong
    with pytest.raises(ModelError):
        models.get_or_create(data)
    with pytest.raises(exceptions.AtProtocolError):
        models.AppBskyFeedPost.Record.model_validate(data)
    loose = models.get_or_create(data, strict=False)
    assert isinstance(loose, models.DotDict)
    assert loose.to_dict() == data and loose == data
    assert models.is_record_type(loose, models.ids.AppBskyFeedPost)


def test_data_of_no_known_record_is_none() -> None:
    odd: list[Any] = [{"$type": ["x"]}, {"$type": {"a": 1}}, {"$type": 5}, {"$type": None}]
    for data in ({"$type": "x.y.z"}, {"a": 1}, *odd, None, "text"):
        assert models.get_or_create(data, strict=False) is None
    given = models.get_or_create({"fooBar": {"a": 1}}, models.DotDict)
    assert (given.foo_bar.a, given["fooBar"]["a"], given.nothing, len(given)) == (1, 1, None, 1)
    record = models.get_or_create(post())
    assert models.get_or_create(record, models.AppBskyFeedPost.Record) is record
    with pytest.raises(ModelError):
        models.get_or_create(post(), models.AppBskyFeedLike.Record)


def test_a_model_is_made_of_what_it_was_written_as() -> None:
    record = get_or_create(RICH)
    Record = models.AppBskyFeedPost.Record
    for written in (record.model_dump(), record.model_dump(by_alias=True), dict(record)):
        for made in (Record.model_validate(written), Record(**written)):
            assert made == record and made.model_extra == {"via": "a client"}
            assert get_model_as_dict(made) == RICH
    assert get_or_create(record.model_dump(), Record) == record
    assert Record(text="a", created_at="x", langs=None) == Record(text="a", created_at="x")
    assert Record(text="a", created_at="x", via=None) != Record(text="a", created_at="x")
    assert Record.model_validate(record) is record
    # What a record has under both names is not mixed up.
    both = Record.model_validate(post(created_at="other"))
    assert (both.created_at, both.model_extra) == (wire.TIME, {"created_at": "other"})
    with pytest.raises(ModelError, match="the type is other"):
        Record(text="a", created_at="x", py_type="other")
    Images = models.AppBskyEmbedImages.Main
    assert Images.model_validate({"images": []}) == Images(images=[], py_type=Images().py_type)
    for wrong in ("x", 5, None, {"$type": "x"}):
        for model in (Record, Images):
            with pytest.raises(ModelError):
                model.model_validate(wrong)


def test_every_record_type_of_the_core_has_a_model() -> None:
    likes: dict[str, Any] = {"subject": {"uri": "u", "cid": "c"}, "createdAt": "t"}
    for name, data in [
        ("app.bsky.feed.like", likes),
        ("app.bsky.feed.repost", likes),
        ("app.bsky.graph.follow", {"subject": "did:plc:a", "createdAt": "t"}),
        ("app.bsky.actor.profile", {"displayName": "A"}),
    ]:
        record = models.get_or_create({"$type": name, **data})
        assert models.is_record_type(record, name)
        lexicon = getattr(models, "".join(part.capitalize() for part in name.split(".")))
        assert isinstance(record, lexicon.Record) and models.is_record_type(record, lexicon)
        assert getattr(models.ids, lexicon.__class__.__name__, None) is None
    assert record.display_name == "A" and record.pinned_post is record.links is None


def test_is_record_type_takes_ids_lexicons_and_classes() -> None:
    record = models.get_or_create(post())
    for expected in (
        models.ids.AppBskyFeedPost,
        models.AppBskyFeedPost,
        models.AppBskyFeedPost.Record,
    ):
        assert models.is_record_type(record, expected)
    for other in (
        models.ids.AppBskyFeedLike,
        models.AppBskyFeedLike,
        models.AppBskyFeedLike.Record,
        5,
    ):
        assert not models.is_record_type(record, other)
    with pytest.raises(AttributeError):
        models.ids.AppBskyFeedNothing  # noqa: B018
    with pytest.raises(AttributeError):
        models.AppBskyFeedNothing  # noqa: B018


def message(data: bytes) -> Any:
    frame = firehose_models.Frame.from_bytes(data)
    assert isinstance(frame, firehose_models.MessageFrame)
    return parse_subscribe_repos_message(frame)


def test_a_commit_is_the_model_itself() -> None:
    found = message(wire.commit(3, [("app.bsky.feed.post/k", RICH | {"embed": None})]))
    repos = models.ComAtprotoSyncSubscribeRepos
    assert isinstance(found, repos.Commit) and not isinstance(found, repos.Identity)
    assert (found.seq, found["repo"], found.too_big) == (3, "did:plc:abc", False)
    assert found.py_type == "com.atproto.sync.subscribeRepos#commit"
    assert {"seq", "ops", "blocks", "prev_data"} <= dict(found).keys()
    [op] = found.ops
    assert isinstance(op, repos.RepoOp) and (op.action, op.path) == (
        "create",
        "app.bsky.feed.post/k",
    )
    car = CAR.from_bytes(found.blocks)
    assert car.root == found.commit and len(car) == 2
    record = models.get_or_create(car.blocks.get(op.cid), strict=False)
    assert isinstance(record, models.AppBskyFeedPost.Record)
    assert isinstance(message(wire.identity(4)), repos.Identity)
    assert isinstance(message(wire.info("OutdatedCursor", "x")), repos.Info)


def test_a_blob_in_a_commit_is_bytes() -> None:
    image = {"$type": "blob", "ref": IMAGE, "mimeType": "image/png", "size": 5}
    data = {"$type": "app.bsky.actor.profile", "avatar": image}
    found = message(wire.commit(3, [("app.bsky.actor.profile/self", data)]))
    record = models.get_or_create(CAR.from_bytes(found.blocks).blocks[found.ops[0].cid])
    assert record.avatar.ref == IMAGE.cid and record.avatar.cid == str(IMAGE)
    # As JSON the record has the link that it has in the repository, wherever it stands.
    linked = f'"ref":{{"$link":"{IMAGE}"}}'
    loose = models.DotDict({"a": [record.avatar]})
    for model in (record, record.avatar, loose):
        assert linked in models.get_model_as_json(model)
        assert linked in model.model_dump_json()
    # What only looks like a blob keeps its bytes.
    odd = models.BlobRef(ref=b"x")
    assert models.get_model_as_json(odd) == '{"$type":"blob","ref":{"$bytes":"eA"}}'


def test_a_frame_has_its_body_as_a_dict() -> None:
    data = wire.commit(3, [("a.b.c/d", post())])
    frame: Any = firehose_models.Frame.from_bytes(data)
    assert (frame.type, frame.is_message, frame.operation) == (
        "#commit",
        True,
        firehose_models.FrameType.MESSAGE,
    )
    assert frame.header.t == "#commit"
    assert isinstance(frame.body, dict) and frame.body["seq"] == 3
    assert isinstance(frame.body["ops"][0]["cid"], bytes)
    with pytest.raises(ModelError):
        models.get_or_create(frame.body, models.ComAtprotoSyncSubscribeRepos.Identity)
    error = firehose_models.Frame.from_bytes(wire.error("Bad", "very"))
    assert isinstance(error, firehose_models.ErrorFrame)
    assert (error.is_error, error.body.error, error.body.message) == (True, "Bad", "very")


def test_messages_are_made_of_data() -> None:
    gone = {"action": "delete", "path": "a.b.c/d", "cid": None, "prev": wire.cid_of(b"x")}
    data = wire.commit(3, [], ops=[gone], prevData=wire.cid_of(b"y"), blobs=[IMAGE])
    frame: Any = firehose_models.Frame.from_bytes(data)
    parsed = parse_subscribe_repos_message(frame)
    Commit = models.ComAtprotoSyncSubscribeRepos.Commit
    for given in (dict(frame.body), parsed.model_dump(), parsed.model_dump(by_alias=True)):
        for made in (Commit.model_validate(given), get_or_create(given, Commit)):
            assert isinstance(made, Commit) and dict(made) == dict(parsed)
    frame.body["seq"] = 99
    assert get_or_create(frame.body, Commit).seq == 99
    assert Commit.model_validate(parsed) is parsed
    several: list[tuple[bytes, Any]] = [
        (wire.identity(4), parse_subscribe_repos_message),
        (wire.info("OutdatedCursor", "x"), parse_subscribe_repos_message),
        (wire.info("OutdatedCursor", "x"), parse_subscribe_labels_message),
        (wire.labels(5, "spam"), parse_subscribe_labels_message),
    ]
    for data, parse in several:
        other: Any = parse(firehose_models.Frame.from_bytes(data))
        for given in (other.model_dump(), other.model_dump(by_alias=True, exclude_none=True)):
            assert type(other).model_validate(given) == other
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    label = other.labels[0]
    assert type(label).model_validate(label.model_dump()) == label
    wrong: list[Any] = [{}, {"seq": 1}, {**frame.body, "commit": "x"}]
    wrong += [
        {**frame.body, name: value} for name, value in [("ops", object()), ("time", 1.5), (5, 5)]
    ]
    wrong += [{**frame.body, "a": value} for value in (2**64, -(2**64) - 1, 1e999, "\ud800", deep)]
    for given in wrong:
        with pytest.raises(ModelError):
            get_or_create(given, Commit)
        assert isinstance(get_or_create(given, Commit, strict=False), DotDict)
    with pytest.raises(exceptions.AtProtocolError, match="of str"):
        Commit.model_validate("x")


def test_what_does_not_parse_has_its_errors() -> None:
    for data in (b"", b"\xff", wire.cbor({"op": 9}) + b"\xa0"):
        with pytest.raises(exceptions.FirehoseDecodingError):
            firehose_models.Frame.from_bytes(data)
    with pytest.raises(ModelError):
        message(wire.bad_body(3))
    with pytest.raises(exceptions.FirehoseError):
        message(wire.frame("#unheard", {}))
    with pytest.raises(exceptions.InvalidCARFile):
        CAR.from_bytes(b"nonsense")
    link = wire.cid_of(b"\xff")
    with pytest.raises(exceptions.AtProtocolError):
        CAR.from_bytes(wire.car(link, [(link, b"\xff")])).blocks.get(link.cid)
    commit = message(wire.commit(3, [("a.b.c/d", post())]))
    for each in (commit, commit.ops[0], message(wire.identity(4)), get_or_create(post())):
        with pytest.raises(ModelFieldNotFoundError, match="^no field 'nope' in "):
            each["nope"]


def test_what_is_in_a_record_knows_its_type() -> None:
    record = models.get_or_create(RICH)
    assert record.reply.py_type == "app.bsky.feed.post#replyRef"
    assert record.reply.parent.py_type == "com.atproto.repo.strongRef"
    assert isinstance(record.reply.parent, models.ComAtprotoRepoStrongRef.Main)
    assert record.facets[0].py_type == "app.bsky.richtext.facet"
    assert record.facets[0].index.py_type == "app.bsky.richtext.facet#byteSlice"
    assert record.embed.images[0].py_type == "app.bsky.embed.images#image"
    assert dict(record)["reply"].py_type == "app.bsky.feed.post#replyRef"
    labels = {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "x"}]}
    [label] = models.get_or_create(post(labels=labels)).labels.values
    assert (label.py_type, label.val) == ("com.atproto.label.defs#selfLabel", "x")
    picture = {"alt": "a", "aspectRatio": {"width": 3, "height": 2}}
    gallery = {"$type": "app.bsky.embed.gallery", "items": [picture]}
    [item] = models.get_or_create(post(embed=gallery)).embed.items
    assert (item.aspect_ratio.py_type, item.alt) == ("app.bsky.embed.defs#aspectRatio", "a")
    # What it is called is not written into what came.
    assert models.get_model_as_dict(record) == RICH
    assert record.reply.model_dump() == RICH["reply"]


def test_every_record_type_of_the_sdk_has_a_model() -> None:
    data = {"$type": "app.bsky.actor.status", "createdAt": "t", "status": "s", "embed": {"a": 1}}
    status = models.get_or_create(data)
    assert isinstance(status, models.AppBskyActorStatus.Record)
    assert (status.status, status.duration_minutes, status.embed.a) == ("s", None, 1)
    assert models.is_record_type(status, models.ids.AppBskyActorStatus)
    others: list[tuple[str, dict[str, Any]]] = [
        ("app.bsky.actor.contentVisibilityDeclaration", {"hideFromAlgorithmicRecommendations": 1}),
        ("app.bsky.actor.link", {"createdAt": "t", "url": "u"}),
        ("app.bsky.graph.listblock", {"createdAt": "t", "subject": "s"}),
        ("app.bsky.graph.referencelistoptout", {"createdAt": "t", "subject": "s"}),
        (
            "app.bsky.graph.verification",
            {"createdAt": "t", "displayName": "n", "handle": "h", "subject": "s"},
        ),
        ("app.bsky.notification.declaration", {"allowSubscriptions": "a"}),
        ("chat.bsky.actor.declaration", {"allowIncoming": "a"}),
        ("com.atproto.lexicon.schema", {"lexicon": 1}),
    ]
    for name, fields in others:
        record = models.get_or_create({"$type": name, **fields})
        assert record.py_type == name
        with pytest.raises(ModelError, match="is missing"):
            models.get_or_create({"$type": name})


def test_models_and_frames_are_copied_and_pickled() -> None:
    data = wire.commit(5, [("app.bsky.feed.post/1", RICH)])
    frame: Any = firehose_models.Frame.from_bytes(data)
    parsed = message(data)
    record = models.get_or_create(RICH)
    made = models.create_strong_ref(Ref())
    things = [
        record,
        record.reply.parent,
        record.embed.images[0].image,
        made,
        models.DotDict({"a": 1}),
        models.ComAtprotoSyncSubscribeRepos.Params(cursor=5),
        AtUri.from_str("at://did:plc:a/b/c"),
    ]
    for thing in things:
        for copied in (copy.copy(thing), copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))):
            assert type(copied) is type(thing) and copied == thing
    for copied in (copy.deepcopy(frame), pickle.loads(pickle.dumps(frame))):
        assert copied == frame and copied.body == frame.body and copied.type == "#commit"
        assert parse_subscribe_repos_message(copied).ops[0].path == "app.bsky.feed.post/1"
    failed: Any = firehose_models.Frame.from_bytes(wire.error("FutureCursor"))
    assert pickle.loads(pickle.dumps(failed)) == failed != frame
    for unhashable in (frame, failed, parsed, record, record.reply):
        with pytest.raises(TypeError, match="unhashable"):
            hash(unhashable)
    blocks = CAR.from_bytes(parsed.blocks)
    assert pickle.loads(pickle.dumps(blocks)).blocks.items() == blocks.blocks.items()


class Ref:
    uri, cid = "at://did:plc:a/b/c", "bafy"


def _work(queue: Any, done: Any) -> None:
    """Read frames of a queue, as a worker of the SDK's example for many commits does."""
    while (frame := queue.get(timeout=30)) is not None:
        commit = parse_subscribe_repos_message(frame)
        blocks = CAR.from_bytes(commit.blocks).blocks
        done.put([models.get_or_create(blocks.get(op.cid), strict=False) for op in commit.ops])


@pytest.mark.parametrize("way", ["spawn", "fork"])
def test_workers_in_other_processes_read_frames(way: str) -> None:
    context: Any = multiprocessing.get_context(way)
    queue, done = context.Queue(), context.Queue()
    worker = context.Process(target=_work, args=(queue, done), daemon=True)
    worker.start()
    data = wire.commit(5, [("app.bsky.feed.post/1", wire.post())])
    for _ in range(3):
        queue.put(firehose_models.Frame.from_bytes(data))
    queue.put(None)
    for _ in range(3):
        assert done.get(timeout=30) == [models.get_or_create(wire.post())]
    worker.join(30)
    assert worker.exitcode == 0
