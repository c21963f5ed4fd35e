"""What frames say: messages, operations and records, labels, CARs and CIDs."""

from __future__ import annotations

import copy
import json
import multiprocessing
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from skytide.firehose import (
    CAR,
    CID,
    Blocks,
    FirehoseSubscribeLabelsClient,
    FrameType,
    Identity,
    MessageFrame,
    MessageFrameHeader,
    MessageParsingError,
    RepoCommit,
    RepoOperation,
    SubscribeLabelsMessage,
    SubscribeReposMessage,
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
    assert (plain.neg, plain.cid, plain.exp, plain.sig, plain.ver) == (None,) * 5
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


LABELS = labels(3, "spam", "!hide")
COMMIT = commit(2, [("app.bsky.feed.post/1", post()), ("app.bsky.feed.post/2", post("b"))])
BLOCK = cbor({"a": [1]})


def _objects() -> list[Any]:
    """Return one of each kind of object that a frame comes to."""
    found: list[Any] = []
    for data in [COMMIT, *(data for data, _ in MESSAGES.values())]:
        frame = MessageFrame.from_bytes(data)
        holder = parse_subscribe_repos_message(frame)
        found += [frame, frame.header, holder]
        found += [message for name in NAMES if (message := getattr(holder, name)) is not None]
    told = parse_subscribe_labels_message(LABELS)
    assert told.labels is not None
    found += [told, told.labels, *told.labels]
    found += [parse_subscribe_repos_message(frame_of_unknown())]
    changes = parse_subscribe_repos_message(COMMIT).commit
    assert changes is not None
    found += [*changes.ops, changes.commit, CAR.from_bytes(changes.blocks)]
    return [*found, CAR.from_bytes(changes.blocks).blocks]


def frame_of_unknown() -> bytes:
    return frame("#unheard", {"seq": 1})


def _said(thing: Any) -> str:
    """What an object says of itself, with all that is in it."""
    inner = [thing]
    if isinstance(thing, RepoCommit):
        inner += [dict(thing), *thing.ops, *(op.record for op in thing.ops)]
    if isinstance(thing, RepoOperation):
        inner += [thing.record, thing.rkey]
    if isinstance(thing, MessageFrame):
        inner += [bytes(thing), thing.header]
    if isinstance(thing, CAR):
        inner += [thing.root, thing.blocks.items()]
    if isinstance(thing, Blocks):
        inner += [thing.items()]
    return repr([type(thing), *inner])


def test_all_of_it_is_copied_and_pickled() -> None:
    for thing in _objects():
        for copied in (
            copy.copy(thing),
            copy.deepcopy(thing),
            *(pickle.loads(pickle.dumps(thing, protocol)) for protocol in (2, 4, 5)),
        ):
            assert _said(copied) == _said(thing)
            if not isinstance(thing, CAR | Blocks | SubscribeReposMessage | SubscribeLabelsMessage):
                assert copied == thing
    as_bytes = CAR.from_bytes(car(cid_of(BLOCK), [(cid_of(BLOCK), BLOCK)]), links_as_bytes=True)
    assert _said(pickle.loads(pickle.dumps(as_bytes))) == _said(as_bytes)
    # Whatever its header looks like, a frame keeps its bytes.
    odd = cbor({"t": "#info", "op": 1}) + cbor({"name": "x"})
    assert bytes(pickle.loads(pickle.dumps(MessageFrame.from_bytes(odd)))) == odd


def test_messages_are_equal_by_their_fields() -> None:
    records = [("app.bsky.feed.post/1", post("a")), ("app.bsky.feed.post/2", post("b"))]
    one, same, other = (
        parse_subscribe_repos_message(commit(seq, records)).commit for seq in (1, 1, 2)
    )
    assert one is not None and same is not None and other is not None
    assert one == same != other and one != 1 and one.ops == same.ops == other.ops
    assert one.ops[0] != one.ops[1] and one.ops[0] in other.ops
    few, same_few, many = (
        parse_subscribe_labels_message(wire.labels(1, *values)).labels
        for values in (["a"], ["a"], ["a", "b"])
    )
    assert few is not None and many is not None
    assert few == same_few != many and few != 1 and few.labels[0] == many.labels[0]
    for unhashable in (one, one.ops[0], few, few.labels[0]):
        with pytest.raises(TypeError, match="unhashable"):
            hash(unhashable)


def _parse(frames: Any, found: Any) -> None:
    """Read frames until there are no more: what the other process does."""
    while (frame := frames.get(timeout=30)) is not None:
        changes = parse_subscribe_repos_message(frame).commit
        assert changes is not None
        found.put((changes, changes.ops[1]))


@pytest.mark.parametrize("way", ["spawn", "fork"])
def test_frames_go_to_another_process_and_messages_come_back(way: str) -> None:
    context: Any = multiprocessing.get_context(way)
    frames, found = context.Queue(), context.Queue()
    process = context.Process(target=_parse, args=(frames, found), daemon=True)
    process.start()
    for _ in range(3):
        frames.put(MessageFrame.from_bytes(COMMIT))
    frames.put(None)
    for _ in range(3):
        changes, op = found.get(timeout=30)
        assert [it.record["text"] for it in changes.ops] == ["hello", "b"]
        assert (op.path, op.record["text"]) == ("app.bsky.feed.post/2", "b")
    process.join(30)
    assert process.exitcode == 0


def test_messages_are_written_as_data() -> None:
    changes = parse_subscribe_repos_message(COMMIT).commit
    assert changes is not None
    dumped = changes.model_dump()
    assert list(dumped) == list(dict(changes))
    assert dumped["commit"] == str(changes.commit) and type(dumped["commit"]) is str
    assert dumped["ops"][0] == {
        "action": "create",
        "path": "app.bsky.feed.post/1",
        "cid": str(changes.ops[0].cid),
        "prev": None,
        "py_type": "com.atproto.sync.subscribeRepos#repoOp",
    }
    wired = json.loads(changes.model_dump_json(exclude_none=True, by_alias=True))
    assert wired["tooBig"] is False and "prev" not in wired["ops"][0]
    assert wired["$type"] == "com.atproto.sync.subscribeRepos#commit"
    assert list(wired["blocks"]) == ["$bytes"]
    told = parse_subscribe_labels_message(LABELS).labels
    assert told is not None
    assert [label["val"] for label in told.model_dump()["labels"]] == ["spam", "!hide"]
    assert Identity(1, "d", "t", None) == Identity(seq=1, did="d", time="t", handle=None)
    assert Identity(1, "d", "t", None).model_dump(exclude_none=True) == {
        "seq": 1,
        "did": "d",
        "time": "t",
        "py_type": "com.atproto.sync.subscribeRepos#identity",
    }
    with pytest.raises(IndexError, match="no operation 2 of 2"):
        RepoOperation(changes, 2)
    with pytest.raises(TypeError, match="a message, not int"):
        SubscribeReposMessage(5)


def test_a_cid_has_its_hash() -> None:
    of = CID.decode(cid_of(BLOCK).cid)
    assert (of.hash.code, of.hash.size, of.hash.digest) == (0x12, 32, of.digest)
