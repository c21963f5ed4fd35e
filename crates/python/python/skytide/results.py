"""Which points of an answer are shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class History:
    """Every point.

    Args:
        since: Points from this time on, inclusive.
        until: Points up to and including this time.
    """

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Snapshot:
    """One row a key: its newest.

    Args:
        changed_since: Only keys whose answer changed at or after this time.
        at: As of this time; of the newest event unless given.
    """

    changed_since: datetime | None = None
    at: datetime | None = None
