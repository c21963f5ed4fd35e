"""Windows, ticks, moved points and lookups, as methods."""

from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skytide as kd
from skytide import _skytide
from skytide.windows import Calendar, Since, Sliding, Trailing, Tumbling, Window

ROWS: list[dict[str, object]] = [
    {"at": "2026-01-01T16:39:57", "key": "A", "n": 10, "m": 5},
    {"at": "2026-01-01T16:39:58", "key": "B", "n": 3, "m": 24},
    {"at": "2026-01-01T16:39:59", "key": "A", "n": 6, "m": 17},
    {"at": "2026-01-01T16:40:00", "key": "A", "n": 9, "m": None},
    {"at": "2026-01-01T16:40:01", "key": "A", "n": None, "m": 12},
]


@pytest.fixture
def m() -> kd.Timestream:
    return kd.sources.PyDict(ROWS, time_column="at", key_column="key")


def shown(stream: kd.Timestream) -> list[tuple[str, object, object]]:
    return [(f"{row['_time']:%H:%M:%S}", row["_key"], row["result"]) for row in stream.to_rows()]


def text(stream: kd.Timestream) -> str:
    """Return its text, whatever its source is called."""
    name = str(stream).partition(".")[0]
    return str(stream).replace(name, "m")


def test_windows_of_a_condition(m: kd.Timestream) -> None:
    x = m.col("m")
    assert shown(x.sum(window=Since(x > 20))) == [
        ("16:39:57", "A", 5),
        ("16:39:58", "B", 24),
        ("16:39:59", "A", 22),
        ("16:40:00", "A", 22),
        ("16:40:01", "A", 34),
    ]
    sliding = m.col("n").sum(window=Sliding(2, x > 10))
    assert shown(sliding) == [
        ("16:39:58", "B", 3),
        ("16:39:59", "A", 16),
        ("16:40:01", "A", 25),
    ]
    assert text(sliding) == "m.n.sum(window=sliding(2, m.m > 10))"
    assert shown(x.count(window=Tumbling(x > 20))) == [("16:39:58", "B", 1)]
    assert [row[2] for row in shown(x.count(window=Since(True)))] == [1, 1, 1, 0, 1]


def test_a_condition_is_a_function_of_what_is_aggregated(m: kd.Timestream) -> None:
    x = m.col("m")
    for of in (Since, Tumbling):
        assert str(x.max(window=of(lambda x: x > 10))) == str(x.max(window=of(x > 10)))
    by_points = m.count(window=Sliding(3, lambda m: m.col("m") > 10))
    assert text(by_points) == "m.count(window=sliding(3, m > 10))"


@pytest.mark.parametrize("calendar", Calendar)
def test_windows_of_the_calendar(m: kd.Timestream, calendar: Calendar) -> None:
    for of in (Since, Tumbling):
        window: Window = getattr(of, calendar.value)()
        assert window == of(calendar)
        expected = f"m.count(window={of.__name__.lower()}.{calendar}())"
        assert text(m.count(window=window)) == text(m.count(window)) == expected
    window = getattr(Sliding, calendar.value)(2)
    assert window == Sliding(2, calendar)
    assert text(m.count(window=window)) == f"m.count(window=sliding.{calendar}(2))"


def test_ticks_end_windows_of_the_calendar(m: kd.Timestream) -> None:
    assert shown(m.col("m").sum(window=Tumbling.minutely())) == [
        ("16:40:00", "A", 22),
        ("16:40:00", "B", 24),
    ]
    until = kd.results.History(until=datetime(2026, 1, 1, 16, 42, tzinfo=UTC))
    counts = m.col("m").count(window=Since.minutely()).to_rows(until)
    assert [(row["_key"], row["result"]) for row in counts[-4:]] == [
        ("A", 1),
        ("A", 1),
        ("B", 0),
        ("A", 0),
    ]
    snapshot = m.count(window=Since.hourly()).to_rows(kd.results.Snapshot())
    assert [(row["_key"], row["result"]) for row in snapshot] == [("A", 4), ("B", 1)]


def test_ticks_come_live_once_time_is_past_them() -> None:
    m = kd.sources.PyDict(
        schema={"t": "i64", "k": "utf8"}, time_column="t", key_column="k", time_unit="s"
    )
    counts = m.count(window=Tumbling.minutely()).run_iter("row", mode="live")
    m.add_rows([{"t": 1, "k": "A"}, {"t": 59, "k": "A"}, {"t": 61, "k": "A"}])
    seen = [next(counts)]
    m.add_rows({"t": 181, "k": "A"})
    seen += [next(counts), next(counts)]
    # One for each window with a point, one for the empty one.
    assert [(row["_time"].minute, row["result"]) for row in seen] == [(1, 2), (2, 1), (3, 0)]
    counts.stop()


