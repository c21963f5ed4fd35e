"""Values between Python and columns: what is pushed for a type, what rows give back."""

from __future__ import annotations

import tracemalloc
from collections import deque
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import skytide as kd

from .answers import results

KEYS: Any = {"time_column": "t", "key_column": "k", "time_unit": "s"}
NOTHING = {"misfits": 0, "untimed": 0, "unknown": 0}

#: A type, what is pushed for it, and what rows give.
OF_A_TYPE: list[tuple[pa.DataType, Any, Any]] = [
    (pa.time32("s"), time(9, 30), time(9, 30)),
    (pa.time64("us"), time(9, 30, 15, 7), time(9, 30, 15, 7)),
    (pa.time64("ns"), time(23, 59, 59, 999_999), time(23, 59, 59, 999_999)),
    (pa.list_(pa.float32(), 2), [1.0, 2.5], [1.0, 2.5]),
    (pa.list_(pa.list_view(pa.large_string()), 1), [["a"]], [["a"]]),
    (pa.map_(pa.string(), pa.int64()), {"a": 1, "b": None}, {"a": 1, "b": None}),
    (pa.map_(pa.int64(), pa.string()), {1: "x"}, {1: "x"}),
    (pa.map_(pa.string(), pa.int64()), [("a", 1), ("a", 2)], [("a", 1), ("a", 2)]),
    (pa.map_(pa.list_(pa.int8()), pa.int8()), [([1], 2)], [([1], 2)]),
    (pa.binary(2), b"ab", b"ab"),
    (pa.binary(), bytearray(b"ab"), b"ab"),
    (pa.large_binary(), memoryview(b"ab"), b"ab"),
    (pa.date64(), date(2026, 1, 2), date(2026, 1, 2)),
    (pa.decimal32(9, 2), Decimal("-1.5"), Decimal("-1.50")),
    (pa.decimal64(18, 2), 3, Decimal("3.00")),
    (pa.decimal128(38, 0), 2**100, Decimal(2**100)),
    (pa.decimal256(76, 1), Decimal("1" * 40 + ".5"), Decimal("1" * 40 + ".5")),
    (pa.month_day_nano_interval(), pa.MonthDayNano([1, 2, 3]), (1, 2, 3)),
    (pa.float64(), 2**70, float(2**70)),
]


@pytest.mark.parametrize(("of", "given", "expected"), OF_A_TYPE)
def test_a_column_of_a_schema_takes_what_pyarrow_takes(
    of: pa.DataType, given: Any, expected: Any
) -> None:
    schema = pa.schema([("t", pa.int64()), ("k", pa.string()), ("x", of)])
    source = kd.sources.PyDict({"t": 1, "k": "A", "x": given}, schema=schema, **KEYS)
    assert source.counts == {"rows": 1, **NOTHING}
    assert results(source["x"]) == [expected]
    # Alone, in a record, and gathered.
    inside = kd.record({"y": kd.record({"x": source["x"]})})
    assert [row["y"] for row in inside.to_rows()] == [{"x": expected}]
    assert results(source["x"].collect(max=1)) == [[expected]]
    assert [row["x"] for row in source.run_iter("row")] == [expected]


def test_json_lines_are_of_a_schema_too() -> None:
    columns = {
        "at": pa.time64("us"),
        "e": pa.list_(pa.float32(), 2),
        "m": pa.map_(pa.string(), pa.int64()),
        "f": pa.binary(2),
        "d": pa.date64(),
        "p": pa.decimal256(50, 2),
    }
    schema = pa.schema([("t", pa.int64()), ("k", pa.string()), *columns.items()])
    line = '{"t": 1, "k": "A", "at": "09:30", "e": [1, 2], "m": {"a": 1}, "f": "ab", "d": "2026-01-02", "p": "1.5"}'
    source = kd.sources.JsonlString(line, schema=schema, **KEYS)
    assert source.counts == {"rows": 1, **NOTHING}
    row = source.to_rows()[0]
    assert [row[name] for name in columns] == [
        time(9, 30),
        [1.0, 2.0],
        {"a": 1},
        b"ab",
        date(2026, 1, 2),
        Decimal("1.50"),
    ]


def test_what_does_not_fit_such_a_column_is_null_and_counted() -> None:
    schema = pa.schema(
        [("t", pa.int64()), ("k", pa.string()), ("e", pa.list_(pa.int8(), 2)), ("f", pa.binary(2))]
    )
    rows = [{"t": 1, "k": "A", "e": [1], "f": b"abc"}, {"t": 2, "k": "A", "e": [1, 300]}]
    source = kd.sources.PyDict(rows, schema=schema, **KEYS)
    assert source.counts == {"rows": 2, **NOTHING, "misfits": 2}
    # Lists of one length are lists.
    assert [(row["e"], row["f"]) for row in source.to_rows()] == [([1], None), ([1, None], None)]


