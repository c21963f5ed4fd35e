"""Reads language tests: events in, a query, the rows that come out or the error. The format is that of the Rust test kit."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

#: Midnight of 2026-01-01, the day that short times mean.
DAY = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


@dataclass
class Row:
    """A row as written down."""

    line: int
    time: int
    values: dict[str, Any]


@dataclass
class Table:
    """A stream with its rows."""

    name: str
    source: str
    key: str
    fields: list[tuple[str, pa.DataType]]
    rows: list[Row] = field(default_factory=list)


@dataclass
class Case:
    """A query with what it should give."""

    file: str
    line: int
    tables: list[Table]
    query: str
    options: dict[str, str]
    rows: list[str] | None
    error: list[str] | None


def pieces(text: str) -> list[str]:
    """Split at the commas that stand in no quotes and no brackets."""
    if not text.strip():
        return []
    found, start, depth, quoted, escaped = [], 0, 0, False, False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = char == "\\", char != '"'
        elif char == '"':
            quoted = True
        elif char in "[{<":
            depth += 1
        elif char in "]}>":
            depth -= 1
        elif char == "," and depth == 0:
            found.append(text[start:at].strip())
            start = at + 1
    assert depth == 0 and not quoted, text
    return [*found, text[start:].strip()]


def type_of(text: str) -> pa.DataType:
    """Read a type."""
    text = text.strip()
    simple = {
        "bool": pa.bool_(),
        "i8": pa.int8(),
        "i16": pa.int16(),
        "i32": pa.int32(),
        "i64": pa.int64(),
        "u8": pa.uint8(),
        "u16": pa.uint16(),
        "u32": pa.uint32(),
        "u64": pa.uint64(),
        "f32": pa.float32(),
        "f64": pa.float64(),
        "utf8": pa.string(),
        "binary": pa.binary(),
        "timestamp": pa.timestamp("ns", "UTC"),
        "duration": pa.duration("ns"),
    }
    if text in simple:
        return simple[text]
    inside = text[text.index("<") + 1 : -1]
    if text.startswith("list<"):
        return pa.list_(type_of(inside))
    if text.startswith("map<"):
        key, item = pieces(inside)
        return pa.map_(type_of(key), type_of(item))
    assert text.startswith("struct<"), text
    return pa.struct([field_of(piece) for piece in pieces(inside)])


def field_of(text: str) -> tuple[str, pa.DataType]:
    """Read ``name: type``."""
    name, _, of = text.partition(":")
    return name.strip(), type_of(of)


def nanos_of(text: str) -> int:
    """Read a moment, short or in full, as nanoseconds."""
    clock, _, fraction = text.removesuffix("Z").partition(".")
    nanos = int(fraction.ljust(9, "0")) if fraction else 0
    if "T" in clock:
        moment = datetime.fromisoformat(clock).replace(tzinfo=UTC)
        return int(moment.timestamp()) * 1_000_000_000 + nanos
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return DAY + (hours * 3_600 + minutes * 60 + seconds) * 1_000_000_000 + nanos


def length_of(text: str) -> int:
    """Read a length of time as nanoseconds: ``1h 30m``, ``-250ms``, ``2ns ago``."""
    sign, total, number = 1, 0, ""
    text = text.replace(" ", "")
    if text.startswith("-") or text.endswith("ago"):
        sign, text = -1, text.removeprefix("-").removesuffix("ago")
    at = 0
    while at < len(text):
        if text[at].isdigit() or text[at] == ".":
            number += text[at]
            at += 1
            continue
        unit = ""
        while at < len(text) and text[at].isalpha():
            unit += text[at]
            at += 1
        scale = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000}.get(unit)
        total += round(float(number) * (scale or UNITS[unit[0]] * 1_000_000_000))
        number = ""
    assert not number, text
    return sign * total


def value_of(text: str, of: pa.DataType) -> Any:
    """Read a cell: moments and lengths of time are nanoseconds."""
    text = text.strip()
    if text in ("", "null"):
        return None
    if pa.types.is_boolean(of):
        return {"true": True, "false": False}[text]
    if pa.types.is_integer(of):
        return int(text)
    if pa.types.is_floating(of):
        return pa.scalar(float(text), of).as_py()
    if pa.types.is_string(of):
        return json.loads(text) if text.startswith('"') else text
    if pa.types.is_binary(of):
        return bytes.fromhex(text.removeprefix("0x"))
    if pa.types.is_timestamp(of):
        return nanos_of(text)
    if pa.types.is_duration(of):
        return length_of(text)
    if pa.types.is_list(of):
        return [value_of(piece, of.value_type) for piece in pieces(text[1:-1])]
    if pa.types.is_map(of):
        entries = [piece.partition(":") for piece in pieces(text[1:-1]) if piece]
        return [
            (value_of(key, of.key_type), value_of(item, of.item_type)) for key, _, item in entries
        ]
    given = {}
    for piece in pieces(text[1:-1]):
        name, _, value = piece.partition(":")
        given[name.strip()] = value
    return {one.name: value_of(given.get(one.name, ""), one.type) for one in of}


def comparable(value: Any) -> Any:
    """Return a value such that equal ones are equal, NaN too."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else (value, math.copysign(1, value))
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return {name: comparable(item) for name, item in value.items()}
    return value


