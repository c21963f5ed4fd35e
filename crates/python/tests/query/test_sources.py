"""Tables: how they are made and filled."""

from __future__ import annotations

import asyncio
import csv
from collections import UserDict, deque
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO, StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skytide as kd

CSV = "t,k,x\n2026-01-01T00:00:01Z,A,1\n2026-01-01T00:00:02Z,B,\n2026-01-01T00:00:03Z,A,5\n"
JSON = '{"t": 1, "k": "A", "x": 1}\n{"t": 2, "k": "B"}\n{"t": 3, "k": "A", "x": 5}\n'
ROWS = [{"t": 1, "k": "A", "x": 1}, {"t": 2, "k": "B", "x": None}, {"t": 3, "k": "A", "x": 5}]
KEYS: Any = {"time_column": "t", "key_column": "k", "time_unit": "s"}


def sums(source: kd.Timestream) -> list[object]:
    return [row["result"] for row in source.col("x").sum().to_rows()]


def test_every_source_is_made_with_its_data_and_takes_more(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS).astype({"x": "Int64"})
    json_file, parquet_file = tmp_path / "rows.jsonl", tmp_path / "rows.parquet"
    json_file.write_text(JSON)
    pq.write_table(pa.Table.from_pylist(ROWS), parquet_file)
    cases: list[tuple[Any, Any, str]] = [
        (kd.sources.PyDict, ROWS, "add_rows"),
        (kd.sources.Pandas, frame, "add_data"),
        (kd.sources.CsvString, CSV, "add_string"),
        (kd.sources.CsvString, BytesIO(CSV.encode()), "add_string"),
        (kd.sources.JsonlString, JSON, "add_string"),
        (kd.sources.JsonlFile, json_file, "add_file"),
        (kd.sources.Parquet, str(parquet_file), "add_file"),
        (kd.sources.Arrow, pa.Table.from_pylist(ROWS), "add_data"),
        (kd.sources.Arrow, pl.DataFrame(ROWS), "add_data"),
    ]
    for source, data, add in cases:
        made = source(data, **KEYS)
        assert sums(made) == [1, None, 6], source
        # Of the same times: they stand after those that were there.
        assert asyncio.run(push(made, add, data)) is None
        assert sums(made) == [1, 2, None, None, 7, 12], source
        created = asyncio.run(source.create(data, **KEYS))
        assert isinstance(created, source) and sums(created) == [1, None, 6]
        with pytest.raises(ValueError, match="schema or"):
            source(**KEYS)


class Row(UserDict[str, Any]):
    """A mapping that is no dict."""


def test_rows_are_read_from_what_gives_them_once() -> None:
    given: list[Any] = [
        (row for row in ROWS),
        map(dict, ROWS),
        deque(ROWS),
        dict(enumerate(ROWS)).values(),
        csv.DictReader(StringIO("t,k,x\n1,A,1\n2,B,\n3,A,5\n")),
    ]
    for rows in given:
        assert kd.sources.PyDict(rows, **KEYS).counts["rows"] == 3, rows
    assert sums(kd.sources.PyDict((row for row in ROWS), **KEYS)) == [1, None, 6]


def test_any_mapping_is_a_row() -> None:
    for one in (Row(ROWS[0]), MappingProxyType(ROWS[0])):
        made = kd.sources.PyDict(one, **KEYS)
        made.add_rows([one, ROWS[1]])
        made.add_rows(one)
        assert sums(made) == [1, 2, 3, None]
    wrong: Any = [1]
    with pytest.raises(TypeError, match="a row is a dict, not int"):
        kd.sources.PyDict(wrong, **KEYS)
    frame: Any = pd.DataFrame(ROWS)
    with pytest.raises(TypeError, match="rows are dicts: a DataFrame is taken by Arrow or Pandas"):
        kd.sources.PyDict(frame, **KEYS)


