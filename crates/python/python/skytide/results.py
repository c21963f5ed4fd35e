"""Which points of an answer are shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


def _check(name: str, at: object) -> None:
    """Refuse what is no time; a bare number has no unit, and pandas' ``NaT``, a datetime that is equal to nothing, is none."""
    if at is not None and (not isinstance(at, (date, str)) or at != at):
        raise TypeError(
            f"{name}={at!r}: a datetime or a text, as '2026-07-04T12:00:00Z', is a time"
        )


@dataclass(frozen=True)
class History:
    """Every point.

    Times are datetimes, dates (their beginning), or texts as in queries (``"2026-07-04"``); without a zone they are UTC.

    Args:
        since: Points from this time on, inclusive.
        until: Points up to and including this time.
    """

    since: date | str | None = None
    until: date | str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no time."""
        _check("since", self.since)
        _check("until", self.until)


@dataclass(frozen=True)
class Snapshot:
    """One row a key: its newest.

    Times are as of :class:`History`.

    Args:
        changed_since: Only keys whose answer had a point at or after this time.
        at: As of this time; of the newest event unless given.
    """

    changed_since: date | str | None = None
    at: date | str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no time."""
        _check("changed_since", self.changed_since)
        _check("at", self.at)
