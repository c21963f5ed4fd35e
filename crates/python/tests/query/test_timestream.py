"""Building, checking and running queries once."""

from __future__ import annotations

import asyncio
import copy
import importlib.util
import subprocess
import sys
import warnings
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import skytide as kd
from skytide import _skytide

from .answers import results

ROWS = [
    {"t": 1, "k": "A", "x": 1, "text": "one", "langs": ["en"], "ok": True},
    {"t": 2, "k": "B", "x": 20, "text": "two", "langs": [], "ok": False},
    {"t": 3, "k": "A", "x": None, "text": None, "langs": None, "ok": None},
    {"t": 4, "k": "A", "x": 5, "text": "four", "langs": ["de", "en"], "ok": True},
]


@pytest.fixture
def m() -> kd.sources.PyDict:
    kd.init_session()
    kd.init_session()
    return kd.sources.PyDict(ROWS, time_column="t", key_column="k", time_unit="s")


def test_operators_are_those_of_the_engine(m: kd.Timestream) -> None:
    x = m.col("x")
    assert results(x + 1) == results(1 + x) == [2, 21, None, 6]
    assert results(10 - x) == [9, -10, None, 5]
    assert results(x * 2 % 3) == [2, 1, None, 1]
    assert results(x / 2) == [0, 10, None, 2]
    assert results(100 / x) == [100, 5, None, 20]
    assert results(-x) == [-1, -20, None, -5]
    assert results((x > 1) & m.col("ok")) == [False, False, None, True]
    assert results(~m.col("ok") | (x <= 1)) == [True, True, None, False]
    assert results(x.eq(5)) == [False, False, None, True]
    assert results(x.ne(5)) == [True, True, None, False]
    assert results(m.col("langs")[0]) == ["en", None, None, "de"]
    assert results(m.col("text").len()) == [3, 3, None, 4]
    assert results(x.else_(7)) == [1, 20, 7, 5]
    assert results(x.if_(lambda x: x > 1)) == [None, 20, None, 5]
    assert results(x.cast(pa.float64())) == [1.0, 20.0, None, 5.0]
    assert results(x.cast("utf8")) == ["1", "20", None, "5"]
    for unit, micros in (("s", 1_000_000), ("ms", 1_000), ("us", 1)):
        lengths = [
            None if x is None else timedelta(microseconds=x * micros) for x in (1, 20, None, 5)
        ]
        assert results(x.cast(pa.duration(unit))) == lengths
        moments = [
            None if length is None else datetime(1970, 1, 1, tzinfo=UTC) + length
            for length in lengths
        ]
        assert results(x.cast(pa.timestamp(unit))) == moments
    assert results(x.cast("f32").cast(pa.duration("s")))[0] == timedelta(seconds=1)


