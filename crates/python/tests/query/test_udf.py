"""Functions written in Python, called by queries."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import skytide as kd
from skytide.udf import Udf

from .answers import results

ROWS = [
    {"t": 1, "k": "A", "x": 1, "y": 0.5, "text": "one", "langs": ["en"], "ok": True},
    {"t": 2, "k": "B", "x": 20, "y": 1.5, "text": "two", "langs": [], "ok": False},
    {"t": 3, "k": "A", "x": None, "y": None, "text": None, "langs": None, "ok": None},
    {"t": 4, "k": "A", "x": 5, "y": -2.0, "text": "four", "langs": ["de", "en"], "ok": True},
]
SCHEMA = {"t": "i64", "k": "utf8", "x": "i64"}
LIMIT = 30.0


@pytest.fixture
def m() -> kd.sources.PyDict:
    return kd.sources.PyDict(ROWS, time_column="t", key_column="k", time_unit="s", name="m")


def live_table() -> kd.sources.PyDict:
    return kd.sources.PyDict(schema=SCHEMA, time_column="t", key_column="k")


@kd.udf("add_one<N: number>(x: N) -> N")
def add_one(x: pd.Series[int]) -> pd.Series[int]:
    """One more."""
    return x + 1


@kd.udf("double(x: i64) -> i64", arrow=True)
def double(x: pa.Array) -> pa.Array:
    return pc.multiply(x, 2)


def test_a_function_of_series_is_called_like_any_other(m: kd.Timestream) -> None:
    x = m.col("x")
    assert results(add_one(x)) == results(x.pipe(add_one)) == [2, 21, None, 6]
    assert results(add_one(x=x)) == [2, 21, None, 6]
    assert add_one(x).data_type == pa.int64()
    assert results(add_one(m.col("y"))) == [1.5, 2.5, None, -1.0]
    assert add_one(m.col("y")).data_type == pa.float64()
    assert results(add_one(x).sum() - 1) == [1, 20, 1, 7]
    assert add_one(x.sum()).is_continuous and not add_one(x).is_continuous
    assert str(add_one(x)) == "m.x.add_one()"
    assert "add_one(r0)" in add_one(x).explain()
    assert add_one.__doc__ == "One more." and add_one.__name__ == "add_one"
    assert repr(add_one) == "<Udf add_one<N: number>(x: N) -> N>"
    frame = add_one(x).to_pandas()
    assert frame["result"].dropna().tolist() == [2, 21, 6]


def test_arguments_are_streams_or_constants(m: kd.Timestream) -> None:
    seen: list[list[object]] = []

    @kd.udf("both(x: i64, y: f64, z: utf8?) -> f64")
    def both(x: pd.Series[int], y: pd.Series[float], z: pd.Series[str]) -> pd.Series[float]:
        seen.append(z.tolist())
        return x * y

    assert results(both(m.col("x"), 2)) == [2.0, 40.0, None, 10.0]
    assert results(both(3, m.col("y"), z="z")) == [1.5, 4.5, None, -6.0]
    assert seen[1] == ["z"] * 4 and pd.Series(seen[0]).isna().all()
    with pytest.raises(ValueError, match="needs an argument: `y`") as raised:
        both(m.col("x"))
    assert raised.value.__notes__ == ["Arg[0]: Timestream[int64]"]
    with pytest.raises(TypeError, match="`both` needs i64, found utf8"):
        both(m.col("text"), 1)
    with pytest.raises(ValueError, match="needs a stream"):
        both(1, 2)


def test_a_function_of_arrays_sees_pyarrow_alone(m: kd.Timestream) -> None:
    assert results(double(m.col("x"))) == [2, 40, None, 10]

    @kd.udf("first<T: any>(items: list<T>) -> T", arrow=True)
    def first(items: pa.ListArray) -> pa.ChunkedArray:
        found = pc.list_slice(items, 0, 1)
        firsts = [item[0] if item else None for item in found.to_pylist()]
        return pa.chunked_array([pa.array(firsts, items.type.value_type)])

    assert first.signature.startswith("first_<T")
    assert results(first(m.col("langs"))) == ["en", None, None, "de"]

    def later(result: pa.DataType, moment: pa.Array, by: pa.Array) -> pa.Array:
        assert isinstance(moment, pa.TimestampArray) and isinstance(by, pa.DurationArray)
        return pc.add(moment, by).cast(result)

    moved = Udf("later(moment: timestamp, by: duration) -> timestamp", later)
    assert results(moved(m.time(), timedelta(hours=1)))[0] == datetime(
        1970, 1, 1, 1, 0, 1, tzinfo=UTC
    )


def test_values_of_every_kind_go_there_and_back(m: kd.Timestream) -> None:
    for column in ("x", "y", "text", "ok", "langs"):
        stream = m.col(column)
        for arrow in (True, False):
            same = kd.udf("same<T: any>(x: T) -> T", arrow=arrow)(lambda x: x)
            assert results(same(stream)) == results(stream), (column, arrow)
    for name in ("timestamp", "duration", "binary", "string", "list<f64>"):
        null = kd.udf(f"null_of(x: i64) -> {name}")(lambda x: pd.Series([None] * len(x)))
        assert results(null(m.col("x"))) == [None] * 4


def test_maps_go_there_and_back() -> None:
    seen = pa.map_(pa.string(), pa.int64())
    rows = pa.table(
        {
            "t": [1, 2],
            "k": ["A", "A"],
            "map": pa.array([[("a", 1)], None], seen),
            "maps": pa.array([[[("a", 1)]], []], pa.list_(seen)),
            "held": pa.array([[{"m": [("a", 1)]}], None], pa.list_(pa.struct([("m", seen)]))),
        }
    )
    m = kd.sources.Arrow(rows, time_column="t", key_column="k")
    for column in ("map", "maps", "held"):
        for arrow in (True, False):
            same = kd.udf("same<T: any>(x: T) -> T", arrow=arrow)(lambda x: x)
            assert results(same(m.col(column))) == results(m.col(column)), (column, arrow)

    @kd.udf("items(x: i64) -> list<i64>", arrow=True)
    def items(x: pa.Array) -> pa.Array:
        item = pa.field("element", pa.int64(), nullable=False)
        return pa.array([[1]] * len(x), pa.list_(item))

    assert results(items(m.col("t"))) == [[1], [1]]


def test_a_name_of_the_engines_can_be_ones_own(m: kd.Timestream) -> None:
    @kd.udf("add<N: number>(x: N, y: N) -> N")
    def add(x: pd.Series[int], y: pd.Series[int]) -> pd.Series[int]:
        return x - y

    x = m.col("x")
    assert results(kd.record({"a": add(x, 1), "b": x.add(1)}).col("a")) == [0, 19, None, 4]
    assert str(add(x, 1)) == "m.x.add_(1)"


def test_two_functions_of_one_name_are_not_mixed_up(m: kd.Timestream) -> None:
    one = kd.udf("f(x: i64) -> i64")(lambda x: x + 1)
    two = kd.udf("f(x: i64) -> i64")(lambda x: x + 2)
    x = m.col("x")
    assert results(one(x)) == [2, 21, None, 6] and results(two(x)) == [3, 22, None, 7]
    both = one(x) + two(x)
    assert results(both) == [5, 43, None, 13]
    assert str(both).endswith(".x.f() + " + str(x) + ".f_2()")
    assert results(one(two(x)) * 2) == [8, 46, None, 16]
    assert results(one(one(x))) == [3, 22, None, 7]
    # A text calls one by its own name.
    text = kd.query("m.x.f()", m=m, f=two)
    assert results(text) == [3, 22, None, 7]
    assert results(text - one(x)) == [1, 1, None, 1]
    assert results(one(x) - kd.query("m.x.f()", m=m, f=one)) == [0, 0, None, 0]
    with pytest.raises(ValueError, match="two functions are called `f`"):
        text + kd.query("m.x.f()", m=m, f=one)


def test_texts_call_functions(m: kd.Timestream) -> None:
    text = "let more = m.x.add_one(); {more, twice: double(more)}".replace("more,", "more: more,")
    rows = kd.query(text, m=m, add_one=add_one, double=double).to_rows()
    assert [(row["more"], row["twice"]) for row in rows] == [
        (2, 4),
        (21, 42),
        (None, None),
        (6, 12),
    ]
    # What a stream is made of is there, too.
    assert results(kd.query("m.x.add_one()", m=m, y=add_one(m.col("x")))) == [2, 21, None, 6]
    with pytest.raises(ValueError, match="did you mean `add_one`"):
        kd.query("m.x.ad_one()", m=m, add_one=add_one)


def test_signatures_are_checked() -> None:
    for signature in ("f", "f(x: i64)", "f() -> i64", "f(x: int) -> i64", "f(x: i64) -> any"):
        with pytest.raises(ValueError, match="is no signature"):
            kd.udf(signature)(lambda x: x)


Function = Callable[..., Any]
FAILING: list[tuple[bool, Function, str, type[Exception] | None]] = [
    (False, lambda x: x[1:], "gave 3 values for 4 rows", None),
    (False, lambda x: "text", "it gave a str, not a Series", TypeError),
    (False, lambda x: x.astype(str), "it gave a Series of str, not of int64", TypeError),
    (False, lambda x: x > 1, "it gave a Series of bool, not of int64", TypeError),
    (False, lambda x: x / 2, "truncated", pa.ArrowInvalid),
    (False, lambda x, y: x, "missing 1 required positional argument", TypeError),
    (True, lambda x: x[1:], "gave 3 values for 4 rows", None),
    (True, lambda x: x.cast("string"), "gave values of the type Utf8, not Int64", None),
    (True, lambda x: None, "__arrow_c_array__", ValueError),
]


@pytest.mark.parametrize(("arrow", "function", "said", "cause"), FAILING)
def test_failures_name_the_function(
    m: kd.Timestream,
    arrow: bool,
    function: Function,
    said: str,
    cause: type[Exception] | None,
) -> None:
    failing = kd.udf("failing(x: i64) -> i64", arrow=arrow)(function)
    with pytest.raises(RuntimeError, match="the function `failing`") as raised:
        failing(m.col("x")).to_rows()
    assert said in str(raised.value)
    assert (
        raised.value.__cause__ is None
        if cause is None
        else isinstance(raised.value.__cause__, cause)
    )
    assert results(add_one(m.col("x"))) == [2, 21, None, 6]


def test_an_exception_is_the_cause_and_its_trace_is_told(m: kd.Timestream) -> None:
    mine = KeyError("mine")

    @kd.udf("raising(x: i64) -> i64")
    def raising(x: pd.Series[int]) -> pd.Series[int]:
        raise mine

    stream = raising(m.col("x"))
    for run in (
        stream.to_rows,
        stream.to_pandas,
        lambda: list(stream.run_iter("row")),
        lambda: asyncio.run(first_of(stream)),
    ):
        with pytest.raises(RuntimeError) as raised:
            run()
        assert raised.value.__cause__ is mine
        text = str(raised.value)
        assert text.startswith("the function `raising` failed: KeyError: 'mine'\n")
        assert "Traceback" in text and "test_udf.py" in text and "in raising" in text


async def first_of(stream: kd.Timestream) -> Any:
    async for row in stream.run_iter("row"):
        return row


def test_only_points_are_shown_to_it(m: kd.Timestream) -> None:
    seen: list[int] = []

    @kd.udf("watched(x: i64) -> i64", arrow=True)
    def watched(x: pa.Array) -> pa.Array:
        seen.extend(x.to_pylist())
        return x

    assert results(watched(m.filter(m.col("x") > 4).col("x"))) == [20, 5]
    assert seen == [20, 5]


def test_it_runs_live_and_in_batches_of_any_size() -> None:
    m = live_table()
    running = double(add_one(m.col("x").sum())).run_iter("row", mode="live")
    for at in range(1, 5):
        m.add_rows({"t": at, "k": "A", "x": at})
        assert next(running)["result"] == 2 * (at * (at + 1) // 2 + 1)
    running.stop()
    assert list(running) == []

    many = live_table()
    many.add_rows([{"t": at, "k": str(at % 7), "x": at} for at in range(50_000)])
    once = [row["result"] for row in double(many.col("x")).run_iter("row", max_batch_size=999)]
    assert once == [2 * at for at in range(50_000)]


def test_a_live_query_that_fails_ends_alone() -> None:
    m = live_table()

    @kd.udf("picky(x: i64) -> i64")
    def picky(x: pd.Series[int]) -> pd.Series[int]:
        if (x == 3).any():
            raise ValueError("three")
        return x

    bad = picky(m.col("x")).run_iter("row", mode="live")
    good = add_one(m.col("x")).run_iter("row", mode="live")
    for at in range(1, 4):
        m.add_rows({"t": at, "k": "A", "x": at})
        assert next(good)["result"] == at + 1
        if at < 3:
            assert next(bad)["result"] == at
    with pytest.raises(RuntimeError, match="the function `picky`"):
        next(bad)
    m.add_rows({"t": 9, "k": "A", "x": 9})
    assert next(good)["result"] == 10
    good.stop()


def test_other_threads_go_on_while_it_is_not_called() -> None:
    """A function that waits lets others have the lock, as any code of Python's does; stop does not wait for it."""
    entered, leave = threading.Event(), threading.Event()

    @kd.udf("waiting(x: i64) -> i64", arrow=True)
    def waiting(x: pa.Array) -> pa.Array:
        entered.set()
        assert leave.wait(LIMIT)
        return x

    m = live_table()
    m.add_rows({"t": 1, "k": "A", "x": 1})
    running = waiting(m.col("x")).run_iter("row", mode="live")
    assert entered.wait(LIMIT)
    assert results(add_one(m.col("x"))) == [2]
    begun = time.monotonic()
    running.stop()
    assert time.monotonic() - begun < 0.5
    leave.set()
    assert [row["result"] for row in running] in ([], [1])