@pytest.mark.parametrize(
    "given",
    [
        pd.Series([1, 2]),
        pd.array([1, 2]),
        pd.Index([1, 2]),
        pd.Categorical([1, 2]),
        pl.Series([1, 2]),
        pa.array([1, 2]),
        pa.chunked_array([[1], [2]]),
        pa.scalar([1, 2]),
        np.array([1, 2]),
        deque([1, 2]),
        range(1, 3),
    ],
)
def test_sequences_of_every_library_are_lists(given: Any) -> None:
    source = kd.sources.PyDict({"t": 1, "k": "A", "x": given}, **KEYS)
    assert source.counts == {"rows": 1, **NOTHING}
    assert results(source["x"]) == [[1, 2]]


def test_no_value_vanishes_uncounted() -> None:
    row: Any = {"t": 1, "k": "A", "x": {1: 2, "b": 3}, 5: 6}
    source = kd.sources.PyDict(row, **KEYS)
    assert source.counts == {"rows": 1, **NOTHING, "unknown": 2}
    assert [row["x"] for row in source.to_rows()] == [{"b": 3}]
    # Fields that records of the column do not have; None is no value.
    source.add_rows({"t": 2, "k": "A", "x": {"b": 4, "c": 5, "d": None}})
    assert source.counts == {"rows": 2, **NOTHING, "unknown": 3}
    # A key that is no text is not the field whose name it looks like.
    digits = kd.sources.PyDict({"t": 1, "k": "A", "x": {"1": 2}}, **KEYS)
    digits.add_rows({"t": 2, "k": "A", "x": {1: 3}})
    assert digits.counts == {"rows": 2, **NOTHING, "misfits": 1}
    assert kd.sources.PyDict({"t": 1, "k": "A", "x": {1, 2}}, **KEYS).counts["misfits"] == 1


def test_values_without_a_schema_have_types() -> None:
    source = kd.sources.PyDict({"t": 1, "k": "A", "at": time(9, 30), "big": 2**70}, **KEYS)
    row = source.to_rows()[0]
    assert (row["at"], row["big"]) == (time(9, 30), float(2**70))


def test_rows_give_what_columns_of_arrow_hold() -> None:
    table = pa.table(
        {
            "t": [1],
            "k": pa.array([b"ab"], pa.binary(2)),
            "d": pa.array([date(2026, 1, 2)], pa.date64()),
            "i": pa.array([pa.MonthDayNano([1, 2, 3])]),
            "r": pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array(["a"])),
            "h": pa.array([1.5], pa.float16()),
        }
    )
    row = kd.sources.Arrow(table, **KEYS).to_rows()[0]
    assert row == {
        "_time": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        "_key": b"ab",
        "t": 1,
        "k": b"ab",
        "d": date(2026, 1, 2),
        "i": (1, 2, 3),
        "r": "a",
        "h": 1.5,
    }