def test_decimals_are_counted_in_the_unit_that_they_are_cast_to() -> None:
    rows = pa.table(
        {
            "t": [1, 2],
            "k": ["A", "A"],
            "x": pa.array([Decimal("1.50"), Decimal("-0.25")], pa.decimal128(10, 2)),
            "y": pa.array([Decimal(2**40), None], pa.decimal256(50, 0)),
        }
    )
    m = kd.sources.Arrow(rows, time_column="t", key_column="k")
    for unit, micros in (("s", 1_000_000), ("ms", 1_000), ("us", 1)):
        lengths = results(m["x"].cast(pa.duration(unit)))
        assert lengths == [timedelta(microseconds=x * micros // 1) for x in (1.5, -0.25)]
        moments = results(m["x"].cast(pa.timestamp(unit)))
        assert moments == [datetime(1970, 1, 1, tzinfo=UTC) + length for length in lengths]
    assert results(m["y"].cast(pa.duration("us"))) == [timedelta(microseconds=2**40), None]


def test_values_of_maps_are_found_by_their_keys() -> None:
    seen = pa.array([[("en", 1), ("de", 2)], [], None], pa.map_(pa.string(), pa.int64()))
    rows = pa.table({"t": [1, 2, 3], "k": ["A", "A", "A"], "seen": seen, "at": ["de", "en", "en"]})
    m = kd.sources.Arrow(rows, time_column="t", key_column="k")
    assert results(m["seen"]["en"]) == results(m.col("seen").index("en")) == [1, None, None]
    assert results(m["seen"][m["at"]]) == [2, None, None]
    with pytest.raises(TypeError, match="map<utf8, i64>"):
        m["seen"][0]


def test_fields_are_items_and_are_offered_as_such(m: kd.Timestream) -> None:
    assert m._ipython_key_completions_() == ["t", "k", "x", "text", "langs", "ok"]
    assert results(m["x"] + 1) == results(m.col("x") + 1)
    assert results(m["langs"][0]) == results(m.col("langs").index(0))
    nested = kd.record({"all": kd.record({"x": m["x"], "odd name": m["text"]})})
    assert nested["all"]._ipython_key_completions_() == ["x", "odd name"]
    assert results(nested["all"]["odd name"]) == ["one", "two", None, "four"]
    # Of a list of records each is the list of that field.
    seen = m.select("x", "text").collect(2)
    assert seen._ipython_key_completions_() == ["x", "text"]
    assert results(seen["text"])[1] == ["two"]
    assert m["x"]._ipython_key_completions_() == []
    with pytest.raises(ValueError, match="there is no field `y` here"):
        m["y"]
    with pytest.raises(kd.QueryError, match="Cannot access column 'y' of non-record type"):
        m["x"]["y"]
    unknown = cast(Any, m)
    with pytest.raises(
        AttributeError, match=r"no attribute 'text': a field is an item, \['text'\]"
    ):
        unknown.text()
    with pytest.raises(AttributeError, match="no attribute 'texts'$"):
        unknown.texts()
    assert copy.copy(m["x"]).data_type == pa.int64()
    # All that is offered after a dot is there: fields are no attributes, for some are called as methods are.
    names = dir(m)
    assert all(hasattr(m, name) for name in names)
    assert "x" not in names and {"count", "with_key", "filter", "col"} <= set(names)


def test_aggregations_records_and_keys(m: kd.Timestream) -> None:
    assert results(m.col("x").sum()) == [1, 20, 1, 6]
    record = m.record(lambda m: {"x": m.col("x"), "twice": lambda m: m.col("x") * 2})
    assert record.to_rows()[1] == {
        "_time": datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC),
        "_key": "B",
        "x": 20,
        "twice": 40,
    }
    assert m.select("x", "ok").to_arrow().schema.names == ["_time", "_key", "x", "ok"]
    assert m.remove("langs", "t").to_arrow().schema.names == [
        "_time",
        "_key",
        "k",
        "x",
        "text",
        "ok",
    ]
    extended = m.select("x").extend(lambda m: {"y": m.col("x") + 1, "x": 0})
    assert [(row["y"], row["x"]) for row in extended.to_rows()] == [
        (2, 0),
        (21, 0),
        (None, 0),
        (6, 0),
    ]
    # As Kaskada has them: the further ones first.
    of_y = m.col("x")
    for chain in (
        m.select("x", "ok").extend({"y": of_y, "ok": 1}),
        m.select("x", "ok").extend(kd.record({"y": of_y, "ok": 1})),
        kd.query('m.select("x", "ok").extend({y: x, ok: 1})', m=m),
    ):
        assert chain.to_arrow().schema.names == ["_time", "_key", "y", "ok", "x"]
    assert m.extend({"one": 1}).to_arrow().schema.names[2] == "one"
    assert m.extend({}).to_rows() == m.to_rows()
    with pytest.raises(TypeError, match="needs a struct"):
        m.col("x").extend({"one": 1})
    by_lang = m.with_key(m.col("langs").index(0)).count()
    assert [(row["_key"], row["result"]) for row in by_lang.to_rows()] == [
        ("en", 1),
        (None, 1),
        (None, 2),
        ("de", 1),
    ]
    assert str(by_lang).endswith(".with_key(langs[0]).count()")
    assert by_lang.grouping == "langs[0]"
    assert m.with_key("all", "everyone").grouping == "everyone"
    assert m.pipe(lambda m, n: m.col(n), "x").is_continuous is False
    assert m.pipe((lambda n, of: of.col(n).count(), "of"), "x").is_continuous is True


def test_a_field_of_a_list_is_a_list(m: kd.Timestream) -> None:
    assert [len(texts) for texts in results(m.collect(2).col("text"))] == [1, 1, 2, 2]
    assert results(m.collect(3).col("x"))[3] == [1, None, 5]
    assert m.collect().col("langs").data_type == pa.list_(pa.list_(pa.string()))
    with pytest.raises(ValueError, match="did you mean `text`?"):
        m.collect().col("txt")


def test_types_are_pyarrows(m: kd.Timestream) -> None:
    assert m.col("x").data_type == pa.int64()
    assert m.col("langs").data_type == pa.list_(pa.string())
    assert m.col("x").count().data_type == pa.int64()


def test_literals(m: kd.Timestream) -> None:
    moment = datetime(2026, 7, 4, 12, 0, 0, 250_000)
    row = kd.record(
        {
            "m": m.col("x"),
            "none": None,
            "bool": True,
            "int": -3,
            "big": 2**64 - 1,
            "float": -1.5,
            "str": 'a"b\n',
            "delta": timedelta(hours=1, microseconds=-1),
            "naive": moment,
            "zone": datetime.fromisoformat("2026-07-04T14:00:00.250+02:00"),
        }
    ).to_rows()[0]
    del row["_time"], row["_key"], row["m"]
    assert row == {
        "none": None,
        "bool": True,
        "int": -3,
        "big": 2**64 - 1,
        "float": -1.5,
        "str": 'a"b\n',
        "delta": timedelta(hours=1, microseconds=-1),
        "naive": moment.replace(tzinfo=UTC),
        "zone": moment.replace(tzinfo=UTC),
    }
    x = m.col("x")
    twos: list[Any] = [np.float16(2), np.float32(2), np.longdouble(2), np.int8(2)]
    for two in twos:
        assert results(x * two) == results(x * 2)
    nothing: list[Any] = [pd.NaT, pd.NA]
    assert [results(x.else_(none)) for none in nothing] == [results(x)] * 2
    with pytest.raises(TypeError, match="no set is a constant"):
        m.col("x") + {1}  # type: ignore[operator]
    with pytest.raises(OverflowError):
        m.col("x") + 2**70
    with pytest.raises(OverflowError, match="9999-01-01 00:00:00: beyond the times"):
        m.time().lt(datetime(9999, 1, 1))
    with pytest.raises(OverflowError, match="beyond the lengths of time"):
        m.time() + timedelta.max
    day = date(2026, 7, 5)
    assert results(m.time() < day) == results(m.time() < datetime(2026, 7, 5))
    assert m.to_rows(kd.results.History(since=date(1970, 1, 2))) == []
    assert results(x + np.int64(2)) == results(x + 2)


def test_scalars_of_numpy_on_the_left_are_what_they_are(m: kd.Timestream) -> None:
    hour: Any = np.timedelta64(3600 * 10**9, "ns")
    moment: Any = np.datetime64("2026-07-04T12:00:00", "ns")
    day: Any = np.datetime64("2026-07-04")
    two: Any = np.int64(2)
    half: Any = np.float64(0.5)
    true: Any = np.bool(True)
    gap, at, x = m.col("x").seconds_since_previous(), m.time(), m.col("x")
    for left, right in [
        (hour > gap, gap < hour),
        (hour + at, at + timedelta(hours=1)),
        (moment <= at, at >= datetime(2026, 7, 4, 12)),
        (day < at, at > datetime(2026, 7, 4)),
        (two + x, 2 + x),
        (half * x, 0.5 * x),
        (true & m.col("ok"), True & m.col("ok")),
    ]:
        assert isinstance(left, kd.Timestream)
        assert results(left) == results(right)
    # Each of its items would be a query.
    array: Any = np.array([1, 2])
    with pytest.raises(TypeError, match="no ndarray is a constant"):
        array + x


def test_errors_show_the_place_and_the_arguments(m: kd.Timestream) -> None:
    with pytest.raises(ValueError, match="Illegal field reference") as raised:
        m.col("txt")
    assert "^^^" in str(raised.value)
    assert "did you mean `text`?" in str(raised.value)
    with pytest.raises(TypeError, match="column 'y' of non-record type 'int64'") as of_one:
        m.col("x").col("y")
    assert "^" in str(of_one.value)
    assert of_one.value.__notes__ == ["Arg[0]: Timestream[int64]", "Arg[1]: Literal 'y' (str)"]
    with pytest.raises(ValueError, match="`add` needs a stream: at least one non-literal argument"):
        kd.Timestream._call("add", 1, 2)
    with pytest.raises(TypeError, match="Incompatible argument types") as of_one:
        m.col("ok").sum()
    assert of_one.value.__notes__ == ["Arg[0]: Timestream[bool]"]
    with pytest.raises(ValueError, match="Incompatible argument types") as raised:
        m.col("ok").add(m.col("x"))
    assert raised.value.__notes__ == ["Arg[0]: Timestream[bool]", "Arg[1]: Timestream[int64]"]
    other = kd.sources.PyDict(ROWS, time_column="t", key_column="text", time_unit="s")
    with pytest.raises(ValueError) as raised:
        m.col("x") + other.col("x")
    assert "k" in str(raised.value) and "text" in str(raised.value)
    with pytest.raises(ValueError, match="stream"):
        kd.record({"a": 1})
    with pytest.raises(ValueError, match="callable"):
        kd.record({"a": m.col("x"), "b": lambda m: m})
    with pytest.raises(TypeError):
        bool(m.col("x"))
    with pytest.raises(TypeError):
        iter(m)


def test_equality_warns(m: kd.Timestream) -> None:
    with pytest.warns(UserWarning, match="Use 'eq' instead"):
        assert (m == 1) is False
    with pytest.warns(UserWarning, match="Use 'ne' instead"):
        assert (m != 1) is True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m.col("x").eq(1)


def test_a_key_that_is_a_fields_name_warns(m: kd.Timestream) -> None:
    with pytest.warns(UserWarning, match=r"one key for all points: col\('text'\) is the field"):
        keyed = m.with_key("text")
    assert {row["_key"] for row in keyed.to_rows()} == {"text"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m.with_key("all")
        m.with_key(m["text"], "text")


def test_results_are_cut(m: kd.Timestream) -> None:
    def at(seconds: int) -> datetime:
        return datetime.fromtimestamp(seconds, UTC)

    x = m.col("x").sum()
    history = x.to_rows(kd.results.History(since=at(2), until=at(3)))
    assert [row["result"] for row in history] == [20, 1]
    texts = kd.results.History(since="1970-01-01T00:00:02Z", until="1970-01-01 00:00:03")
    assert x.to_rows(texts) == history
    assert x.to_rows(kd.results.History(since="1970-01-02")) == []
    with pytest.raises(ValueError, match=r'"soon" is no time'):
        x.to_rows(kd.results.History(since="soon"))
    with pytest.raises(ValueError, match="since=.*: written with a zone in brackets"):
        x.to_rows(kd.results.History(since="1970-01-02T00:00:00[Europe/Berlin]"))
    beyonds: list[Any] = ["9999-12-31", "9999-12-31T00:00:00Z", datetime.max, datetime.min]
    for beyond in beyonds:
        with pytest.raises(ValueError, match="until=.*: beyond the times that 64 bits"):
            x.to_rows(kd.results.History(until=beyond))
    with pytest.raises(ValueError, match="at=.*: beyond the times"):
        x.to_rows(kd.results.Snapshot(at=datetime.max))
    with pytest.raises(TypeError, match="since=NaT: a datetime or a text"):
        kd.results.History(since=cast("datetime", pd.NaT))
    # A bare number has no unit.
    with pytest.raises(TypeError, match=r"since=5: a datetime or a text"):
        kd.results.History(since=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"at=2\.5: a datetime or a text"):
        kd.results.Snapshot(at=2.5)  # type: ignore[arg-type]
    snapshot = x.to_rows(kd.results.Snapshot())
    assert [(row["_key"], row["result"]) for row in snapshot] == [("A", 6), ("B", 20)]
    snapshot = x.to_rows(kd.results.Snapshot(changed_since=at(3), at=at(3)))
    assert [(row["_key"], row["result"]) for row in snapshot] == [("A", 1)]
    assert x.to_rows(row_limit=0) == []
    assert len(x.to_rows(row_limit=3)) == 3
    with pytest.raises(TypeError):
        x.to_rows("history")  # type: ignore[arg-type]


def test_answers_in_every_form(m: kd.Timestream) -> None:
    x = m.col("x").sum()
    frame = x.to_pandas()
    assert isinstance(frame, pd.DataFrame) and frame["result"].tolist() == [1, 20, 1, 6]
    assert len(m.preview(2)) == 2
    assert x.to_polars()["result"].to_list() == [1, 20, 1, 6]
    assert pl.DataFrame(x)["result"].to_list() == [1, 20, 1, 6]
    iterator = x.run_iter("row")
    assert pa.schema(iterator) == pa.schema(
        [
            pa.field("_time", pa.timestamp("ns", "UTC"), nullable=False),
            ("_key", pa.string()),
            ("result", pa.int64()),
        ]
    )
    for _ in range(2):
        assert pa.table(iterator)["result"].to_pylist() == [1, 20, 1, 6]
    assert [row["result"] for row in iterator] == [1, 20, 1, 6]
    assert list(iterator) == []
    batches = list(x.run_iter("pyarrow", max_batch_size=3))
    assert [batch.num_rows for batch in batches] == [3, 1]
    assert [len(frame) for frame in x.run_iter()] == [4]
    html = x._repr_html_()
    assert html.count("<tr>") == 5 and "i64" in html
    assert "scan 0" in x.explain()
    with pytest.raises(ValueError, match="kind"):
        x.run_iter("rows")  # type: ignore[call-overload]


def test_text_and_chains_mix(m: kd.sources.PyDict) -> None:
    posts = kd.sources.PyDict(ROWS, time_column="t", key_column="k", time_unit="s", name="posts")
    long = kd.query("let long = posts.filter(text.len() > 3); long.x", posts=posts)
    assert results(long) == [5]
    assert results(long.count() + posts.col("x").sum()) == [None, None, None, 7]
    with pytest.raises(ValueError, match="did you mean `posts`"):
        kd.query("post.count()", posts=posts)


def test_a_text_calls_streams_as_they_are_given() -> None:
    def table(name: str | None, x: int) -> kd.Timestream:
        rows = [{"t": 1, "k": "A", "x": x}, {"t": 2, "k": "A", "x": 10 * x}]
        return kd.sources.PyDict(rows, time_column="t", key_column="k", time_unit="s", name=name)

    a, b, unnamed = table("a", 1), table("b", 2), table(None, 3)
    assert results(kd.query("a.x.sum()", a=a, b=b)) == [1, 11]
    assert results(kd.query("a.x.sum()", a=b, b=a)) == [2, 22]
    assert results(kd.query("m.x", m=unnamed)) == [3, 30]
    # What was made of a source is that, and the source by its own name is still there for others.
    some = a.filter(a.col("x") > 5)
    assert results(kd.query("a.x.sum()", a=some)) == [10]
    record = kd.query("{ some: a.x, all: b.x }", a=some, b=a)
    assert [(row["some"], row["all"]) for row in record.to_rows()] == [(None, 1), (10, 10)]
    # Sources stand in the order in which the text names them, not in that in which they are given.
    text = "{ y: m.x.with_key(1, grouping='g'), x: n.x.with_key(1, grouping='g') }"
    order = kd.query(text, n=a.filter(a.col("x") > 0), m=b.filter(b.col("x") > 0))
    assert [(row["y"], row["x"]) for row in order.to_rows()[:2]] == [(2, None), (None, 1)]
    both = kd.query("a.x", a=some).count() + a.col("x").sum()
    assert results(both) == [None, 12]
    assert results(kd.query("m.x", m=some) + kd.query("m.x", m=some)) == [20]
    with pytest.raises(ValueError, match="`m` is defined twice"):
        kd.query("m.x", m=a) + kd.query("m.x", m=b)
    # One name of two texts is one thing, whichever comes first.
    for one, other in (({"a": some}, {"a": a}), ({"a": a}, {"a": some})):
        with pytest.raises(ValueError, match="`a` is defined twice"):
            kd.query("a.x", **one) + kd.query("a.x", **other)
    with pytest.raises(ValueError, match="`a` is defined twice"):
        kd.query("let a = a.filter(x > 5); a.x", a=a) + kd.query("a.x", a=a)
    assert results(kd.query("let a = a.filter(x > 5); a.x", a=a) + a.col("x")) == [None, 20]
    assert str(kd.query("a.x", a=a) + kd.query("a.x * 2", a=a)).count("source") == 0
    with pytest.raises(ValueError, match="did you mean `some`"):
        kd.query("sme.x", some=some)


def test_an_error_of_a_text_is_in_the_text_as_it_was_written(m: kd.sources.PyDict) -> None:
    some = m.filter(kd.query("e.x > 0", e=m))

    def told(text: str, **sources: Any) -> str:
        with pytest.raises(kd.QueryError) as error:
            kd.query(text, **sources)
        return str(error.value)

    assert told("e.y.sum()", e=m, f=some).split("\n")[1:3] == [" 1 | e.y.sum()", "   |   ^"]
    lines = told("// all\nlet a = g.x;\n\n  a.sun()", g=some).split("\n")
    assert lines[1:3] == [" 4 |   a.sun()", "   |     ^^^"]
    lines = told("let a = g.x; zz.count()", g=some, f=m).split("\n")
    assert lines[1] == " 1 | let a = g.x; zz.count()"
    assert lines[3] == "expected: a, f, g"
    assert "1 | m.x.summ()" in told("m.x.summ()", m=m)
    with pytest.raises(kd.QueryError) as without:
        kd.query("posts.count()")
    assert "query(text, posts=" in without.value.__notes__[0]


def test_arguments_that_cannot_be_are_refused_in_a_sentence(m: kd.sources.PyDict) -> None:
    x: Any = m.col("x")
    for run in (x.to_rows, x.run_iter, x.to_arrow):
        with pytest.raises(ValueError, match="row_limit=-1: 0 or more"):
            run(row_limit=-1)
    with pytest.raises(ValueError, match="max_batch_size=-2: 0 or more"):
        x.run_iter(max_batch_size=-2)
    with pytest.raises(
        TypeError, match="m= takes a Timestream or a function of skytide.udf, not int"
    ):
        kd.query("m", m=cast(Any, 5))
    with pytest.raises(ValueError, match="no kind 'foo'"):
        x.explain("foo")
    with pytest.raises(ValueError, match="no mode 'foo'"):
        x.explain(mode="foo")
    for name in ("_time", "_key"):
        with pytest.raises(kd.QueryError, match=f"a field of the answer is called `{name}`"):
            kd.record({name: x})
    taken = kd.query("{ _time: m.x }", m=m)
    with pytest.raises(kd.QueryError, match="a field of the answer is called `_time`"):
        taken.to_rows()
    other = kd.sources.PyDict(ROWS, time_column="t", key_column="k", name=m.name)
    with pytest.raises(ValueError, match=r"another name \(.*name=\)"):
        m.col("x") + other.col("x")


def test_decimals_and_times_of_day_are_pythons() -> None:
    table = pa.table(
        {
            "t": [1, 2],
            "k": ["A", "A"],
            "d": pa.array([Decimal("1.10"), None], pa.decimal128(10, 2)),
            "large": pa.array([Decimal("1.10"), None], pa.decimal256(60, 2)),
            "s": pa.array([time(1, 2, 3), None], pa.time32("s")),
            "us": pa.array([time(1, 2, 3, 4), None], pa.time64("us")),
        }
    )
    source = kd.sources.Arrow(table, time_column="t", key_column="k")
    first, second = source.to_rows()
    assert first["d"] == first["large"] == Decimal("1.10") and str(first["d"]) == "1.10"
    assert (first["s"], first["us"]) == (time(1, 2, 3), time(1, 2, 3, 4))
    assert [second[name] for name in ("d", "large", "s", "us")] == [None] * 4


def test_an_answer_is_left_at_the_end_of_with(m: kd.sources.PyDict) -> None:
    async def first() -> int:
        async with m.col("x").run_iter("row", mode="live") as running:
            async for row in running:
                assert row["result"] == 1
                break
        return len([row async for row in running])

    assert asyncio.run(first()) < len(ROWS)


def test_a_field_of_a_streams_name_is_no_stream() -> None:
    posts = kd.sources.PyDict(ROWS, time_column="t", key_column="k", time_unit="s", name="posts")
    both = kd.record({"posts": posts.count()})
    filtered = both.filter(posts.col("x") > 1)
    assert [row["posts"] for row in filtered.to_rows()] == [1, 3]


def test_what_is_shared_stays_small(m: kd.Timestream) -> None:
    x = m.col("x")
    for _ in range(40):
        x = x.if_(x > -1)
    assert results(x) == [1, 20, None, 5]
    with pytest.raises(ValueError, match="deep|nested"):
        for _ in range(2_000):
            x = x + 1


def test_many_conditions_are_no_deep_ones(m: kd.Timestream) -> None:
    x = m.col("x")
    either, both = x.eq(20), x.ne(20)
    for at in range(100, 550):
        either, both = either | x.eq(at), both & x.ne(at)
    assert results(either) == [False, True, None, False]
    assert results(both) == [True, False, None, True]


def test_methods_are_those_of_the_registry() -> None:
    tool = Path(__file__).parents[2] / "tools" / "generate_functions.py"
    spec = importlib.util.spec_from_file_location("generate_functions", tool)
    assert spec is not None and spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    committed = Path(kd.__file__).parent / "_functions.py"
    assert committed.read_text() == generator.generate()
    for function in _skytide.functions():
        names = {function["name"], *function["aliases"]}
        assert any(hasattr(kd.Timestream, name) for name in names), names


def test_import_needs_the_standard_library_alone() -> None:
    code = """
import sys, importlib.abc
class Without(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pandas", "pyarrow", "polars", "numpy"):
            raise ImportError(name)
sys.meta_path.insert(0, Without())
import skytide as kd
m = kd.sources.PyDict(schema={"t": "i64", "k": "utf8", "at": {"x": "f64"}, "l": ["i64"]}, time_column="t", key_column="k")
m.add_rows({"t": 5, "k": "A", "at": {"x": 1}, "l": [1, 2]})
assert m.col("at").col("x").sum().to_rows()[0]["result"] == 1.0
assert str(m.col("l").data_type) == "list<i64>"
assert [row["l"] for row in m.run_iter("row")] == [[1, 2]]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