def plain(of: pa.DataType) -> pa.DataType:
    """Return a type whose moments and lengths of time are whole numbers."""
    if pa.types.is_timestamp(of) or pa.types.is_duration(of):
        return pa.int64()
    if pa.types.is_list(of):
        return pa.list_(plain(of.value_type))
    if pa.types.is_map(of):
        return pa.map_(plain(of.key_type), plain(of.item_type))
    if pa.types.is_struct(of):
        return pa.struct([(one.name, plain(one.type)) for one in of])
    return of


def shown(book: str) -> str:
    """Return a book with nothing but the tests in it: blocks that are set in and begin as those of a test file."""
    blocks = book.split("\n\n")
    kept = [one.startswith(("    events ", "    query\n", "    query ")) for one in blocks]
    # Lines keep their numbers.
    empty = ["\n" * one.count("\n") for one in blocks]
    return "\n\n".join(
        one if keep else none for one, keep, none in zip(blocks, kept, empty, strict=True)
    )


def read(path: Path, text: str | None = None) -> list[Case]:
    """Read a test file, or a text of it."""
    lines = (path.read_text() if text is None else text).splitlines()
    cases: list[Case] = []
    tables: list[Table] = []
    asked, at = False, 0
    while at < len(lines):
        line = lines[at].strip()
        if not line or line.startswith("#"):
            at += 1
            continue
        end = at
        while end < len(lines) and lines[end].strip():
            end += 1
        if line.startswith("events"):
            if asked:
                tables, asked = [], False
            read_table(tables, lines, at, end)
        else:
            assert line.startswith("query"), f"{path.name}:{at + 1}: {line}"
            asked = True
            cases.append(read_case(path, list(tables), lines, at, end))
        at = end
    return cases


def read_table(tables: list[Table], lines: list[str], at: int, end: int) -> None:
    """Read a block of events."""
    _, name, *words = lines[at].split()
    options = dict(word.split("=", 1) for word in words if word.startswith(("key=", "source=")))
    if "key" in options:
        fields = [field_of(word) for word in words if not word.startswith(("key=", "source="))]
        tables.append(Table(name, options.get("source", name), options["key"], fields))
    table = next(table for table in tables if table.name == name)
    for line in range(at + 1, end):
        time, *cells = pieces(lines[line])
        assert len(cells) == len(table.fields), lines[line]
        values = {
            column: value_of(cell, of)
            for cell, (column, of) in zip(cells, table.fields, strict=True)
        }
        table.rows.append(Row(line, nanos_of(time), values))


def read_case(path: Path, tables: list[Table], lines: list[str], at: int, end: int) -> Case:
    """Read a block of a query."""
    options = dict(word.split("=", 1) for word in lines[at].split()[1:])
    body = lines[at + 1 : end]
    split = next((n for n, line in enumerate(body) if line.strip() in ("----", "error")), len(body))
    is_error = body[split].strip() == "error"
    query, rest = "\n".join(body[:split]), body[split + 1 :]
    copied = [Table(t.name, t.source, t.key, t.fields, list(t.rows)) for t in tables]
    return Case(
        path.name,
        at + 1,
        copied,
        query,
        options,
        None if is_error else rest,
        rest if is_error else None,
    )
