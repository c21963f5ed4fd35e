"""Timestreams: queries as Python values."""

from __future__ import annotations

import html
import os
import warnings
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    SupportsIndex,
    TypeAlias,
    TypeVar,
    Union,
    overload,
)

from . import _skytide
from ._errors import QueryError
from ._execution import ResultIterator
from ._functions import Functions
from .results import History, Snapshot

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from .udf import Udf

T = TypeVar("T")

LiteralValue: TypeAlias = (
    None | bool | int | float | str | timedelta | datetime | date | SupportsIndex
)
"""What a constant of a query can be; whole numbers of numpy have an index, too."""

Arg: TypeAlias = Union["Timestream", Callable[["Timestream"], "Timestream"], LiteralValue]
"""An argument: a Timestream, a function that makes one of what a method is called on, or a constant."""

Results: TypeAlias = History | Snapshot


class Window:
    """Over which of a key's points an aggregation goes: those of :mod:`skytide.windows`."""

    def _made(self, input: Timestream) -> _skytide.Window:
        """Return it for what is aggregated."""
        raise NotImplementedError


def _native(arg: object, input: object) -> object:
    """Return what the native side takes for an argument."""
    if isinstance(arg, Window) and isinstance(input, Timestream):
        return arg._made(input)
    of = arg if isinstance(arg, type) else getattr(arg, "__self__", None)
    if isinstance(of, type) and issubclass(of, Window):
        example = "()" if of.__name__ in ("Since", "Tumbling") and arg is not of else "(…)"
        name = of.__name__ if arg is of else f"{of.__name__}.{getattr(arg, '__name__', '')}"
        raise TypeError(f"{name} makes a window when it is called: {name}{example}")
    if callable(arg) and not isinstance(arg, Timestream):
        if input is None:
            raise ValueError("a callable argument needs a Timestream that it is applied to")
        arg = arg(input)
    return arg._stream if isinstance(arg, Timestream) else arg


def _noted(error: Exception, args: list[object]) -> Exception:
    """Add to an error what each argument is."""
    for at, arg in enumerate(args):
        if isinstance(arg, Timestream):
            error.add_note(f"Arg[{at}]: Timestream[{arg.data_type}]")
        elif isinstance(arg, Window):
            error.add_note(f"Arg[{at}]: {arg!r}")
        elif callable(arg):
            error.add_note(f"Arg[{at}]: a function")
        else:
            error.add_note(f"Arg[{at}]: Literal {arg!r} ({type(arg).__name__})")
    return error


