"""Frames, made by hand: a DAG-CBOR encoder of a page, CARs and CIDs, which share no code with what is tested."""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any


@dataclass(frozen=True)
class Link:
    """A CID, as its 36 bytes."""

    cid: bytes

    def __str__(self) -> str:
        return "b" + base64.b32encode(self.cid).decode().rstrip("=").lower()


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes([major << 5 | value])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << 8 * size:
            return bytes([major << 5 | info]) + value.to_bytes(size, "big")
    raise ValueError(value)


def cbor(value: Any) -> bytes:
    """DAG-CBOR of a value."""
    match value:
        case None:
            return b"\xf6"
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case bytes():
            return _head(2, len(value)) + value
        case Link():
            return b"\xd8\x2a" + cbor(b"\x00" + value.cid)
        case list():
            return _head(4, len(value)) + b"".join(map(cbor, value))
        case dict():
            keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
            return _head(5, len(value)) + b"".join(cbor(key) + cbor(value[key]) for key in keys)
    raise TypeError(value)


def cid_of(block: bytes, codec: int = 0x71) -> Link:
    return Link(bytes([1, codec, 0x12, 32]) + hashlib.sha256(block).digest())


def _varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def car(root: Link, blocks: list[tuple[Link, bytes]]) -> bytes:
    parts = [cbor({"roots": [root], "version": 1})]
    parts += [cid.cid + block for cid, block in blocks]
    return b"".join(_varint(len(part)) + part for part in parts)


def frame(t: str, body: dict[str, Any]) -> bytes:
    return cbor({"op": 1, "t": t}) + cbor(body)


def error(name: str, message: str | None = None) -> bytes:
    body = {"error": name} if message is None else {"error": name, "message": message}
    return cbor({"op": -1}) + cbor(body)


def info(name: str, message: str) -> bytes:
    return frame("#info", {"name": name, "message": message})


TIME = "2026-07-04T14:38:08.999Z"


def time_of(seq: int) -> str:
    return f"2026-07-04T14:{seq // 60 % 60:02}:{seq % 60:02}.000Z"


def identity(seq: int, did: str = "did:plc:abc") -> bytes:
    return frame("#identity", {"seq": seq, "did": did, "time": time_of(seq), "handle": "a.test"})


def bad_body(seq: int) -> bytes:
    """A frame whose header is a commit's, and whose body lacks nearly all that a commit has."""
    return frame("#commit", {"seq": seq, "time": time_of(seq)})


def post(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {
        "$type": "app.bsky.feed.post",
        "text": text,
        "createdAt": TIME,
        "langs": ["en"],
        **more,
    }


def commit(seq: int, records: list[tuple[str, dict[str, Any]]], **more: Any) -> bytes:
    """A commit that creates these records, `(path, record)`."""
    blocks = [(cid_of(cbor(record)), cbor(record)) for _, record in records]
    head = cbor({"did": "did:plc:abc", "rev": "3kabc", "version": 3})
    root = cid_of(head)
    body = {
        "seq": seq,
        "repo": "did:plc:abc",
        "rev": "3kabc",
        "since": "3kabb",
        "time": time_of(seq),
        "commit": root,
        "blocks": car(root, [(root, head), *blocks]),
        "ops": [
            {"action": "create", "path": path, "cid": cid}
            for (path, _), (cid, _) in zip(records, blocks, strict=True)
        ],
        "blobs": [],
        "rebase": False,
        "tooBig": False,
    }
    return frame("#commit", body | more)


LABEL = {
    "src": "did:plc:labeler",
    "uri": "at://did:plc:abc/app.bsky.feed.post/3k",
    "val": "spam",
    "cts": TIME,
}


def labels(seq: int, *values: str) -> bytes:
    return frame("#labels", {"seq": seq, "labels": [LABEL | {"val": value} for value in values]})


def _layer(key: str) -> int:
    bits = format(int.from_bytes(hashlib.sha256(key.encode()).digest(), "big"), "0256b")
    return (256 - len(bits.lstrip("0"))) // 2


def repository(did: str, rev: str, records: dict[str, bytes]) -> bytes:
    """An export of a repository: its commit, its tree, its records by path."""
    blocks: list[tuple[Link, bytes]] = []

    def put(block: bytes) -> Link:
        blocks.append((cid_of(block), block))
        return blocks[-1][0]

    def tree(paths: list[str], layer: int) -> Link | None:
        if not paths:
            return None
        before, left = "", None
        below: list[str] = []
        entries: list[dict[str, Any]] = []
        for path in [*paths, None]:
            if path is not None and _layer(path) < layer:
                below.append(path)
                continue
            child = tree(below, layer - 1)
            below = []
            if entries:
                entries[-1]["t"] = child
            else:
                left = child
            if path is not None:
                shared = len(commonprefix([before, path]))
                value = put(records[path])
                key = path[shared:].encode()
                entries.append({"k": key, "p": shared, "t": None, "v": value})
                before = path
        return put(cbor({"e": entries, "l": left}))

    root = tree(sorted(records), max(map(_layer, records)))
    commit = {"did": did, "version": 3, "data": root, "rev": rev, "prev": None, "sig": bytes(64)}
    return car(put(cbor(commit)), blocks)
