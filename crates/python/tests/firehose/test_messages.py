"""What frames say: messages, operations and records, labels, CARs and CIDs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from skytide.firehose import (
    CAR,
    CID,
    FirehoseSubscribeLabelsClient,
    FrameType,
    MessageFrame,
    MessageFrameHeader,
    MessageParsingError,
    RepoCommit,
    parse_subscribe_labels_message,
    parse_subscribe_repos_message,
)

from . import wire
from .server import Server
from .wire import Link, car, cbor, cid_of, commit, error, frame, identity, labels, post

NAMES = ("commit", "sync", "identity", "account", "handle", "migrate", "tombstone", "info", "error")

MESSAGES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "identity": (identity(3), {"seq": 3, "did": "did:plc:abc", "handle": "a.test"}),
    "account": (
        frame(
            "#account", {"seq": 4, "did": "d", "time": "t", "active": False, "status": "deleted"}
        ),
        {"seq": 4, "did": "d", "time": "t", "active": False, "status": "deleted"},
    ),
    "sync": (
        frame("#sync", {"seq": 5, "did": "d", "time": "t", "rev": "r", "blocks": b"xyz"}),
        {"seq": 5, "did": "d", "time": "t", "rev": "r", "blocks": b"xyz"},
    ),
    "handle": (
        frame("#handle", {"seq": 6, "did": "d", "time": "t", "handle": "h"}),
        {"seq": 6, "did": "d", "time": "t", "handle": "h"},
    ),
    "migrate": (
        frame("#migrate", {"seq": 7, "did": "d", "time": "t", "migrateTo": None}),
        {"seq": 7, "did": "d", "time": "t", "migrate_to": None},
    ),
    "tombstone": (
        frame("#tombstone", {"seq": 8, "did": "d", "time": "t"}),
        {"seq": 8, "did": "d", "time": "t"},
    ),
    "info": (wire.info("OutdatedCursor", "old"), {"name": "OutdatedCursor", "message": "old"}),
    "error": (error("FutureCursor"), {"error": "FutureCursor", "message": None}),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_one_attribute_is_set(name: str) -> None:
    data, fields = MESSAGES[name]
    for given in (data, MessageFrame.from_bytes(data)):
        message = parse_subscribe_repos_message(given)
        found = getattr(message, name)
        assert {field: getattr(found, field) for field in fields} == fields
        assert [other for other in NAMES if getattr(message, other) is not None] == [name]
        assert fields.items() <= dict(found).items()
        assert name in repr(message)


def test_an_unknown_type_sets_none() -> None:
    for data in (frame("#unheard", {"a": 1}), cbor({"op": 7}) + cbor({}), labels(1, "spam")):
        message = parse_subscribe_repos_message(data)
        assert [name for name in NAMES if getattr(message, name) is not None] == []
    other = parse_subscribe_labels_message(identity(1))
    assert (other.labels, other.info, other.error) == (None, None, None)


def test_a_commit_has_all_its_fields() -> None:
    link = cid_of(b"x", 0x55)
    other = cid_of(b"y")
    data = commit(9, [("app.bsky.feed.post/3k", post())], blobs=[link], prev=other, prevData=other)
    found = parse_subscribe_repos_message(data).commit
    assert isinstance(found, RepoCommit)
    assert (found.seq, found.repo, found.rev, found.since) == (9, "did:plc:abc", "3kabc", "3kabb")
    assert (found.rebase, found.too_big, found.time) == (False, False, wire.time_of(9))
    assert found.blobs == [str(link)] and isinstance(found.blobs[0], CID)
    assert found.prev == found.prev_data == str(other)
    assert found.commit == CAR.from_bytes(found.blocks).root
    with pytest.raises(AttributeError):
        found.seq = 3  # type: ignore[misc]
    bare = parse_subscribe_repos_message(commit(9, [], since=None)).commit
    assert bare is not None
    assert (bare.since, bare.prev, bare.prev_data, bare.ops, bare.blobs) == (
        None,
        None,
        None,
        [],
        [],
    )


def test_operations_hold_their_records() -> None:
    records = [("app.bsky.feed.post/3k", post("a")), ("x.y.z/self", post("b", n=-5))]
    gone = {"action": "delete", "path": "x.y.z/old", "cid": None, "prev": cid_of(b"old")}
    kept = [
        {"action": "create", "path": path, "cid": cid_of(cbor(record))} for path, record in records
    ]
    absent = {"action": "update", "path": "x.y.z/absent", "cid": cid_of(b"absent")}
    found = parse_subscribe_repos_message(commit(1, records, ops=[*kept, gone, absent])).commit
    assert found is not None
    assert [op.action for op in found.ops] == ["create", "create", "delete", "update"]
    assert [op.path for op in found.ops] == [
        "app.bsky.feed.post/3k",
        "x.y.z/self",
        "x.y.z/old",
        "x.y.z/absent",
    ]
    assert (found.ops[1].collection, found.ops[1].rkey) == ("x.y.z", "self")
    assert [op.record for op in found.ops] == [records[0][1], records[1][1], None, None]
    assert found.ops[0].record is found.ops[0].record
    assert found.ops[2].cid is None and found.ops[2].prev == str(cid_of(b"old"))
    assert found.ops[0].cid == str(kept[0]["cid"]) and found.ops[0].prev is None


def test_a_record_that_is_none_raises_when_it_is_asked_for() -> None:
    block = b"\xa1\x61a"
    link = cid_of(block)
    blocks = car(link, [(link, block)])
    ops = [{"action": "create", "path": "a.b.c/d", "cid": link}]
    found = parse_subscribe_repos_message(commit(1, [], ops=ops, blocks=blocks)).commit
    assert found is not None
    with pytest.raises(MessageParsingError, match="end"):
        found.ops[0].record  # noqa: B018
    broken = parse_subscribe_repos_message(commit(1, [], ops=ops, blocks=b"\x05abc")).commit
    assert broken is not None
    with pytest.raises(MessageParsingError):
        broken.ops[0].record  # noqa: B018


def test_every_value_of_the_data_model_is_read() -> None:
    link = cid_of(b"x")
    value: dict[str, Any] = {
        "null": None,
        "bools": [True, False],
        "ints": [0, 23, 24, -1, 2**63, 2**64 - 1, -(2**63), -(2**64)],
        "float": 1.5,
        "text": "häß 🌊",
        "bytes": b"\x00\xff",
        "nested": {"a": [{"b": [[]]}]},
        "": {},
    }
    data = cbor(value | {"link": link})
    body = MessageFrame(MessageFrameHeader(t="#x"), data)
    decoded = body.decode()
    assert decoded.pop("link") == str(link)
    assert decoded == value
    assert [type(each) for each in decoded["bools"]] == [bool, bool]
    assert body.decode(links_as_bytes=True)["link"] == link.cid
    deep = cbor([]) * 0 + b"\x81" * 10_000 + b"\x80"
    with pytest.raises(MessageParsingError, match="deeper"):
        MessageFrame(MessageFrameHeader(t="#x"), deep).decode()


def test_a_frame_is_a_header_and_a_body() -> None:
    data = identity(7)
    whole = MessageFrame.from_bytes(data)
    assert whole.header == MessageFrameHeader(FrameType.MESSAGE, "#identity")
    assert whole.header.op is FrameType.MESSAGE and whole.header.t == whole.type == "#identity"
    assert data.endswith(whole.body) and isinstance(whole.body, bytes)
    assert (whole.is_message, whole.is_error, whole.seq) == (True, False, 7)
    again = MessageFrame(whole.header, whole.body)
    assert (
        parse_subscribe_repos_message(again).identity
        == parse_subscribe_repos_message(data).identity
    )
    assert MessageFrame.from_bytes(data) == whole and hash(MessageFrame.from_bytes(data)) == hash(
        whole
    )
    assert MessageFrame.from_bytes(error("X")).header.op is FrameType.ERROR
    assert MessageFrame.from_bytes(cbor({"op": 9}) + b"\xa0").header.op == 9
    assert (FrameType.MESSAGE, FrameType.ERROR) == (1, -1)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xa0", b"abc", cbor({"t": "#commit"})])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(MessageParsingError):
        MessageFrame.from_bytes(data)
    with pytest.raises(MessageParsingError):
        parse_subscribe_repos_message(data)


def test_every_frame_cut_short_is_refused() -> None:
    data = commit(1, [("a.b.c/d", post())])
    for end in range(len(data)):
        with pytest.raises(MessageParsingError):
            parse_subscribe_repos_message(data[:end])
    with pytest.raises(TypeError):
        parse_subscribe_repos_message("text")  # type: ignore[arg-type]


def test_a_car_is_a_mapping_by_cid() -> None:
    one, raw = cbor({"a": Link(cid_of(b"z").cid)}), b"plain bytes"
    links = [cid_of(one), cid_of(raw, 0x55), cid_of(b"absent")]
    # One block stands there twice.
    data = car(links[0], [(links[0], one), (links[1], raw), (links[0], one)])
    found = CAR.from_bytes(data)
    assert found.root == str(links[0])
    assert len(found) == len(found.blocks) == 2
    assert isinstance(found.blocks, Mapping)
    for key in (str(links[0]), links[0].cid, CID.decode(str(links[0])), found.root):
        assert found.blocks[key] == found.blocks.get(key) == {"a": str(cid_of(b"z"))}
        assert key in found.blocks
    assert found.blocks[str(links[1])] == found.blocks.raw(str(links[1])) == raw
    assert found.blocks.raw(found.root) == one
    assert list(found.blocks) == list(found.blocks.keys()) == [str(link) for link in links[:2]]
    assert dict(found.blocks.items())[found.root] == {"a": str(cid_of(b"z"))}
    assert [raw] == [value for value in found.blocks.values() if isinstance(value, bytes)]
    nothing: list[Any] = [str(links[2]), "nonsense", 5, None]
    for key in nothing:
        assert key not in found.blocks and found.blocks.get(key, "other") == "other"
        with pytest.raises(KeyError):
            found.blocks[key]
    with_bytes = CAR.from_bytes(data, links_as_bytes=True)
    assert with_bytes.blocks[with_bytes.root] == {"a": cid_of(b"z").cid}
    for end in range(1, len(data)):
        try:
            assert len(CAR.from_bytes(data[:end])) < 3
        except MessageParsingError:
            pass


@pytest.mark.parametrize("count", [1, 24, 25, 500])
def test_a_car_of_many_blocks_finds_each(count: int) -> None:
    blocks = [(cid_of(cbor(number)), cbor(number)) for number in range(count)]
    found = CAR.from_bytes(car(blocks[0][0], [*blocks, *blocks]))
    assert len(found) == count
    assert [found.blocks[str(cid)] for cid, _ in blocks] == list(range(count))
    assert list(found.blocks) == [str(cid) for cid, _ in blocks]
    assert found.blocks.values() == list(range(count))
    assert found.blocks.get(str(cid_of(b"absent"))) is None


def test_a_cid_equals_its_text() -> None:
    link = cid_of(b"x")
    cid = CID.decode(link.cid)
    assert str(cid) == cid.encode() == str(link) and bytes(cid) == link.cid
    assert cid == str(link) == cid == CID.decode(str(link)) == CID(str(link))
    assert hash(cid) == hash(str(link)) and {cid: 1}[str(link)] == 1  # type: ignore[index]
    assert (cid.version, cid.codec, cid.digest) == (1, 0x71, link.cid[4:])
    assert CID.decode(cid_of(b"x", 0x55).cid).codec == 0x55
    assert cid != CID.decode(cid_of(b"y").cid) and cid != 5
    for wrong in ("", "bafy", b"", b"x" * 36, str(link).upper()):
        with pytest.raises(ValueError, match="CID"):
            CID.decode(wrong)
    with pytest.raises(TypeError):
        CID.decode(5)  # type: ignore[arg-type]
    import copy
    import pickle

    assert pickle.loads(pickle.dumps(cid)) == copy.copy(cid) == cid


def test_labels_are_iterable() -> None:
    full = wire.LABEL | {"neg": True, "cid": "bafy", "exp": "later", "sig": b"sig", "ver": 1}
    data = frame("#labels", {"seq": 4, "labels": [wire.LABEL, full]})
    with Server([[data]]) as server:
        client = FirehoseSubscribeLabelsClient(server.url)
        message = parse_subscribe_labels_message(next(client.start()))
        assert server.requests == ["/xrpc/com.atproto.label.subscribeLabels"]
        assert client.get_cursor() == 4
    found = message.labels
    assert found is not None and message.info is None and message.error is None
    assert (found.seq, len(found), list(found)) == (4, 2, found.labels)
    plain, other = found
    assert (plain.src, plain.uri, plain.val, plain.cts) == tuple(
        wire.LABEL[name] for name in ("src", "uri", "val", "cts")
    )
    assert (plain.neg, plain.cid, plain.exp, plain.sig, plain.ver) == (
        False,
        None,
        None,
        None,
        None,
    )
    assert (other.neg, other.cid, other.exp, other.sig, other.ver) == (
        True,
        "bafy",
        "later",
        b"sig",
        1,
    )


def test_all_of_it_can_be_imported_from_the_package() -> None:
    import skytide
    from skytide import firehose

    for name in firehose.__all__:
        assert getattr(skytide, name) is getattr(firehose, name)
    with pytest.raises(AttributeError):
        skytide.Nothing  # noqa: B018
