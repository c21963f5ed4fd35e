"""Every language test of the engine, from the same files, through the package."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from skytide import _skytide

from .language import Case, comparable, nanos_of, pieces, plain, read, shown, value_of

ROOT = Path(__file__).parents[4]
FILES = sorted((ROOT / "tests" / "language").glob("*.test"))
#: What the book shows is true.
BOOK = ROOT / "docs" / "queries.md"
CASES = [case for file in FILES for case in read(file)]
SHOWN = read(BOOK, shown(BOOK.read_text()))


def streams(case: Case) -> list[tuple[str, _skytide.Stream]]:
    """Push a case's events, one by one in the order of their arrival, into tables."""
    tables: dict[str, _skytide.Table] = {}
    sources: dict[str, _skytide.Table] = {}
    for table in case.tables:
        schema = pa.schema([*table.fields, ("(time)", pa.int64())])
        made = _skytide.Table(
            schema,
            name=table.name,
            time_column="(time)",
            hide_time=True,
            key_column=table.key,
            beside=sources.get(table.source),
        )
        sources.setdefault(table.source, made)
        tables[table.name] = made
    arrivals = [
        (row.time, row.line, table.name, row) for table in case.tables for row in table.rows
    ]
    for time, _, name, row in sorted(arrivals, key=lambda arrival: arrival[:2]):
        tables[name].add_rows({**row.values, "(time)": time})
    for each in tables.values():
        assert each.counts["misfits"] == 0
    return [(name, each.stream()) for name, each in tables.items()]


def test_there_are_cases() -> None:
    assert len(FILES) >= 6
    assert len(CASES) >= 100
    assert sum(case.error is not None for case in CASES) >= 8
    assert len(SHOWN) >= 6


@pytest.mark.parametrize("case", CASES + SHOWN, ids=lambda case: f"{case.file}:{case.line}")
def test_language(case: Case) -> None:
    given = streams(case)
    if case.error is not None:
        with pytest.raises((ValueError, TypeError)) as raised:
            _skytide.Stream.text(case.query, given)
        for piece in case.error:
            assert piece.strip() in str(raised.value)
        return
    assert case.rows is not None
    options = case.options
    times = {
        name: nanos_of(options[name])
        for name in options.keys() & {"since", "until", "changed_since", "at"}
    }
    execution = _skytide.Stream.text(case.query, given).run(
        snapshot=options.get("results") == "snapshot",
        since=times.get("since", times.get("changed_since")),
        until=times.get("until", times.get("at")),
    )
    answer = pa.table(execution.collect())
    header, *lines = case.rows
    assert pieces(header) == answer.schema.names
    expected = [
        [
            comparable(value_of(cell, field.type))
            for cell, field in zip(pieces(line), answer.schema, strict=True)
        ]
        for line in lines
    ]
    columns = [column.cast(plain(column.type)).to_pylist() for column in answer.columns]
    found = [[comparable(value) for value in row] for row in zip(*columns, strict=True)]
    assert found == expected
    status = execution.status
    assert status["overflows"] == int(options.get("overflows", 0))
    assert status["misfits"] == int(options.get("misfits", 0))