def test_trailing_takes_a_timedelta(m: kd.Timestream) -> None:
    trailing = m.col("m").collect(max=None, window=Trailing(timedelta(seconds=2)))
    assert 'window=trailing("2s")' in str(trailing)
    assert [row for row in shown(trailing) if row[1] == "A"] == [
        ("16:39:57", "A", [5]),
        ("16:39:59", "A", []),
        ("16:39:59", "A", [17]),
        ("16:40:00", "A", [17]),
        ("16:40:01", "A", []),
        ("16:40:01", "A", [12]),
        ("16:40:02", "A", [12]),
        ("16:40:03", "A", []),
    ]
    lengths: list[Any] = [np.timedelta64(2, "s"), pd.Timedelta("2s"), "2s"]
    for length in lengths:
        assert str(m.col("m").collect(max=None, window=Trailing(length))) == str(trailing)
    with pytest.raises(ValueError, match="duration must be positive"):
        Trailing(timedelta(0))
    with pytest.raises(ValueError, match="duration must be positive"):
        Trailing(np.timedelta64(-1, "h"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs a length of time"):
        m.col("m").sum(window=Trailing("soon"))
    no_lengths: list[Any] = [3600, pd.NaT, np.timedelta64("NaT"), np.timedelta64(1, "Y")]
    for no_length in no_lengths:
        with pytest.raises(TypeError, match=r"duration=.*: a timedelta or a text, as '1h', is"):
            Trailing(no_length)
    with pytest.raises(ValueError, match="duration must be positive"):
        Sliding(0, True)


def test_constants_of_aggregations(m: kd.Timestream) -> None:
    n = m.col("n")
    assert [row[2] for row in shown(n.collect(2)) if row[1] == "A"] == [
        [10],
        [10, 6],
        [6, 9],
        [6, 9],
    ]
    assert text(n.collect(3, min=2, window=Since.daily())) == (
        "m.n.collect(max=3, min=2, window=since.daily())"
    )
    assert [row[2] for row in shown(n.lag(1)) if row[1] == "A"] == [None, 10, 6, 6]
    seconds = m.seconds_since_previous()
    assert [row[2] for row in shown(seconds) if row[1] == "A"] == [None, 2, 1, 1]
    assert [row[2] for row in shown(m.seconds_since_previous(2)) if row[1] == "A"] == [
        None,
        None,
        3,
        2,
    ]


def test_points_move(m: kd.Timestream) -> None:
    n = m.col("n")
    assert shown(n.shift_by(timedelta(seconds=60)))[0] == ("16:40:57", "A", 10)
    assert shown(n.shift_to(datetime(2026, 1, 2, tzinfo=UTC)))[-1] == ("00:00:00", "A", None)
    assert shown(n.shift_until(lambda n: n.sum() > 15)) == [
        ("16:39:59", "A", 10),
        ("16:39:59", "A", 6),
        ("16:40:00", "A", 9),
        ("16:40:01", "A", None),
    ]
    with pytest.raises(ValueError, match="points move forward only"):
        n.shift_by(timedelta(hours=-1))


def test_points_that_are_left_out_are_counted(m: kd.Timestream) -> None:
    def left_out(moved: kd.Timestream) -> list[int]:
        run = moved.run_iter("row")
        assert list(run) == []
        return [run.status[reason] for reason in ("moved_back", "held")]

    back = m.time() - timedelta(hours=1)
    assert left_out(m.shift_to(back)) == [len(ROWS), 0]
    assert left_out(m.shift_until(m.col("n") > 1000)) == [0, len(ROWS)]


def test_other_keys_are_looked_up(m: kd.Timestream) -> None:
    by_size = m.with_key(m.col("n") > 5, grouping="is_big").count()
    looked_up = by_size.lookup(m.col("n") > 5)
    assert looked_up.grouping == m.grouping
    assert [row[2] for row in shown(looked_up)] == [1, 1, 2, 3, None]


def test_every_aggregation_takes_a_window(m: kd.Timestream) -> None:
    windowed = [one for one in _skytide.functions() if one["windowed"]]
    assert len(windowed) >= 12
    for function in windowed:
        method = getattr(kd.Timestream, function["name"])
        assert "window" in inspect.signature(method).parameters
    of = {"count_if": m.col("n") > 5}
    constants = {"lag": (1,)}
    for function in windowed:
        name = function["name"]
        method = getattr(of.get(name, m.col("n")), name)
        answer = method(*constants.get(name, ()), window=Since.yearly())
        assert "since.yearly()" in str(answer)
        assert len(answer.to_rows()) == len(ROWS)


def test_what_is_no_window_is_refused(m: kd.Timestream) -> None:
    x = m.col("m")
    with pytest.raises(ValueError, match="`since` needs a condition, found i64") as raised:
        x.sum(window=Since(x))
    assert "Arg[1]: Since(" in raised.value.__notes__[1]
    with pytest.raises(ValueError, match="different groupings"):
        x.sum(window=Since(m.with_key(x, grouping="other").col("m") > 1))
    with pytest.raises((TypeError, ValueError), match="window"):
        x.sum(window="hourly")  # type: ignore[arg-type]
    uncalled: list[Any] = [Since.hourly, Sliding.daily, Trailing]
    for window, name in zip(
        uncalled, ["Since.hourly()", "Sliding.daily(…)", "Trailing(…)"], strict=True
    ):
        with pytest.raises(TypeError, match=re.escape(f"makes a window when it is called: {name}")):
            x.sum(window=window)


def test_shared_windows_stay_short(m: kd.Timestream) -> None:
    x = m.col("m")
    window = Since((x > 20) & (x < 30))
    total = x.sum(window=window)
    for _ in range(200):
        total = total + x.max(window=window) * x.min(window=window)
    assert len(str(total)) < 20_000
    assert len(total.to_rows()) == len(ROWS)