def test_what_has_no_columns_is_named_and_helped() -> None:
    frame = pl.DataFrame(ROWS)
    series: Any = pd.DataFrame(ROWS)["x"]
    good = kd.sources.Arrow(frame, **KEYS)
    for source, wrong, name in [
        (kd.sources.Pandas, series, "pandas.*Series"),
        (kd.sources.Arrow, frame["x"], "polars.*Series"),
        (kd.sources.Arrow, frame.lazy(), "polars.*LazyFrame"),
        (kd.sources.Arrow, 5, "int"),
    ]:
        with pytest.raises(TypeError, match=rf"{name} has no columns: .* `\.collect\(\)`"):
            source(wrong, **KEYS)
        with pytest.raises(TypeError, match=f"{name} has no columns"):
            good.add_data(wrong)


def test_a_text_of_bytes_is_read_from_where_it_stands() -> None:
    text = BytesIO(b"# of ours\n" + CSV.encode())
    text.readline()
    assert sums(kd.sources.CsvString(text, **KEYS)) == [1, None, 6]


def test_lateness_is_a_length_of_time_or_seconds() -> None:
    lengths: list[Any] = [2, 2.0, np.float64(2), timedelta(seconds=2), np.timedelta64(2000, "ms")]
    for lateness in lengths:
        source = kd.sources.PyDict(schema={"t": "i64", "k": "utf8"}, lateness=lateness, **KEYS)
        running = source.col("t").run_iter("row", mode="live")
        source.add_rows([{"t": at, "k": "A"} for at in (1, 2, 3, 4)])
        assert next(running)["result"] == 1
        running.stop()
        assert source.counts["rows"] == 4


async def push(source: Any, add: str, data: object) -> None:
    await getattr(source, add)(data)


def test_every_kind_of_value_is_taken() -> None:
    schema = pa.schema(
        [
            ("t", pa.timestamp("us")),
            ("k", pa.uint64()),
            ("f", pa.float32()),
            ("b", pa.binary()),
            ("day", pa.date32()),
            ("len", pa.duration("ms")),
            ("deep", pa.struct([("l", pa.list_(pa.struct([("x", pa.int8())])))])),
            ("large", pa.large_string()),
        ]
    )
    source = kd.sources.PyDict(schema=schema, time_column="t", key_column="k")
    at = datetime(2026, 7, 4, 1, 2, 3, 456_789)
    source.add_rows(
        {
            "t": at,
            "k": 2**64 - 1,
            "f": 1,
            "b": b"\x00\xff",
            "day": date(2026, 7, 4),
            "len": timedelta(milliseconds=5),
            "deep": {"l": ({"x": 1}, None, {"x": 300})},
            "large": "text",
            "more": object(),
        }
    )
    assert source.counts == {"rows": 1, "misfits": 1, "untimed": 0, "unknown": 1}
    assert source.to_rows() == [
        {
            "_time": at.replace(tzinfo=UTC),
            "_key": 2**64 - 1,
            "t": at,
            "k": 2**64 - 1,
            "f": 1.0,
            "b": b"\x00\xff",
            "day": date(2026, 7, 4),
            "len": timedelta(milliseconds=5),
            "deep": {"l": [{"x": 1}, None, {"x": None}]},
            "large": "text",
        }
    ]


def test_what_does_not_fit_is_null_and_counted() -> None:
    source = kd.sources.PyDict(schema={"t": "f64", "k": "utf8", "x": "i64"}, **KEYS)
    source.add_rows([{"t": 0.5, "k": "A", "x": "no"}, {"t": "soon", "x": 1}, {"k": "A", "x": {1}}])
    assert [(row["k"], row["x"]) for row in source.to_rows()] == [("A", None)]
    assert source.counts == {"rows": 3, "misfits": 3, "untimed": 2, "unknown": 0}
    with pytest.raises(TypeError, match="a row is a dict"):
        source.add_rows([1])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="line 2"):
        kd.sources.JsonlString(JSON, **KEYS).add_string("{}\nno")