WITHOUT = """
import sys
for library in LIBRARIES:
    sys.modules[library] = None
import skytide as kd

m = kd.sources.PyDict([{"t": 1, "k": "A", "x": 4}], time_column="t", key_column="k")
try:
    kd.udf("f(x: i64) -> i64")(lambda x: x)
except ImportError as error:
    assert "pip install 'skytide[" in str(error) and error.name in LIBRARIES, error
else:
    raise AssertionError("no error")
if "pyarrow" in LIBRARIES:
    try:
        kd.udf("f(x: i64) -> i64", arrow=True)
    except ImportError:
        raise AssertionError("nothing is decorated yet")
    try:
        kd.udf("f(x: i64) -> i64", arrow=True)(lambda x: x)
    except ImportError as error:
        assert "pyarrow" in str(error)
    else:
        raise AssertionError("no error")
else:
    same = kd.udf("f(x: i64) -> i64", arrow=True)(lambda x: x)
    assert [row["result"] for row in same(m.col("x")).to_rows()] == [4]
"""


@pytest.mark.parametrize("libraries", [("pandas",), ("pandas", "pyarrow")])
def test_without_the_libraries(libraries: tuple[str, ...]) -> None:
    code = WITHOUT.replace("LIBRARIES", repr(libraries))
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


