"""Over which of a key's points an aggregation goes, as ``m.sum(window=Since.hourly())``.

Windows exclude their start and include their end. A calendar's intervals are those of UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Self, TypeAlias

from . import _skytide
from ._timestream import Timestream, Window, _native

Predicate: TypeAlias = Timestream | Callable[[Timestream], Timestream] | bool
"""A condition: a Timestream, a function that makes one of what is aggregated, or a constant."""

__all__ = ["Calendar", "Predicate", "Since", "Sliding", "Trailing", "Tumbling", "Window"]


class Calendar(StrEnum):
    """Where intervals begin and end, instead of a condition."""

    MINUTELY = "minutely"
    HOURLY = "hourly"
    DAILY = "daily"
    MONTHLY = "monthly"
    YEARLY = "yearly"


def _ended(
    name: str, counts: list[object], predicate: Predicate | Calendar, input: Timestream
) -> _skytide.Window:
    """Return a window that a condition ends, or a calendar."""
    if isinstance(predicate, Calendar):
        return _skytide.Window(name, counts, calendar=predicate.value)
    return _skytide.Window(name, [*counts, _native(predicate, input)])


@dataclass(frozen=True)
class _Single(Window):
    """A window of one interval."""

    #: What ends it: a condition, which may be a function of what is aggregated, or a calendar.
    predicate: Predicate | Calendar

    def _made(self, input: Timestream) -> _skytide.Window:
        return _ended(type(self).__name__.lower(), [], self.predicate, input)

    @classmethod
    def minutely(cls) -> Self:
        """Return the window of each minute."""
        return cls(Calendar.MINUTELY)

    @classmethod
    def hourly(cls) -> Self:
        """Return the window of each hour."""
        return cls(Calendar.HOURLY)

    @classmethod
    def daily(cls) -> Self:
        """Return the window of each day."""
        return cls(Calendar.DAILY)

    @classmethod
    def monthly(cls) -> Self:
        """Return the window of each month."""
        return cls(Calendar.MONTHLY)

    @classmethod
    def yearly(cls) -> Self:
        """Return the window of each year."""
        return cls(Calendar.YEARLY)


@dataclass(frozen=True)
class Since(_Single):
    """All points since the window last ended: a value at every point.

    The point at which the condition is true still counts. After it there is nothing until the next value.
    """


@dataclass(frozen=True)
class Tumbling(_Single):
    """The points of one window after another: a value where each ends."""


@dataclass(frozen=True)
class Sliding(Window):
    """The points of the last so many intervals: a value where each interval ends.

    Raises:
        ValueError: ``duration`` is not above zero.
    """

    #: How many intervals.
    duration: int
    #: What ends an interval: a condition, which may be a function of what is aggregated, or a calendar.
    predicate: Predicate | Calendar

    def __post_init__(self) -> None:
        """Refuse what is no window."""
        if self.duration <= 0:
            raise ValueError("duration must be positive")

    def _made(self, input: Timestream) -> _skytide.Window:
        return _ended("sliding", [self.duration], self.predicate, input)

    @classmethod
    def minutely(cls, duration: int) -> Self:
        """Return the window of so many minutes."""
        return cls(duration, Calendar.MINUTELY)

    @classmethod
    def hourly(cls, duration: int) -> Self:
        """Return the window of so many hours."""
        return cls(duration, Calendar.HOURLY)

    @classmethod
    def daily(cls, duration: int) -> Self:
        """Return the window of so many days."""
        return cls(duration, Calendar.DAILY)

    @classmethod
    def monthly(cls, duration: int) -> Self:
        """Return the window of so many months."""
        return cls(duration, Calendar.MONTHLY)

    @classmethod
    def yearly(cls, duration: int) -> Self:
        """Return the window of so many years."""
        return cls(duration, Calendar.YEARLY)


def _is_positive(length: Any) -> bool | None:
    """Return whether a length of time, of Python's or of numpy's, is above zero; None if it is no such length."""
    is_numpys = f"{type(length).__module__}.{type(length).__name__}" == "numpy.timedelta64"
    # What is equal to nothing is numpy's and pandas' length that is none.
    if not (isinstance(length, timedelta) or is_numpys) or length != length:
        return None
    try:
        return bool(timedelta(0) < length)
    except TypeError:
        # Years and months of numpy have no one length.
        return None


@dataclass(frozen=True)
class Trailing(Window):
    """The points of the last so long: a value at every point, and again where it leaves the window.

    Raises:
        ValueError: ``duration`` is not above zero.
        TypeError: It is no length of time.
    """

    #: How long: a timedelta, or a text as in queries (``"1h"``).
    duration: timedelta | str

    def __post_init__(self) -> None:
        """Refuse what is no window."""
        # The text of one is read where all texts of a query are.
        if isinstance(self.duration, str):
            return
        is_positive = _is_positive(self.duration)
        if is_positive is None:
            raise TypeError(
                f"duration={self.duration!r}: a timedelta or a text, as '1h', is a length of time"
            )
        if not is_positive:
            raise ValueError("duration must be positive")

    def _made(self, input: Timestream) -> _skytide.Window:
        return _skytide.Window("trailing", [self.duration])