def test_half_of_a_surrogate_pair_is_refused_wherever_it_is() -> None:
    good = {"t": 1, "k": "A", "x": {"y": ["fine"]}}
    source = kd.sources.PyDict([good], **KEYS)
    wrong: list[tuple[str, Any]] = [
        ("'k'", {"t": 1, "k": "a\ud83d"}),
        ("'x'", {"t": 1, "k": "A", "x": {"y": ["a\ud83d"]}}),
        ("'x'", {"t": 1, "k": "A", "x": {"y\ud83d": 1}}),
        (r"'more\\ud83d'", {"t": 1, "k": "A", "more\ud83d": 1}),
    ]
    for column, row in wrong:
        told = rf"^row 2, column {column}: .*'\\ud83d'.*surrogates not allowed"
        with pytest.raises(ValueError, match=told):
            kd.sources.PyDict([good, row], **KEYS)
        with pytest.raises(ValueError, match=told):
            source.add_rows([good, row])
    with pytest.raises(ValueError, match="^row 1, column 'k': "):
        source.add_rows({"t": 1, "k": "\udc00"})
    # None of the rows that stood before it was taken, either.
    assert source.counts == {"rows": 1, "misfits": 0, "untimed": 0, "unknown": 0}
    with pytest.raises(ValueError, match="line 2"):
        kd.sources.JsonlString('{"t": 1, "k": "A"}\n{"t": 1, "k": "a\\ud83d"}', **KEYS)


def test_what_was_pushed_is_counted_at_once() -> None:
    schema = {"t": "i64", "k": "utf8", "x": "i64"}
    source = kd.sources.PyDict(schema=schema, **KEYS)
    source.add_rows({"k": "A"})
    assert source.counts == {"rows": 1, "misfits": 0, "untimed": 1, "unknown": 0}
    odd: Any = {"t": 1, "k": "A", "x": 1, "y": None, "X": 2, 5: 1}
    source.add_rows([{"t": 1, "k": "A", "X": 1}, odd])
    assert source.counts == {"rows": 3, "misfits": 0, "untimed": 1, "unknown": 3}
    counted = source.col("x").sum().run_iter("row")
    assert [row["result"] for row in counted] == [None, 1]
    assert counted.status["dropped"]["values of unknown columns"] == 3
    for other, add in (
        (kd.sources.Arrow, pa.table({"t": [1, 2], "k": ["A", "B"], "X": [1, None]})),
        (kd.sources.CsvString, "t,k,X\n1,A,1\n2,B,\n"),
        (kd.sources.JsonlString, '{"t": 1, "k": "A", "X": 1}\n{"t": 2, "k": "B", "X": null}'),
    ):
        into: Any = other(schema=schema, **KEYS)
        (into.add_data if other is kd.sources.Arrow else into.add_string)(add)
        assert into.counts == {"rows": 2, "misfits": 0, "untimed": 0, "unknown": 1}


def test_moments_within_lists_and_records_are_moments_in_pandas() -> None:
    at = datetime(2022, 1, 1, tzinfo=UTC)
    m = kd.sources.PyDict([{"t": 1, "k": "A", "at": at}, {"t": 2, "k": "A", "at": None}], **KEYS)
    shown = kd.record({"last": m.last(), "list": m.col("at").collect(max=2)}).to_pandas()
    assert [last["at"] for last in shown["last"]] == [at, None]
    assert [list(items) for items in shown["list"]] == [[np.datetime64("2022-01-01")]] * 2
    assert [
        [record["at"] for record in records] for records in m.collect(max=2).to_pandas()["result"]
    ] == [[at], [at, None]]


def test_times_within_maps_are_times_in_pandas() -> None:
    at, length = datetime(2022, 1, 1, tzinfo=UTC), timedelta(hours=1)
    moment, span = pa.timestamp("ns", "UTC"), pa.duration("ns")
    given: list[tuple[pa.DataType, Any]] = [
        (pa.map_(pa.string(), moment), [("a", at), ("b", None)]),
        (pa.map_(moment, pa.string()), [(at, "a")]),
        (pa.map_(pa.string(), span), [("a", length)]),
        (
            pa.map_(pa.string(), pa.struct([("x", moment), ("y", span)])),
            [("a", {"x": at, "y": length})],
        ),
        (pa.map_(pa.string(), pa.map_(pa.string(), moment)), [("a", [("b", at)])]),
    ]
    for of, value in given:
        held = pa.array([{"x": value}], pa.struct([("x", of)]))
        rows = pa.table({"t": [1], "k": ["A"], "x": pa.array([value], of), "held": held})
        shown = kd.sources.Arrow(rows, **KEYS).to_pandas()
        assert shown["x"][0] == shown["held"][0]["x"] == value


