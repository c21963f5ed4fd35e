"""The methods of Kaskada's Timestream take their arguments by the names that they have there."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta

import pytest
import skytide as kd

from .answers import results

# Of Kaskada 0.6.1, by hand: each method's parameters; `*` begins those that have to be named, a name with a star stands for any number.
SIGNATURES = """
add rhs | sub rhs | mul rhs | div divisor | powf power | greatest rhs | least rhs | clamp min max
neg | ceil | floor | round | exp | sqrt
lt rhs | le rhs | gt rhs | ge rhs | eq other | ne other | and_ rhs | or_ rhs | not_
is_null | is_not_null | if_ condition | null_if condition | else_ other | coalesce arg *args
len | lower | upper | substring start end | hash
index key | length | flatten | union other
col name | select *args | remove *args | extend fields | record fields | cast data_type
filter condition | with_key key grouping | lookup key
time | seconds_since time | seconds_since_previous n
shift_by delta | shift_to time | shift_until predicate
sum * window | first * window | last window | count window | count_if window
min window | max window | mean window | stddev window | variance window
lag n | collect * max min window
pipe func *args | preview limit results | to_pandas results * row_limit
run_iter kind * mode results row_limit max_batch_size
write destination mode results | explain kind results mode
"""

METHODS = [method.split() for method in SIGNATURES.replace("\n", "|").split("|") if method.strip()]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method[0])
def test_every_method_takes_the_names_and_the_places(method: list[str]) -> None:
    name, *params = method
    signature = inspect.signature(getattr(kd.Timestream, name))
    places = params[: params.index("*")] if "*" in params else params
    places = [param for param in places if not param.startswith("*")]
    named = [param for param in params if param != "*" and not param.startswith("*")]
    signature.bind(None, *places)
    signature.bind(None, **{param: param for param in named})
    bound = signature.bind(None, *places).arguments
    assert [bound[param] for param in places] == places
    if any(param.startswith("*") and param != "*" for param in params):
        signature.bind(None, *places, "one", "more")


def test_calls_by_name_mean_what_calls_by_place_mean() -> None:
    source = kd.sources.PyDict(
        [{"t": at, "k": "A", "x": at, "y": 3, "l": [at, 7]} for at in range(5)],
        time_column="t",
        key_column="k",
        time_unit="s",
    )
    x, y = source.col("x"), source.col("y")
    for by_name, by_place in (
        (x.add(rhs=y), x + y),
        (x.div(divisor=y), x / y),
        (x.lt(rhs=y), x < y),
        (x.eq(other=y), x.eq(y)),
        (x.gt(rhs=1).and_(rhs=x.lt(rhs=3)), (x > 1) & (x < 3)),
        (x.if_(condition=x > 2).else_(other=y), x.if_(x > 2).else_(y)),
        (x.null_if(condition=x > 2).coalesce(arg=9), x.null_if(x > 2).coalesce(9)),
        (source.col("l").index(key=1), source.col("l")[1]),
        (x.greatest(rhs=2), x.greatest(2)),
        (x.shift_by(delta=timedelta(seconds=2)), x.shift_by(timedelta(seconds=2))),
        (
            source.time().seconds_since(time=source.time()),
            source.time().seconds_since(source.time()),
        ),
        (x.collect(max=2, min=0), x.collect(2)),
    ):
        assert results(by_name) == results(by_place)


def test_points_that_would_move_back_are_dropped_and_counted() -> None:
    source = kd.sources.PyDict(
        [{"t": at, "k": "A", "x": at} for at in range(5)],
        time_column="t",
        key_column="k",
        time_unit="s",
    )
    # A length that is a constant is refused; one that is computed may be below zero at some points.
    with pytest.raises(ValueError, match="points move forward only"):
        source.col("x").shift_by(delta=timedelta(seconds=-1))
    length = source.time() - datetime.fromtimestamp(3, UTC)
    running = source.col("x").shift_by(delta=length).run_iter("row")
    assert [row["result"] for row in running] == [3, 4]
    assert running.status["moved_back"] == 3
