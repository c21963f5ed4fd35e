"""Tables filled from dicts, text, and everything that speaks Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from .. import _arrow, _skytide
from .source import Late, Pushed, Source, TimeUnit

if TYPE_CHECKING:
    from datetime import timedelta

    import pandas as pd


class _Optional(TypedDict, total=False):
    """The keywords of every table that may be left out."""

    queryable: bool
    subsort_column: str | None
    grouping_name: str | None
    time_unit: TimeUnit | None
    name: str | None
    lateness: float | timedelta
    late: Late
    idle_timeout: float | timedelta | None
    beside: Source | None


class Options(_Optional):
    """The keywords of every table: see :class:`Source`."""

    time_column: str
    key_column: str


def _text(text: str | bytes | BytesIO) -> str:
    """Return text, whatever form it is given in."""
    if isinstance(text, BytesIO):
        text = text.getvalue()[text.tell() :]
    return text.decode() if isinstance(text, bytes) else text


def _offered(data: Any) -> Any:
    """Return what Arrow's interface takes: frames of polars hand over columns of nulls in a form that it does not know.

    Raises:
        ValueError: A column of polars is of a type that Arrow does not have.
    """
    if type(data).__module__.partition(".")[0] != "polars":
        return data
    import polars as pl

    if not isinstance(data, pl.DataFrame):
        return data
    known = {name: _known(of) for name, of in data.schema.items()}
    data = data.cast({name: of for name, of in known.items() if of != data.schema[name]})
    try:
        _skytide.Table.schema_of_arrow(data)
    except ValueError:
        for column in data.iter_columns():
            try:
                _skytide.Table.schema_of_arrow(column.to_frame())
            except ValueError as error:
                raise ValueError(
                    f"column {column.name!r} is {column.dtype}, which is no type of Arrow's: cast it"
                ) from error
        raise
    return data


def _known(of: Any) -> Any:
    """Return a type of polars with text where nothing is known."""
    import polars as pl

    if of == pl.Null:
        return pl.String()
    if isinstance(of, pl.List):
        return pl.List(_known(of.inner))
    if isinstance(of, pl.Array):
        return pl.Array(_known(of.inner), of.size)
    if isinstance(of, pl.Struct):
        return pl.Struct({field.name: _known(field.dtype) for field in of.fields})
    return of


def _found(schema: object | None, data: object | None, of: Any, what: str) -> object:
    """Return the schema; where it is not given, the one that the data seems to have."""
    if schema is not None:
        return schema
    if data is None:
        raise ValueError(f"schema or {what} must be given")
    return of(data)


def _held(rows: Any) -> Any:
    """Return rows that can be read twice, to find their columns and to be added: what an iterator gives is there but once."""
    # Frames and tables are no rows, which is told of them as they are.
    held = (type(None), Mapping, Sequence)
    is_held = isinstance(rows, held) or hasattr(rows, "__arrow_c_stream__")
    return rows if is_held else list(rows)


class PyDict(Source):
    """Rows as dicts.

    Values are taken for what they are, to the nanosecond: those of Python, scalars and arrays of numpy, those of pandas, polars and
    pyarrow; any sequence is a list. Decimals are a column of decimals, with all their digits; ``cast("f64")`` makes numbers of them
    that can be computed with. A ``date`` is the moment at which it begins in UTC, which can be computed with; in a column that the
    schema says is one of dates it is a date. Whole numbers are ``i64``, with some beyond it ``u64``, with negative ones beside those
    decimals; one beyond 64 bits is a float, but for a column of decimals. The keys of a dict are names of fields: what has another one
    is counted as ``unknown``; in a column that the schema says is one of maps any will do.
    """

    def __init__(
        self,
        rows: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
        *,
        schema: object | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Create a table, with what is given in it.

        Args:
            rows: A row, or rows.
            schema: The columns; found from the data unless given.
            **options: See :class:`Source`.
        """
        if schema is None:
            rows = _held(rows)
        super().__init__(_found(schema, rows, _skytide.Table.schema_of_rows, "rows"), **options)
        if rows is not None:
            self.add_rows(rows)

    @classmethod
    async def create(
        cls,
        rows: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
        *,
        schema: object | None = None,
        **options: Unpack[Options],
    ) -> PyDict:
        """Create a table, with what is given in it.

        Args:
            rows: A row, or rows.
            schema: The columns; found from the data unless given.
            **options: See :class:`Source`.
        """
        return cls(rows, schema=schema, **options)

    def add_rows(self, rows: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Pushed:
        """Add a row, or rows. They are there at once; awaiting waits for room."""
        self._table.add_rows(rows)
        return Pushed(self._table)


class _OfArrow(Source):
    """A table of what speaks Arrow's interface."""

    def _add(self, data: Any) -> None:
        """Add rows."""
        self._table.add_arrow(_arrow.taken(data))


class Arrow(_OfArrow):
    """Anything that offers ``__arrow_c_stream__`` or ``__arrow_c_array__``: tables of pyarrow, polars, DuckDB, …."""

    def __init__(
        self,
        data: object | None = None,
        *,
        schema: object | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Create a table, with what is given in it.

        Args:
            data: The rows.
            schema: The columns; found from the data unless given.
            **options: See :class:`Source`.
        """
        data = _offered(data)
        super().__init__(_found(schema, data, _skytide.Table.schema_of_arrow, "data"), **options)
        if data is not None:
            self._add(data)

    @classmethod
    async def create(
        cls,
        data: object | None = None,
        *,
        schema: object | None = None,
        **options: Unpack[Options],
    ) -> Arrow:
        """Create a table, with what is given in it.

        Args:
            data: The rows.
            schema: The columns; found from the data unless given.
            **options: See :class:`Source`.
        """
        return cls(data, schema=schema, **options)

    def add_data(self, data: object) -> Pushed:
        """Add rows. They are there at once; awaiting waits for room."""
        self._add(_offered(data))
        return Pushed(self._table)


class Pandas(_OfArrow):
    """Rows of DataFrames of pandas (which needs pyarrow)."""

    def __init__(
        self,
        dataframe: pd.DataFrame | None = None,
        *,
        schema: object | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Create a table, with what is given in it.

        Args:
            dataframe: The rows.
            schema: The columns; found from the data unless given.
            **options: See :class:`Source`.
        """
        super().__init__(
            _found(schema, dataframe, _skytide.Table.schema_of_arrow, "dataframe"), **options
        )
        if dataframe is not None:
            self.add_data(dataframe)

    @classmethod
    async def create(
        cls,
        dataframe: pd.DataFrame | None = None,
        *,
        schema: object | None = None,
        **options: Unpack[Options],
    ) -> Pandas:
        """Create a table, with what is given in it.

        Args:
            dataframe: The rows.
            schema: The columns; found from the data unless given.
            **options: See :class:`Source`.
        """
        return cls(dataframe, schema=schema, **options)

    def add_data(self, data: pd.DataFrame) -> Pushed:
        """Add rows. They are there at once; awaiting waits for room."""
        self._add(data)
        return Pushed(self._table)


class CsvString(Source):
    """Rows as CSV with a header (RFC 4180): a quote within quotes is doubled, an empty cell is null."""

    def __init__(
        self,
        csv_string: str | bytes | BytesIO | None = None,
        *,
        schema: object | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Create a table, with what is given in it.

        Args:
            csv_string: The text.
            schema: The columns; found from the data unless given.
            **options: See :class:`Source`.
        """
        super().__init__(
            _found(
                schema,
                csv_string,
                lambda text: _skytide.Table.schema_of_csv(_text(text)),
                "csv_string",
            ),
            **options,
        )
        if csv_string is not None:
            self.add_string(csv_string)

    @classmethod
    async def create(
        cls,
        csv_string: str | bytes | BytesIO | None = None,
        *,
        schema: object | None = None,
        **options: Unpack[Options],
    ) -> CsvString:
        """Create a table, with what is given in it.

        Args:
            csv_string: The text.
            schema: The columns; found from the data unless given.
            **options: See :class:`Source`.
        """
        return cls(csv_string, schema=schema, **options)

    def add_string(self, csv_string: str | bytes | BytesIO) -> Pushed:
        """Add rows. They are there at once; awaiting waits for room."""
        self._table.add_csv(_text(csv_string))
        return Pushed(self._table)


class JsonlString(Source):
    """Rows as JSON, one a line."""

    def __init__(
        self,
        json_string: str | bytes | BytesIO | None = None,
        *,
        schema: object | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Create a table, with what is given in it.

        Args:
            json_string: The text.
            schema: The columns; found from the data unless given.
            **options: See :class:`Source`.
        """
        super().__init__(
            _found(
                schema,
                json_string,
                lambda text: _skytide.Table.schema_of_json(_text(text)),
                "json_string",
            ),
            **options,
        )
        if json_string is not None:
            self.add_string(json_string)

    @classmethod
    async def create(
        cls,
        json_string: str | bytes | BytesIO | None = None,
        *,
        schema: object | None = None,
        **options: Unpack[Options],
    ) -> JsonlString:
        """Create a table, with what is given in it.

        Args:
            json_string: The text.
            schema: The columns; found from the data unless given.
            **options: See :class:`Source`.
        """
        return cls(json_string, schema=schema, **options)

    def add_string(self, json_string: str | bytes | BytesIO) -> Pushed:
        """Add rows. They are there at once; awaiting waits for room."""
        self._table.add_json(_text(json_string))
        return Pushed(self._table)


class JsonlFile(Source):
    """Rows of files of JSON, one a line."""

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        schema: object | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Create a table, with what is given in it.

        Args:
            path: The file.
            schema: The columns; found from the data unless given.
            **options: See :class:`Source`.
        """
        super().__init__(
            _found(
                schema,
                path,
                lambda path: _skytide.Table.schema_of_json(Path(path).read_text()),
                "path",
            ),
            **options,
        )
        if path is not None:
            self.add_file(path)

    @classmethod
    async def create(
        cls,
        path: str | Path | None = None,
        *,
        schema: object | None = None,
        **options: Unpack[Options],
    ) -> JsonlFile:
        """Create a table, with what is given in it.

        Args:
            path: The file.
            schema: The columns; found from the data unless given.
            **options: See :class:`Source`.
        """
        return cls(path, schema=schema, **options)

    def add_file(self, path: str | Path) -> Pushed:
        """Add the rows of a file. They are there at once; awaiting waits for room."""
        self._table.add_json(Path(path).read_text())
        return Pushed(self._table)