def test_lengths_of_time_that_python_has_not_are_their_nanoseconds() -> None:
    lengths = pa.table({"t": [1, 2], "k": ["A", "A"], "x": pa.array([10**14, 1], pa.duration("s"))})
    rows = kd.sources.Arrow(lengths, **KEYS).to_rows()
    assert [row["x"] for row in rows] == [10**23, timedelta(seconds=1)]


def test_values_are_taken_as_kaskada_and_pandas_take_them() -> None:
    schema = {"t": "i64", "k": "utf8", "x": "i8"}
    floats = kd.sources.PyDict(schema=schema, time_column="t", key_column="k")
    floats.add_rows([{"t": at, "k": "A", "x": x} for at, x in enumerate([2.9, -2.9, 300.5])])
    assert [row["x"] for row in floats.to_rows()] == [2, -2, None]
    assert floats.counts["misfits"] == 1

    csv = kd.sources.CsvString(
        "t,k,x,s\n1,A,null,null\n2,A,1.5,NULL\n3,B,,x\n4,B,NaN,N/A\n", **KEYS
    )
    assert [(row["x"], row["s"]) for row in csv.to_rows()] == [
        (None, None),
        (1.5, None),
        (None, "x"),
        (None, None),
    ]
    assert [row["result"] for row in csv.col("x").sum().to_rows()] == [None, 1.5, None, None]
    assert csv.counts["misfits"] == 0

    # What is written as text is not cut off.
    text = '{"t": 1, "k": "A", "x": 2.9}\n{"t": 2, "k": "A", "x": 2.0}'
    lines = kd.sources.JsonlString(text, schema=schema, time_column="t", key_column="k")
    assert [row["x"] for row in lines.to_rows()] == [None, 2]
    assert lines.counts["misfits"] == 1

    text = '{"t": "2026-07-04T12:00:00", "k": "A", "at": {"day": "2026-07-04"}, "s": "soon"}'
    moments = kd.sources.JsonlString(text, time_column="t", key_column="k")
    fields = dict(moments.schema.fields)
    assert fields["t"] == "timestamp" and fields["s"] == "utf8"
    assert fields["at"] == "struct<day: timestamp>"
    assert moments.to_rows()[0]["at"]["day"] == datetime(2026, 7, 4, tzinfo=UTC)


def test_whole_numbers_beyond_i64_are_keys_apart() -> None:
    for ids, of in (
        ([2**64 - 1, 2**64 - 2, 5], "u64"),
        ([-(2**63), 2**64 - 1, 2**64 - 2], "decimal"),
    ):
        source = kd.sources.PyDict([{"t": 1, "k": key} for key in ids], **KEYS)
        assert dict(source.schema.fields)["k"] == of
        assert [row["result"] for row in source.count().to_rows()] == [1, 1, 1]
        assert sorted(int(row["_key"]) for row in source.to_rows()) == sorted(ids)


def test_a_quote_that_is_not_closed_is_refused(tmp_path: Path) -> None:
    text = 't,k,s\n1,A,one\n2,A,"two\n3,A,three\n'
    with pytest.raises(ValueError, match="^line 3: a quote opens here and is never closed"):
        kd.sources.CsvString(text, **KEYS)
    path = tmp_path / "cut.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match="cut.csv, line 3: a quote opens here"):
        kd.sources.Files(path, **KEYS)


NS = "2024-01-01T00:00:00.000000003"


