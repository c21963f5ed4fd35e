"""Rows that a program pushes, as a Timestream."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from .. import _skytide
from .._timestream import Timestream

TimeUnit: TypeAlias = Literal["ns", "us", "ms", "s"]
Late: TypeAlias = Literal["drop", "side", "error"]

_LOOK_AGAIN = 0.002


def _seconds(length: Any) -> float:
    if isinstance(length, timedelta):
        return length.total_seconds()
    of = getattr(length, "dtype", None)
    # numpy's lengths of time; of its numbers it makes seconds as of others.
    is_span = getattr(of, "kind", None) == "m"
    return float(length / type(length)(1, "s")) if is_span else length


class Pushed(Coroutine[Any, None, None]):
    """What a push gives: the rows are there already; awaiting it, or running it as a task, waits until no running query is far behind."""

    def __init__(self, table: _skytide.Table) -> None:
        """Keep the table that was pushed into."""
        self._table = table
        self._turns = self.__await__()

    def __await__(self) -> Generator[Any, None, None]:
        """Give other tasks a turn, and wait for room."""
        # As `asyncio.sleep(0)` does it; and that module, which takes its time to import, is there only where it is needed.
        yield
        while not self._table.has_room():
            from asyncio import sleep

            yield from sleep(_LOOK_AGAIN).__await__()

    def send(self, value: None) -> Any:
        """Go on waiting, as a task does."""
        return self._turns.send(value)

    def throw(self, *error: Any) -> Any:
        """End the wait by an exception, as the end of a task does."""
        return self._turns.throw(*error)

    def close(self) -> None:
        """End the wait."""
        self._turns.close()


class Source(Timestream):
    """A table that a program pushes rows into: each row is a point.

    Rows are kept as columns, appended and never copied again. A value that does not fit its column is null and counted; a row
    without a time is dropped and counted; what is in no column of the table is left out and counted. What a column holds is settled
    when the table is made: one without any values then (all of them None, a column of objects of an empty frame) is one of texts.
    A text with half of a surrogate pair is no text of UTF-8: it is refused (``ValueError``), with all rows that came with it.
    """

    _table: _skytide.Table

    def __init__(
        self,
        schema: object,
        *,
        time_column: str,
        key_column: str,
        queryable: bool = True,
        subsort_column: str | None = None,
        grouping_name: str | None = None,
        time_unit: TimeUnit | None = None,
        name: str | None = None,
        lateness: float | timedelta = 0.0,
        late: Late = "drop",
        idle_timeout: float | timedelta | None = None,
        beside: Source | None = None,
    ) -> None:
        """Create an empty table.

        Args:
            schema: The columns: a schema of pyarrow's or of any library with ``__arrow_c_schema__``, or a dict of names and types
                (``{"did": "utf8", "langs": ["utf8"], "at": {"x": "f64"}}``).
            time_column: The column of the points' times.
            key_column: The column of their keys.
            queryable: Whether rows are kept for queries that start later; else only running ones get them: each the rows that are
                pushed from its start on.
            subsort_column: The column that orders points of one time; else they stand as they were pushed.
            grouping_name: What the keys are: streams of one grouping can be used together. The key column's name unless given.
            time_unit: The unit of a time column of numbers; nanoseconds unless given.
            name: What texts and messages call it.
            lateness: How far (seconds) behind the newest a point may come in a live query before it is late.
            late: What becomes of late points: ``"drop"``, they are counted; ``"side"``, they are there to be taken, whole, by the run's
                ``late_rows()``; ``"error"``, the first one ends the query with a RuntimeError, once the rows before it are read.
            idle_timeout: After so long a silence (seconds) a live query of several sources does not wait for this one. Unless given
                it waits until the table's :meth:`end`: only the program knows whether a table that is silent has nothing to say, or not
                yet. A row that comes after all, and is older than what has gone out, is late then.
            beside: A table whose source this one is a stream of too: points of both stand in the order in which they were pushed.

        Raises:
            ColumnError: A column is named that there is not: a ValueError and a KeyError.
            ValueError: A column cannot be what it is to be.
            TypeError: The schema is none.
        """
        self._table = _skytide.Table(
            schema,
            time_column=time_column,
            key_column=key_column,
            queryable=queryable,
            subsort_column=subsort_column,
            grouping_name=grouping_name,
            time_unit=time_unit,
            name=name,
            lateness=_seconds(lateness),
            late=late,
            idle_timeout=None if idle_timeout is None else _seconds(idle_timeout),
            beside=None if beside is None else beside._table,
        )
        super().__init__(self._table.stream())

    @property
    def name(self) -> str:
        """What texts and messages call it."""
        return self._table.name

    @property
    def schema(self) -> _skytide.Schema:
        """Its columns."""
        return self._table.schema

    @property
    def counts(self) -> dict[str, int]:
        """What happened to what was pushed.

        ``rows`` were taken, ``misfits`` are values that are null now, ``untimed`` rows that were dropped for having no time, ``unknown``
        values of columns that the table does not have, or of fields that its records do not have.
        """
        return self._table.counts

    def end(self) -> None:
        """Say that it is complete: live queries do not wait for its rows any more, and end where they read nothing else.

        What is there can still be asked for; adding rows is a ValueError from now on.
        """
        self._table.end()
