"""What a query can be wrong by."""

from __future__ import annotations


class QueryError(ValueError, TypeError):
    """A query that means nothing: its text shows the place, what was expected and the nearest name."""

    __module__ = "skytide"