@pytest.mark.parametrize(
    ("given", "of", "expected"),
    [
        (np.bool_(True), "bool", True),
        (np.int8(-3), "i64", -3),
        (np.uint64(2**63), "u64", 2**63),
        (np.float32(1.5), "f64", 1.5),
        (np.str_("x"), "utf8", "x"),
        (np.bytes_(b"x"), "binary", b"x"),
        (np.datetime64(NS), "timestamp", pd.Timestamp(NS, tz="UTC")),
        (np.datetime64("2024-02"), "timestamp", pd.Timestamp("2024-02-01", tz="UTC")),
        (np.datetime64("2024-02-03"), "timestamp", pd.Timestamp("2024-02-03", tz="UTC")),
        (
            np.datetime64("1969-12-31T23:59", "m"),
            "timestamp",
            pd.Timestamp(-60, unit="s", tz="UTC"),
        ),
        (np.timedelta64(3, "ns"), "duration", pd.Timedelta(3, "ns")),
        (np.timedelta64(2, "W"), "duration", pd.Timedelta(14, "D")),
        (pd.Timestamp(NS), "timestamp", pd.Timestamp(NS, tz="UTC")),
        (pd.Timedelta(3, "ns"), "duration", pd.Timedelta(3, "ns")),
        (np.array([1, 2]), "list<i64>", [1, 2]),
        (np.array([NS], "M8[ns]"), "list<timestamp>", [pd.Timestamp(NS, tz="UTC")]),
    ],
    ids=repr,
)
def test_scalars_of_numpy_and_pandas_are_what_they_are(given: Any, of: str, expected: Any) -> None:
    source = kd.sources.PyDict({"t": 1, "k": "A", "x": given}, **KEYS)
    assert dict(source.schema.fields)["x"] == of
    [found] = source.to_arrow()["x"].to_pylist()
    assert found == expected and source.counts["misfits"] == 0


def test_moments_of_numpy_are_times_to_the_nanosecond() -> None:
    rows = [{"t": np.datetime64(f"2024-01-01T00:00:00.00000000{at}"), "k": "A"} for at in (3, 1)]
    source = kd.sources.PyDict(rows, time_column="t", key_column="k")
    assert [at.nanosecond for at in source.to_pandas()["_time"]] == [1, 3]
    days = kd.sources.PyDict(
        {"t": np.datetime64("2024-01-01"), "k": "A"}, time_column="t", key_column="k"
    )
    assert days.to_rows()[0]["_time"] == datetime(2024, 1, 1, tzinfo=UTC)
    second, one = cast(Any, np.datetime64("2024-01-01T00:00:00.000000002")), cast(Any, np.int64(1))
    assert len(source.filter(source.col("t") > second).to_rows()) == 1
    assert (source.count() + one).to_rows()[-1]["result"] == 3


def test_what_is_nothing_or_does_not_fit_is_null() -> None:
    schema = {"t": "i64", "k": "utf8", "x": "timestamp"}
    source = kd.sources.PyDict(schema=schema, **KEYS)
    nothing = [np.datetime64("NaT"), pd.NaT, pd.NA, None, Decimal("NaN")]
    source.add_rows([{"t": 1, "k": "A", "x": x} for x in nothing])
    assert source.to_arrow()["x"].null_count == 5 and source.counts["misfits"] == 0
    beyond = [np.datetime64("3000-01-01"), np.timedelta64(1, "Y"), np.complex64(1), np.array(5)]
    source.add_rows([{"t": 1, "k": "A", "x": x} for x in beyond])
    assert source.to_arrow()["x"].null_count == 9 and source.counts["misfits"] == 4


def test_decimals_keep_their_digits() -> None:
    rows = [
        {"t": at, "k": "A", "x": x} for at, x in enumerate([Decimal("1.10"), Decimal("2.5E+1"), 3])
    ]
    source = kd.sources.PyDict(rows, **KEYS)
    assert source.to_arrow()["x"].to_pylist() == [Decimal("1.10"), Decimal("25.00"), Decimal(3)]
    assert source.col("x").cast("f64").sum().to_rows()[-1]["result"] == 29.1
    for wide in (["1E-40", "1"], ["1" * 40], ["1" * 40, "-1.5"], ["-1E-76"], ["1E+75", None]):
        given = [None if x is None else Decimal(x) for x in wide]
        wider = kd.sources.PyDict([{"t": 1, "k": "A", "x": x} for x in given], **KEYS)
        assert wider.to_arrow()["x"].to_pylist() == given
        assert wider.counts["misfits"] == 0
    money = pa.schema([("t", pa.int64()), ("k", pa.string()), ("x", pa.decimal128(4, 2))])
    small = kd.sources.PyDict(schema=money, **KEYS)
    small.add_rows([{"t": 1, "k": "A", "x": Decimal(x)} for x in ("1.1", "100", "1E+1000000")])
    assert small.to_arrow()["x"].to_pylist() == [Decimal("1.10"), None, None]
    assert small.counts["misfits"] == 2
    floats = kd.sources.PyDict(schema={"t": "i64", "k": "utf8", "x": "f64"}, **KEYS)
    floats.add_rows({"t": 1, "k": "A", "x": Decimal("0.1")})
    assert floats.to_rows()[0]["x"] == 0.1


