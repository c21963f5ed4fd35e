"""What a query can be wrong by."""

from __future__ import annotations


class QueryError(ValueError, TypeError):
    """A query that means nothing: its text shows the place, what was expected and the nearest name."""

    __module__ = "skytide"


class ColumnError(ValueError, KeyError):
    """A column is named that a source does not have."""

    __module__ = "skytide"

    # Of a key the error would show its quoted form.
    __str__ = Exception.__str__