ENDING = """
import threading, time
import skytide as kd

entered = threading.Event()

@kd.udf("busy(x: i64) -> i64", arrow=True)
def busy(x):
    entered.set()
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        pass
    return x

m = kd.sources.PyDict(schema={"t": "i64", "k": "utf8", "x": "i64"}, time_column="t", key_column="k")
running = busy(m.col("x")).run_iter("row", mode="live")
for at in range(100):
    m.add_rows({"t": at, "k": "A", "x": at})
entered.wait(30)
"""


def test_the_interpreter_ends_while_it_is_called() -> None:
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", ENDING], timeout=60, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")


FORKED = """
import os, sys, threading, time, warnings
import skytide as kd

warnings.simplefilter("ignore", DeprecationWarning)
entered, leave = threading.Event(), threading.Event()

@kd.udf("waiting(x: i64) -> i64", arrow=True)
def waiting(x):
    entered.set()
    leave.wait(30)
    return x

m = kd.sources.PyDict({"t": 1, "k": "A", "x": 1}, time_column="t", key_column="k")
running = waiting(m.col("x")).run_iter("row", mode="live")
assert entered.wait(30)
begun = time.monotonic()
child = os.fork()
if child == 0:
    sys.exit(0)
_, status = os.waitpid(child, 0)
took = time.monotonic() - begun
leave.set()
assert (status, took < 4) == (0, True), (status, took)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it cannot fork")
def test_a_forked_process_ends_without_calls_that_it_does_not_have() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)