def test_definitions_that_cannot_be_are_refused() -> None:
    schema = {"t": "i64", "k": "utf8", "x": ["f64"]}
    make = kd.sources.PyDict
    with pytest.raises(kd.ColumnError, match='^there is no column "ts" for the time'):
        make(schema=schema, time_column="ts", key_column="k")
    assert issubclass(kd.ColumnError, ValueError) and issubclass(kd.ColumnError, KeyError)
    with pytest.raises(ValueError, match="cannot be the time: it is list<f64>"):
        make(schema=schema, time_column="x", key_column="k")
    with pytest.raises(ValueError, match="no time unit"):
        make(schema=schema, time_column="t", key_column="k", time_unit="m")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is no type"):
        make(schema={"t": "int"}, time_column="t", key_column="k")
    with pytest.raises(TypeError, match="__arrow_c_schema__"):
        make(schema=["t"], time_column="t", key_column="k")


def test_the_subsort_orders_points_of_one_time() -> None:
    rows = [{"t": 1, "k": "A", "x": at, "s": -at} for at in range(3)]
    source = kd.sources.PyDict(rows, subsort_column="s", **KEYS)
    assert [row["x"] for row in source.to_rows()] == [2, 1, 0]


def test_groupings_are_joined_by_their_names() -> None:
    one = kd.sources.PyDict(ROWS, grouping_name="user", **KEYS)
    other = kd.sources.PyDict(
        [{"t": 2, "id": "A", "y": 10}],
        time_column="t",
        key_column="id",
        time_unit="s",
        grouping_name="user",
    )
    both = one.col("x").sum() + other.col("y").sum()
    assert [row["result"] for row in both.to_rows()] == [None, None, 11, 16]
    assert both.grouping == "user"
    assert one.with_key(one.col("k")).grouping == "k"


def test_rows_that_are_not_queryable_are_not_kept() -> None:
    source = kd.sources.PyDict(ROWS, queryable=False, **KEYS)
    assert source.to_rows() == []
    assert source.counts["rows"] == 3


def test_a_query_has_rows_that_are_not_kept_from_its_start_on() -> None:
    schema = {"t": "i64", "k": "utf8", "x": "i64"}
    source = kd.sources.PyDict(schema=schema, queryable=False, **KEYS)
    first = source.col("x").sum().run_iter("row", mode="live")
    for batch in range(20):
        source.add_rows([{"t": batch, "k": "A", "x": 1} for _ in range(1000)])
    assert source.to_rows() == []
    second = source.col("x").sum().run_iter("row", mode="live")
    source.add_rows({"t": 100, "k": "A", "x": 1})
    assert next(second)["result"] == 1
    assert [next(first)["result"] for _ in range(20_001)][-1] == 20_001
    first.stop()
    second.stop()
    assert source.to_rows() == []


def test_late_rows_have_their_time() -> None:
    source = kd.sources.PyDict(schema={"t": "i64", "k": "utf8", "x": "i64"}, lateness=2, **KEYS)
    running = source.col("x").run_iter("row", mode="live")
    source.add_rows([{"t": at, "k": "A", "x": at} for at in (5, 3, 2, 6, 4, 9)])
    assert [next(running)["result"] for _ in range(4)] == [3, 4, 5, 6]
    running.stop()
    assert [row["result"] for row in running] == []
    assert running.status["dropped"] == {"late": 1}


def test_names_are_of_the_program() -> None:
    source = kd.sources.PyDict(ROWS, name="users", **KEYS)
    assert source.name == "users"
    assert str(source.filter(source.col("x") > 1).count()) == "users.filter(x > 1).count()"
    again = kd.sources.PyDict(ROWS, name="users", **KEYS)
    with pytest.raises(ValueError, match="two sources .* `users`"):
        source.col("x") + again.col("x")
