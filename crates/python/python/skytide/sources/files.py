"""Files as sources: read anew by each query, a batch at a time."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Coroutine, Generator, Iterable
from typing import Any, TypedDict, Unpack

from .. import _skytide
from .._timestream import Timestream
from .source import TimeUnit

_NUMBERS = itertools.count(1)

MEMORY = 256 << 20
"""Bytes of memory for rows that must be sorted, unless given."""


class FileOptions(TypedDict, total=False):
    """The keywords of files that may be left out: see :class:`Files`."""

    subsort_column: str | None
    grouping_name: str | None
    time_unit: TimeUnit | None
    name: str | None
    memory: int


def _refuse_unknown(options: FileOptions) -> None:
    """A keyword that is misspelt would be without effect."""
    for name in options.keys() - FileOptions.__annotations__.keys():
        raise TypeError(
            f"files have no keyword {name!r}; {', '.join(FileOptions.__annotations__)} are"
        )


class Added(Coroutine[Any, None, None]):
    """What adding a file gives: it is there already; awaiting it, or running it as a task, waits for nothing."""

    def __await__(self) -> Generator[Any, None, None]:
        """Return at once."""
        yield from ()

    def send(self, value: None) -> Any:
        """Return at once, as a task."""
        raise StopIteration

    def throw(self, *error: Any) -> Any:
        """End by an exception, as the end of a task does."""
        raise error[0]

    def close(self) -> None:
        """End what is at its end."""


class Files(Timestream):
    """Files of Parquet, CSV (with a header), JSON lines or Arrow IPC, as their names say: each row is a point.

    Nothing is kept: each query reads the files anew, only the columns that it asks for, in batches. Files in order of time are
    streamed, others are sorted, with what does not fit into ``memory`` kept on disk meanwhile. A row without a time is dropped and
    counted, a value that does not fit its column is null and counted (``status`` of a run). They end: in a live query beside a
    firehose they are the history before it.
    """

    _files: _skytide.Files

    def __init__(
        self,
        path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
        *,
        time_column: str,
        key_column: str,
        schema: object | None = None,
        **options: Unpack[FileOptions],
    ) -> None:
        """Open files: what they say of their columns is read.

        Args:
            path: A file, a pattern of files (``"day/*.parquet"``), or several of either; rows of one time stand in their order.
            time_column: The column of the points' times.
            key_column: The column of their keys.
            schema: The columns, where there is no file yet; those of the files unless given.
            **options: ``subsort_column``, the column that orders points of one time, else they stand as in the files;
                ``grouping_name``, what the keys are, the key column's name unless given; ``time_unit``, the unit of a time column of
                numbers, nanoseconds unless given; ``name``, what texts and messages call it; ``memory``, bytes for rows that
                must be sorted.

        Raises:
            OSError: A file is not there, or cannot be read; ``filename`` is its path.
            TypeError: A keyword is none of these.
            ValueError: A file is damaged, or a column is not there or cannot be what it is to be.
        """
        _refuse_unknown(options)
        if path is None:
            paths: list[str | os.PathLike[str]] = []
        elif isinstance(path, (str, os.PathLike)):
            paths = [path]
        else:
            paths = list(path)
        self._files = _skytide.Files(
            paths,
            time_column=time_column,
            key_column=key_column,
            name=options.get("name") or f"files{next(_NUMBERS)}",
            spill=tempfile.gettempdir(),
            schema=schema,
            subsort_column=options.get("subsort_column"),
            grouping_name=options.get("grouping_name"),
            time_unit=options.get("time_unit"),
            memory=options.get("memory", MEMORY),
        )
        super().__init__(self._files.stream())

    @property
    def name(self) -> str:
        """What texts and messages call it."""
        return self._files.name

    @property
    def schema(self) -> _skytide.Schema:
        """Its columns."""
        return self._files.schema

    def add_file(self, file: str | os.PathLike[str]) -> Added:
        """Add a file, or those that a pattern fits. Queries that start later read it too."""
        self._files.add(file)
        return Added()


class Parquet(Files):
    """Parquet files: see :class:`Files`."""

    @classmethod
    async def create(
        cls,
        file: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
        *,
        time_column: str,
        key_column: str,
        schema: object | None = None,
        **options: Unpack[FileOptions],
    ) -> Parquet:
        """Open files: see :class:`Files`."""
        return cls(file, time_column=time_column, key_column=key_column, schema=schema, **options)