class Timestream(Functions):
    """For every key a sequence of points, each a time and a value; an expression over such.

    Timestreams are made by :mod:`skytide.sources` and by the methods of others. Nothing is computed until one is run.
    """

    _stream: _skytide.Stream

    # numpy's scalars on the left leave operators to this class as what they are; it would make numbers of moments and lengths of time.
    __array_ufunc__ = None

    def __init__(self, native: _skytide.Stream) -> None:
        """Take over a native stream."""
        self._stream = native

    @staticmethod
    def _call(
        function: str | _skytide.Udf, *args: object, input: object = None, **named: object
    ) -> Timestream:
        """Apply a function of the engine or of the program's own; arguments by name that are None are left out."""
        given: list[tuple[str | None, object]] = [(None, arg) for arg in args]
        given += [(name, arg) for name, arg in named.items() if arg is not None]
        try:
            native = [(name, _native(arg, input)) for name, arg in given]
            if not any(isinstance(arg, _skytide.Stream) for _, arg in native):
                name = function if isinstance(function, str) else function.name
                raise ValueError(f"`{name}` needs a stream: at least one non-literal argument")
            return Timestream(_skytide.Stream.call(function, native))
        except (TypeError, ValueError) as error:
            raise _noted(error, [arg for _, arg in given]) from None

    @property
    def data_type(self) -> pa.DataType:
        """The type of its values: pyarrow's; without pyarrow one that others can take by ``__arrow_c_schema__``."""
        native = self._stream.data_type
        try:
            import pyarrow as pa
        except ImportError:
            return native
        return pa.field(native).type

    @property
    def is_continuous(self) -> bool:
        """Whether a value holds until it changes, as of aggregations; else it is at its points only."""
        return self._stream.is_continuous

    @property
    def grouping(self) -> str | None:
        """What its keys are: streams of one grouping can be used together."""
        return self._stream.grouping

    def pipe(
        self, func: Callable[..., T] | tuple[Callable[..., T], str], *args: Any, **kwargs: Any
    ) -> T:
        """Apply a function to this Timestream, for chains.

        Args:
            func: The function; or it with the name of the keyword that this Timestream is given as.
            *args: What else it is given.
            **kwargs: What else it is given by name.

        Raises:
            ValueError: The keyword is among ``kwargs`` too.
        """
        if isinstance(func, tuple):
            func, target = func
            if target in kwargs:
                raise ValueError(f"{target} is given by pipe and as a keyword argument")
            kwargs[target] = self
            return func(*args, **kwargs)
        return func(self, *args, **kwargs)

    # Fields

    def col(self, name: str) -> Timestream:
        """Return a field of its values.

        Raises:
            TypeError: The values are no records.
            ValueError: They have no such field.
        """
        try:
            return Timestream(self._stream.field(name))
        except QueryError as error:
            if self._stream.data_type.names is not None:
                raise _noted(error, [self, name]) from None
            found = f"Cannot access column {name!r} of non-record type '{self.data_type}'"
            raise _noted(QueryError(f"{found}\n{error}"), [self, name]) from None

    def select(self, *args: str) -> Timestream:
        """Return records of these fields alone."""
        return Timestream._call("select", self, *args, input=self)

    def remove(self, *args: str) -> Timestream:
        """Return records without these fields."""
        return Timestream._call("remove", self, *args, input=self)

    def extend(
        self,
        fields: Timestream
        | Mapping[str, Arg]
        | Callable[[Timestream], Timestream | Mapping[str, Arg]],
    ) -> Timestream:
        """Return records with more fields before their own; of two of one name the new one stays.

        Args:
            fields: The fields, a Timestream of records, or a function that makes either of this Timestream.
        """
        if callable(fields) and not isinstance(fields, Timestream):
            fields = fields(self)
        if isinstance(fields, Timestream):
            return Timestream._call("extend", self, fields)
        try:
            native = [(name, _native(value, self)) for name, value in fields.items()]
            return Timestream(self._stream.extend(native)) if native else self
        except (TypeError, ValueError) as error:
            raise _noted(error, [self, *fields.values()]) from None

    def record(self, fields: Callable[[Timestream], Mapping[str, Arg]]) -> Timestream:
        """Return records of the fields that a function makes of this Timestream."""
        return record(fields(self), input=self)

    def with_key(self, key: Arg, grouping: Arg = None) -> Timestream:
        """Return the same points under another key, with a warning where it is a text that a field is called by.

        Args:
            key: The key. Null is a key of its own. Points keep their order.
            grouping: What two streams must share to be used in one expression; called as the key is written unless given.
        """
        if isinstance(key, str) and key in self._stream.data_type.columns:
            text = f"with_key({key!r}) is one key for all points: col({key!r}) is the field"
            warnings.warn(text, stacklevel=2)
        return super().with_key(key, grouping)

    def cast(self, data_type: str | pa.DataType) -> Timestream:
        """Return the values in another type; what does not fit is null.

        Args:
            data_type: The name of a type (as ``"i64"``), or a type of pyarrow's. A number is counted in the unit of a moment or length of
                time of pyarrow's, in nanoseconds by a type's name.
        """
        count = self
        nanos = _NANOS.get(getattr(data_type, "unit", "ns"), 1)
        of = _type_name(self.data_type)
        if nanos > 1 and (of in _NUMBERS or of.startswith("decimal")):
            has_places = of.startswith("f") or getattr(self.data_type, "scale", 0) > 0
            # Wide enough for the nanoseconds.
            count = self.cast("f64" if has_places else "i64").mul(nanos)
        return Timestream._call("cast", count, _type_name(data_type), input=count)

    # Operators

    def __add__(self, other: Arg) -> Timestream:
        """Return ``self + other``."""
        return self.add(other)

    def __radd__(self, other: Arg) -> Timestream:
        """Return ``other + self``."""
        return Timestream._call("add", other, self)

    def __sub__(self, other: Arg) -> Timestream:
        """Return ``self - other``."""
        return self.sub(other)

    def __rsub__(self, other: Arg) -> Timestream:
        """Return ``other - self``."""
        return Timestream._call("sub", other, self)

    def __mul__(self, other: Arg) -> Timestream:
        """Return ``self * other``."""
        return self.mul(other)

    def __rmul__(self, other: Arg) -> Timestream:
        """Return ``other * self``."""
        return Timestream._call("mul", other, self)

    def __truediv__(self, other: Arg) -> Timestream:
        """Return ``self / other``."""
        return self.div(other)

    def __rtruediv__(self, other: Arg) -> Timestream:
        """Return ``other / self``."""
        return Timestream._call("div", other, self)

    def __mod__(self, other: Arg) -> Timestream:
        """Return ``self % other``."""
        return self.rem(other)

    def __rmod__(self, other: Arg) -> Timestream:
        """Return ``other % self``."""
        return Timestream._call("rem", other, self)

    def __neg__(self) -> Timestream:
        """Return ``-self``."""
        return self.neg()

    def __lt__(self, other: Arg) -> Timestream:
        """Return ``self < other``."""
        return self.lt(other)

    def __le__(self, other: Arg) -> Timestream:
        """Return ``self <= other``."""
        return self.le(other)

    def __gt__(self, other: Arg) -> Timestream:
        """Return ``self > other``."""
        return self.gt(other)

    def __ge__(self, other: Arg) -> Timestream:
        """Return ``self >= other``."""
        return self.ge(other)

    def __and__(self, other: Arg) -> Timestream:
        """Return ``self & other``."""
        return self.and_(other)

    def __rand__(self, other: Arg) -> Timestream:
        """Return ``other & self``."""
        return Timestream._call("and", other, self)

    def __or__(self, other: Arg) -> Timestream:
        """Return ``self | other``."""
        return self.or_(other)

    def __ror__(self, other: Arg) -> Timestream:
        """Return ``other | self``."""
        return Timestream._call("or", other, self)

    def __invert__(self) -> Timestream:
        """Return ``~self``: not."""
        return self.not_()

    def __getitem__(self, key: Arg) -> Timestream:
        """Return ``self[key]``: the field of a name, an item of a list by its place, the value of a map's key."""
        if isinstance(key, str) and not self._stream.data_type.is_map:
            return self.col(key)
        return self.index(key)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Refuse: fields are items, as many have names that methods have."""
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if not name.startswith("_") and name in self._stream.data_type.columns:
                text += f": a field is an item, [{name!r}]"
            raise AttributeError(text, name=name, obj=self)

    def _ipython_key_completions_(self) -> list[str]:
        """Return the names of fields, which a notebook offers after ``self["``."""
        return self._stream.data_type.columns

    def __eq__(self, other: object) -> bool:
        """Compare identities, with a warning: ``eq`` compares values."""
        warnings.warn("Use 'eq' instead: '==' compares Timestreams, not values", stacklevel=2)
        return self is other

    def __ne__(self, other: object) -> bool:
        """Compare identities, with a warning: ``ne`` compares values."""
        warnings.warn("Use 'ne' instead: '!=' compares Timestreams, not values", stacklevel=2)
        return self is not other

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        """Refuse: a condition of a query is no condition of Python's."""
        raise TypeError("a Timestream is not true or false: use 'and_', 'or_' and 'not_', or & | ~")

    def __iter__(self) -> Any:
        """Refuse: its points are read by :meth:`run_iter`."""
        raise TypeError("a Timestream cannot be iterated: 'run_iter' runs it")

    # Running

    def _run(
        self,
        results: Results | None,
        *,
        live: bool = False,
        row_limit: int | None = None,
        max_batch_size: int | None = None,
    ) -> _skytide.Execution:
        results = History() if results is None else results
        if isinstance(results, Snapshot):
            since, until = results.changed_since, results.at
        elif isinstance(results, History):
            since, until = results.since, results.until
        else:
            raise TypeError(f"results are a History or a Snapshot, not {results!r}")
        for name, limit in (("row_limit", row_limit), ("max_batch_size", max_batch_size)):
            if limit is not None and limit < 0:
                raise ValueError(f"{name}={limit}: 0 or more")
        return self._stream.run(
            live=live,
            snapshot=isinstance(results, Snapshot),
            since=since,
            until=until,
            row_limit=row_limit,
            max_batch_size=max_batch_size,
        )

    def preview(self, limit: int = 10, results: Results | None = None) -> pd.DataFrame:
        """Return the first points as a DataFrame of pandas.

        Args:
            limit: How many points.
            results: Which points; every one unless given.

        Raises:
            ValueError: A number of rows is below zero, or a time of the results does not read.
            RuntimeError: The query failed.
        """
        return self.to_pandas(results, row_limit=limit)

    def to_pandas(
        self, results: Results | None = None, *, row_limit: int | None = None
    ) -> pd.DataFrame:
        """Run it over what is there; return the answer as a DataFrame of pandas (which needs pyarrow).

        Args:
            results: Which points; every one unless given.
            row_limit: How many rows at most.

        Raises:
            ValueError: A number of rows is below zero, or a time of the results does not read.
            RuntimeError: The query failed.
        """
        return _in_pandas(self.to_arrow(results, row_limit=row_limit))

    def to_arrow(self, results: Results | None = None, *, row_limit: int | None = None) -> pa.Table:
        """Run it over what is there; return the answer as a Table of pyarrow.

        Args:
            results: Which points; every one unless given.
            row_limit: How many rows at most.

        Raises:
            ValueError: A number of rows is below zero, or a time of the results does not read.
            RuntimeError: The query failed.
        """
        import pyarrow as pa

        return pa.table(self._run(results, row_limit=row_limit).collect())

    def to_polars(
        self, results: Results | None = None, *, row_limit: int | None = None
    ) -> pl.DataFrame:
        """Run it over what is there; return the answer as a DataFrame of polars.

        Args:
            results: Which points; every one unless given.
            row_limit: How many rows at most.

        Raises:
            ValueError: A number of rows is below zero, or a time of the results does not read.
            RuntimeError: The query failed.
        """
        import polars as pl

        return pl.DataFrame(self._run(results, row_limit=row_limit).collect())

    def to_rows(
        self, results: Results | None = None, *, row_limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Run it over what is there; return the answer as dicts. No other library is needed.

        Values are Python's own: moments are datetimes (cut to the microsecond), decimals are ``Decimal``, days are dates, and so on. A
        map is a dict, or a list of pairs where its keys are not hashable or one is there twice; a calendar interval, which Python has
        none of, is its months, days and nanoseconds.

        Args:
            results: Which points; every one unless given.
            row_limit: How many rows at most.

        Raises:
            ValueError: A number of rows is below zero, or a time of the results does not read.
            RuntimeError: The query failed.
        """
        return self._run(results, row_limit=row_limit).collect().rows()

    @overload
    def run_iter(
        self,
        kind: Literal["pandas"] = "pandas",
        *,
        mode: Literal["once", "live"] = "once",
        results: Results | None = None,
        row_limit: int | None = None,
        max_batch_size: int | None = None,
    ) -> ResultIterator[pd.DataFrame]: ...

    @overload
    def run_iter(
        self,
        kind: Literal["pyarrow"],
        *,
        mode: Literal["once", "live"] = "once",
        results: Results | None = None,
        row_limit: int | None = None,
        max_batch_size: int | None = None,
    ) -> ResultIterator[pa.RecordBatch]: ...

    @overload
    def run_iter(
        self,
        kind: Literal["row"],
        *,
        mode: Literal["once", "live"] = "once",
        results: Results | None = None,
        row_limit: int | None = None,
        max_batch_size: int | None = None,
    ) -> ResultIterator[dict[str, Any]]: ...

    def run_iter(
        self,
        kind: Literal["pandas", "pyarrow", "row"] = "pandas",
        *,
        mode: Literal["once", "live"] = "once",
        results: Results | None = None,
        row_limit: int | None = None,
        max_batch_size: int | None = None,
    ) -> ResultIterator[Any]:
        """Run it; return the answer as it comes, for ``for`` and ``async for``.

        Args:
            kind: What the iterator gives: DataFrames of pandas, batches of pyarrow, or a dict a row.
            mode: ``"once"`` over what is there, ``"live"`` also over what comes, until it is stopped.
            results: Which points; every one unless given.
            row_limit: How many rows at most.
            max_batch_size: How many rows a batch has at most.

        Raises:
            ValueError: There is no such kind or mode, a number of rows is below zero, or a time of the results does not read.
            RuntimeError: The query failed, which the iterator raises.
        """
        converters: dict[str, Callable[[_skytide.Batch], Any]] = {
            "pandas": _as_pandas,
            "pyarrow": _as_pyarrow,
            "row": lambda batch: batch.rows(),
        }
        if kind not in converters:
            raise ValueError(f"no kind {kind!r}: 'pandas', 'pyarrow' and 'row' are")
        if mode not in ("once", "live"):
            raise ValueError(f"no mode {mode!r}: 'once' and 'live' are")
        live = mode == "live"
        execution = self._run(
            results, live=live, row_limit=row_limit, max_batch_size=max_batch_size
        )
        again = None if live else lambda: self._run(results, row_limit=row_limit).collect()
        return ResultIterator(execution, converters[kind], again)

    def write(
        self,
        destination: str | os.PathLike[str],
        mode: Literal["once", "live"] = "once",
        results: Results | None = None,
        *,
        row_limit: int | None = None,
    ) -> int:
        """Write the answer to a file; return the number of rows.

        Args:
            destination: Its path, which ends in ``.parquet`` (or ``.pq``), ``.arrow`` (``.arrows``, ``.feather``, ``.ipc``), ``.csv``
                or ``.jsonl`` (``.ndjson``, ``.json``). A Parquet or Arrow file has its name once it is whole; what fails before
                leaves none. Values that the form does not have, as a date beyond all calendars in text, are null.
            mode: ``"once"`` over what is there, ``"live"`` also over what comes, up to ``row_limit``.
            results: Which points; every one unless given.
            row_limit: How many rows at most.

        Raises:
            ValueError: The name tells no form, or that has none for a column, which is named.
            RuntimeError: The query failed.
            OSError: The file cannot be written; ``filename`` is its path.
        """
        if mode not in ("once", "live"):
            raise ValueError(f"no mode {mode!r}: 'once' and 'live' are")
        execution = self._run(results, live=mode == "live", row_limit=row_limit)
        return execution.write(destination)

    def explain(
        self,
        kind: Literal["initial_dfg", "final_dfg", "final_plan"] = "final_plan",
        results: Results | None = None,
        mode: Literal["once", "live"] = "once",
    ) -> str:
        """Return how it is computed: what is read, what is held, a step a line.

        Args:
            kind: There is one plan, whatever is asked for by the names that Kaskada has for its stages.
            results: Which points; every one unless given.
            mode: The plan is the same in both.

        Raises:
            ValueError: There is no such kind or mode.
        """
        if kind not in ("initial_dfg", "final_dfg", "final_plan"):
            raise ValueError(f"no kind {kind!r}: 'initial_dfg', 'final_dfg' and 'final_plan' are")
        if mode not in ("once", "live"):
            raise ValueError(f"no mode {mode!r}: 'once' and 'live' are")
        return self._stream.explain(snapshot=isinstance(results, Snapshot))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Run it over what is there; give the answer as Arrow."""
        return self._run(None).collect().__arrow_c_stream__(requested_schema)

    def __str__(self) -> str:
        """Return the text that means it."""
        return str(self._stream)

    def __repr__(self) -> str:
        """Return the text that means it, and its type."""
        return f"<{type(self).__name__}[{self._stream.data_type}] {self._stream}>"

    def _repr_html_(self) -> str:
        """Return its type and its first points, for notebooks. What cannot be previewed has no points."""
        head = f"<p><code>{html.escape(repr(self))}</code></p>"
        if self._stream.is_endless:
            return head
        answer = self._run(None, row_limit=10).collect()
        columns = "".join(
            f"<th>{html.escape(name)}<br><small>{html.escape(of)}</small></th>"
            for name, of in answer.schema.fields
        )
        rows = "".join(
            "<tr>"
            + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row.values())
            + "</tr>"
            for row in answer.rows()
        )
        return f"{head}<table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>"


def record(fields: Mapping[str, Arg], *, input: Timestream | None = None) -> Timestream:
    """Return a Timestream of records.

    Args:
        fields: Their fields by name. At least one is a Timestream; those are used together, so they have one grouping.
        input: What fields that are functions are applied to.

    Raises:
        QueryError: Fields cannot be used together, or one is called ``_time`` or ``_key``, as columns are that every answer has.
    """
    try:
        native = [(name, _native(value, input)) for name, value in fields.items()]
        return Timestream(_skytide.Stream.record(native))
    except (TypeError, ValueError) as error:
        raise _noted(error, list(fields.values())) from None


def query(text: str, **sources: Timestream | Udf) -> Timestream:
    """Return the Timestream that a text means.

    Args:
        text: A query, as ``"posts.with_key(record.langs[0]).count()"``.
        **sources: What it reads, a source or what was made of one, each called in the text as it is here; and functions of
            :mod:`skytide.udf`, each called by its own name.

    Raises:
        ValueError: The text means nothing; the error shows where.
        TypeError: What is given under a name is no Timestream and no function.
    """
    streams, udfs = [], []
    for name, one in sources.items():
        native = one._stream if isinstance(one, Timestream) else getattr(one, "_native", None)
        if isinstance(native, _skytide.Stream):
            streams.append((name, native))
        elif isinstance(native, _skytide.Udf):
            udfs.append(native)
        else:
            kind = type(one).__name__
            raise TypeError(f"{name}= takes a Timestream or a function of skytide.udf, not {kind}")
    try:
        return Timestream(_skytide.Stream.text(text, streams, udfs))
    except QueryError as error:
        if not streams and "no source is called" in str(error):
            error.add_note(
                "A text reads what it is given by name: query(text, posts=firehose.posts)."
            )
        raise


def _as_pyarrow(batch: _skytide.Batch) -> list[pa.RecordBatch]:
    import pyarrow as pa

    return [pa.record_batch(batch)]


def _as_pandas(batch: _skytide.Batch) -> list[pd.DataFrame]:
    return [_in_pandas(one) for one in _as_pyarrow(batch)]


def _in_pandas(table: pa.Table | pa.RecordBatch) -> pd.DataFrame:
    import pyarrow as pa

    is_a = pa.types

    def shown(of: pa.DataType, within: str = "") -> pa.DataType:
        # Of nanoseconds within records, and of all times in maps, pyarrow makes whole numbers; of microseconds datetimes, as rows
        # have them.
        if within and is_a.is_timestamp(of) and of.unit == "ns":
            return pa.timestamp("us", of.tz)
        if within == "map" and is_a.is_duration(of) and of.unit == "ns":
            return pa.duration("us")
        if is_a.is_map(of):
            key, item = of.key_field, of.item_field
            return pa.map_(
                key.with_type(shown(key.type, "map")), item.with_type(shown(item.type, "map"))
            )
        if is_a.is_struct(of):
            inner = within or "record"
            return pa.struct([field.with_type(shown(field.type, inner)) for field in of])
        if is_a.is_list(of) and is_a.is_nested(of.value_type):
            return pa.list_(of.value_field.with_type(shown(of.value_type)))
        return of

    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    fields = [field.with_type(shown(field.type)) for field in table.schema]
    return table.cast(pa.schema(fields), safe=False).to_pandas()


_TYPE_NAMES = {
    "bool": "bool",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "uint16": "u16",
    "uint32": "u32",
    "uint64": "u64",
    "float": "f32",
    "double": "f64",
    "string": "utf8",
    "large_string": "utf8",
}


_NANOS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_NUMBERS = set(_TYPE_NAMES.values()) - {"bool", "utf8"}


def _type_name(data_type: str | pa.DataType) -> str:
    """Return the name of a type in queries."""
    if isinstance(data_type, str):
        return data_type
    text = str(data_type)
    if text.startswith(("timestamp", "duration")):
        return text.partition("[")[0]
    return _TYPE_NAMES.get(text, text)
