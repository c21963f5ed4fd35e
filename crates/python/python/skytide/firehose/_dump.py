"""Messages as data: dicts and JSON."""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import Any

from skytide._skytide import CID


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