@pytest.mark.parametrize(
    ("of", "value"),
    [
        (pa.list_(pa.int64()), list(range(1000, 2000))),
        (pa.list_(pa.int64(), 1000), list(range(1000, 2000))),
        (pa.map_(pa.int64(), pa.int64()), [(key, 1) for key in range(1000, 2000)]),
    ],
)
def test_a_row_of_many_costs_itself_alone(of: pa.DataType, value: Any) -> None:
    columns = {"t": range(200), "k": ["A"] * 200, "x": pa.array([value] * 200, of)}
    running = kd.sources.Arrow(pa.table(columns), **KEYS).run_iter("row", max_batch_size=1)
    expected = dict(value) if isinstance(of, pa.MapType) else value
    assert next(running)["x"] == expected
    tracemalloc.start()
    try:
        rows = [next(running) for _ in range(2)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [one["x"] for one in rows] == [expected] * 2
    # A thousand numbers of 32 bytes, in a list or a dict; not those of 200 rows.
    assert peak < 500_000


def test_decimals_have_hashes_and_are_keys() -> None:
    rows = [{"t": at, "k": "A", "p": Decimal(at) / 4} for at in range(1, 9)]
    source = kd.sources.PyDict(rows, **KEYS)
    hashes = results(source["p"].hash())
    assert len(set(hashes)) == len(rows) and 0 not in hashes
    assert len(set(results(kd.record({"p": source["p"]}).hash()))) == len(rows)
    counts = source.with_key(source["p"]).count()
    assert {row["_key"] for row in counts.to_rows()} == {row["p"] for row in rows}


def test_columns_of_polars_that_arrow_does_not_have() -> None:
    frame = pl.DataFrame({"t": [1], "k": ["A"], "x": [None], "l": [[]], "s": [{"a": None}]})
    source = kd.sources.Arrow(frame, **KEYS)
    source.add_data(frame)
    row = source.to_rows()[1]
    assert (row["x"], row["l"], row["s"]) == (None, [], {"a": None})
    wide = pl.DataFrame({"t": [1], "k": ["A"], "x": pl.Series([1], dtype=pl.Int128)})
    with pytest.raises(ValueError, match="column 'x' is Int128"):
        kd.sources.Arrow(wide, **KEYS)


#: Records and lists that begin late wherever a slice is taken of them, and those in them that do so by themselves.
LATE = pa.array([{"c": {"d": at, "e": [{"f": {"g": at}}]}} for at in range(-1, 6)])[1:]
NESTED: dict[str, pa.Array] = {
    "records": LATE,
    "pairs": pa.FixedSizeListArray.from_arrays(LATE, 2),
    "lists": pa.ListArray.from_arrays(pa.array([0, 2, 2, 5]), LATE),
    "maps": pa.MapArray.from_arrays(pa.array([0, 1, 2, 4]), pa.array(list("abcd")), LATE[:4]),
    "held": pa.StructArray.from_arrays([LATE, pa.array(range(6))], ["late", "plain"]),
}


@pytest.mark.parametrize("kind", NESTED)
def test_slices_of_records_within_records_are_their_rows(kind: str) -> None:
    values = NESTED[kind]
    table = pa.table({"t": range(len(values)), "k": ["A"] * len(values), "x": values})
    frame = pd.DataFrame({"t": range(len(values)), "k": "A"})
    frame["x"] = pd.Series(values, dtype=pd.ArrowDtype(values.type))
    expected = values.to_pylist(maps_as_pydicts="strict")

    def held(source: kd.Timestream) -> list[Any]:
        return [row["x"] for row in kd.record({"x": source.col("x")}).to_rows()]

    given: list[tuple[Any, Any]] = [
        (kd.sources.Arrow, table.slice(1)),
        (kd.sources.Arrow, table.slice(1).to_batches()[0]),
        (kd.sources.Arrow, table.slice(1).to_reader()),
        (kd.sources.Arrow, pa.concat_tables([table.slice(1, 1), table.slice(2)])),
        (kd.sources.Pandas, frame.iloc[1:]),
        (kd.sources.Arrow, frame.iloc[1:]),
    ]
    for source, rows in given:
        assert held(source(rows, **KEYS)) == expected[1:], type(rows)
    pushed = kd.sources.Arrow(schema=table.schema, **KEYS)
    for batch in table.to_batches(max_chunksize=2):
        pushed.add_data(batch)
    alone = kd.sources.Arrow(schema=table.schema, **KEYS)
    alone.add_data(table.slice(2).to_struct_array().chunk(0))
    # A column that the table does not have begins late, too.
    flat = kd.sources.Arrow(schema=table.schema.remove(2), **KEYS)
    flat.add_data(table.slice(1))
    flat.add_data(frame.iloc[1:])
    assert (held(pushed), held(alone)) == (expected, expected[2:])
    assert flat.counts["rows"] == 2 * len(values) - 2

    @kd.udf("cut<T: any>(x: T) -> T", arrow=True)
    def cut(x: pa.Array) -> pa.Array:
        return pa.concat_arrays([x[:1], x])[1:]

    assert held(kd.record({"x": cut(pushed.col("x"))})) == held(pushed)


def test_a_column_without_values_is_text() -> None:
    empty = pd.DataFrame({"t": pd.Series([], dtype="int64"), "k": [], "x": []}).astype(
        {"k": object, "x": object}
    )
    sources: list[Any] = [
        kd.sources.Pandas(empty, **KEYS),
        kd.sources.Arrow(
            pa.table({"t": pa.array([], pa.int64()), "k": pa.nulls(0), "x": pa.nulls(0)}), **KEYS
        ),
    ]
    for source in sources:
        source.add_data(pd.DataFrame({"t": [1], "k": ["A"], "x": ["y"]}))
        # A number is no text, as in a row of a dict.
        source.add_data(pa.table({"t": [2], "k": ["B"], "x": [5]}))
        assert source.counts == {"rows": 2, **NOTHING, "misfits": 1}
        assert [(row["_key"], row["x"]) for row in source.to_rows()] == [("A", "y"), ("B", None)]
