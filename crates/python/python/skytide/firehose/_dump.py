"""Messages as data, and made of data: dicts and JSON."""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import Any

from skytide._skytide import CID, MessageFrame, MessageFrameHeader, encode, parse_message
from skytide.firehose._errors import MessageParsingError

# What is a link on the wire, and may be the bytes or the text of its CID in data.
_LINKS = ("blobs", "cid", "commit", "prev", "prevData")
# What may be null on the wire.
_NULLS = ("cid", "since")


@lru_cache(4096)
def camel(name: str) -> str:
    """`created_at` as `createdAt`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _plain(value: Any, exclude_none: bool, by_alias: bool) -> Any:
    """A value of a message without messages and CIDs in it."""
    if isinstance(value, list):
        return [_plain(item, exclude_none, by_alias) for item in value]
    if isinstance(value, CID):
        return str(value)
    return dump(value, exclude_none, by_alias) if hasattr(value, "py_type") else value


def dump(message: Any, exclude_none: bool, by_alias: bool) -> dict[str, Any]:
    """A message's fields, by the wire's names or by those of Python."""
    dumped = {}
    for name, value in dict(message).items():
        if exclude_none and value is None:
            continue
        if by_alias:
            name = "$type" if name == "py_type" else camel(name)
        dumped[name] = _plain(value, exclude_none, by_alias)
    return dumped


def form(value: Any) -> Any:
    """What JSON has no form of, as the AT Protocol writes it."""
    match value:
        case CID():
            return {"$link": str(value)}
        case bytes():
            return {"$bytes": base64.b64encode(value).decode().rstrip("=")}
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def text(data: Any) -> str:
    """Data as JSON."""
    return json.dumps(data, default=form, ensure_ascii=False, separators=(",", ":"))


def dump_json(message: Any, exclude_none: bool, by_alias: bool) -> str:
    """The fields of a message as JSON."""
    return text(dump(message, exclude_none, by_alias))


def _wired(data: dict[str, Any], links: tuple[str, ...]) -> dict[str, Any]:
    """Data by the names of the wire, with its links."""
    wired: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(name, str) and camel(name) not in data:
            name = camel(name)
        if isinstance(value, list):
            items = [_wired(item, links) if isinstance(item, dict) else item for item in value]
            wired[name] = [_link(item) for item in items] if name in links else items
        elif value is not None:
            wired[name] = _link(value) if name in links else value
        elif name in _NULLS:
            wired[name] = None
    return wired


def _link(value: Any) -> CID:
    try:
        return CID.decode(value)
    except (TypeError, ValueError) as error:
        raise MessageParsingError(str(error)) from error


def load(of: str, data: Any) -> Any:
    """The message of a type, of its fields by the wire's names or by those of Python.

    Raises:
        MessageParsingError: They are not its fields.
    """
    if not isinstance(data, dict):
        raise MessageParsingError(f"{of} of {type(data).__name__}")
    lexicon, _, kind = of.partition("#")
    if kind == "label":
        labels = load("com.atproto.label.subscribeLabels#labels", {"seq": 0, "labels": [data]})
        return labels[0]
    header = MessageFrameHeader(t=f"#{kind}") if kind else MessageFrameHeader(op=-1)
    body = encode(_wired(data, _LINKS if kind == "commit" else ()))
    frame = MessageFrame(header, body)
    return parse_message(frame, of_labels=lexicon.startswith("com.atproto.label"))
