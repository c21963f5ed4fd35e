"""Functions written in Python that queries call, a batch of values at a time.

>>> import pandas as pd
>>> import skytide as kd
>>> @kd.udf("add_one<N: number>(x: N) -> N")
... def add_one(x: pd.Series) -> pd.Series:
...     return x + 1

``add_one(m.col("x"))`` and ``m.col("x").pipe(add_one)`` are then Timestreams.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import _skytide
from ._arrow import whole
from ._timestream import Arg, Timestream

if TYPE_CHECKING:
    import pyarrow as pa


class Udf:
    """A function written in Python, over arrays of pyarrow. :func:`udf` makes one of a function over pandas' Series."""

    def __init__(self, signature: str, func: Callable[..., Any]) -> None:
        """Take a function by its signature.

        Args:
            signature: Its name, what it takes and what it gives, as ``"add_one<N: number>(x: N) -> N"``.
            func: Called with the type of the result, and an array for each parameter, all of one length and of pyarrow; it gives
                an array of that length and that type, pyarrow's or another with ``__arrow_c_array__``.

        Raises:
            ValueError: The signature does not read.
            ImportError: There is no pyarrow.
        """
        arrow = _needed("pyarrow")

        def call(result: pa.DataType, *args: pa.Array) -> Any:
            values = func(result, *args)
            return whole(values) if isinstance(values, arrow.Array) else values

        self.__name__ = signature.partition("(")[0].partition("<")[0].strip()
        self._native = _skytide.Udf(signature, call)

    @property
    def signature(self) -> str:
        """What it takes and gives, under the name that it has in queries: a ``_`` more where the engine has a function of its name."""
        return self._native.signature

    def __call__(self, *args: Arg, **named: Arg) -> Timestream:
        """Apply it.

        Args:
            *args: Timestreams, one at least, and constants.
            **named: The same, by the names of parameters.

        Raises:
            ValueError: The arguments are not those of its signature.
        """
        return Timestream._call(self._native, *args, **named)

    def __repr__(self) -> str:
        """Return its signature."""
        return f"<Udf {self.signature}>"


def udf(signature: str, *, arrow: bool = False) -> Callable[[Callable[..., Any]], Udf]:
    """Make a function of columns one that queries can call.

    It must be pure: a row's result follows from that row's arguments alone. The engine chooses the batches, and may call it in
    several threads, one at a time where Python has one lock.

    Args:
        signature: Its name, what it takes and what it gives, as ``"add_one<N: number>(x: N) -> N"``. Types are ``bool``, ``i8`` to
            ``i64``, ``u8`` to ``u64``, ``f32``, ``f64``, ``utf8``, ``binary``, ``timestamp``, ``duration``, ``list<…>``, ``map<…>``, and
            variables of the classes ``number``, ``signed``, ``wide``, ``ordered`` and ``any``. A parameter with ``?`` may be left
            out, which is the same as null.
        arrow: Whether it takes and gives arrays of pyarrow. Else it takes Series of pandas, as pandas makes them of such a
            column (whole numbers with nulls are floats there), and gives a Series, which is brought to the result's type.

    Raises:
        ValueError: The signature does not read.
        ImportError: There is no pyarrow or, unless ``arrow``, no pandas.
    """

    def decorate(func: Callable[..., Any]) -> Udf:
        made = Udf(signature, _over_arrays(func) if arrow else _over_series(func))
        functools.update_wrapper(made, func)
        return made

    return decorate


def _needed(library: str) -> Any:
    """Import what a function cannot do without."""
    try:
        return import_module(library)
    except ImportError as error:
        more = (
            ""
            if library == "pyarrow"
            else "; with arrow=True it takes arrays, and needs pyarrow alone"
        )
        raise ImportError(
            f"a function of queries needs {library}: pip install 'skytide[{library}]'{more}",
            name=library,
        ) from error


def _over_arrays(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of arrays for :class:`Udf`."""
    chunked = _needed("pyarrow").ChunkedArray

    def call(_result: pa.DataType, *args: pa.Array) -> Any:
        values = func(*args)
        return values.combine_chunks() if isinstance(values, chunked) else values

    return call


def _over_series(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of Series for :class:`Udf`."""
    arrow = _needed("pyarrow")
    pandas = _needed("pandas")
    dtypes, types = pandas.api.types, arrow.types
    #: pyarrow would read text as numbers, and count True as 1.
    kinds = (
        (dtypes.is_bool_dtype, types.is_boolean),
        (dtypes.is_string_dtype, types.is_string),
        (dtypes.is_datetime64_any_dtype, types.is_timestamp),
        (dtypes.is_timedelta64_dtype, types.is_duration),
        (
            lambda dtype: dtypes.is_numeric_dtype(dtype) and not dtypes.is_bool_dtype(dtype),
            lambda result: types.is_integer(result) or types.is_floating(result),
        ),
    )

    def alike(dtype: Any, result: pa.DataType) -> bool:
        # Of objects pyarrow looks at each.
        return dtypes.is_object_dtype(dtype) or all(of(dtype) == to(result) for of, to in kinds)

    def call(result: pa.DataType, *args: pa.Array) -> Any:
        series = func(*[arg.to_pandas() for arg in args])
        if not isinstance(series, pandas.Series):
            raise TypeError(f"it gave a {type(series).__name__}, not a Series of pandas")
        if not (alike(series.dtype, result) or series.isna().all()):
            raise TypeError(f"it gave a Series of {series.dtype}, not of {result}")
        values = arrow.Array.from_pandas(series, type=result)
        return values.combine_chunks() if isinstance(values, arrow.ChunkedArray) else values

    return call
