"""Arrow data in the form that the native half takes.

Arrow's library for Rust panics, up to its version 59, at records within records that begin later than what holds them: it moves
their fields twice. pyarrow makes slices so, and pandas of columns that are pyarrow's. They are copied, and nothing else is.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import _skytide

if TYPE_CHECKING:
    import pyarrow as pa


def taken(data: Any) -> Any:
    """Return rows that speak Arrow's interface, in a form that is taken."""
    arrow = sys.modules.get("pyarrow")
    if arrow is None:
        return data
    if isinstance(data, arrow.Array):
        return whole(data)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        data = arrow.RecordBatchReader.from_stream(data)
    elif not isinstance(data, (arrow.Table, arrow.RecordBatch, arrow.RecordBatchReader)):
        return data
    if not _skytide.Table.schema_of_arrow(data.schema).has_layers:
        return data

    def batch_of(batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [whole(column) for column in batch.columns]
        return arrow.RecordBatch.from_arrays(columns, schema=batch.schema)

    reader = arrow.RecordBatchReader.from_stream(data)
    return arrow.RecordBatchReader.from_batches(reader.schema, map(batch_of, reader))


def whole(values: pa.Array) -> pa.Array:
    """Return an array whose records within records begin where what holds them begins."""
    import pyarrow as pa

    return pa.concat_arrays([values]) if _is_cut(values, is_late=False) else values


def _is_cut(values: Any, *, is_late: bool) -> bool:
    """Return whether there are records in what begins late and holds them value by value, as records and lists of one length do.

    Args:
        values: The array.
        is_late: Whether what holds it does so, and begins late.
    """
    from pyarrow import types

    of = values.type
    if types.is_struct(of):
        is_held_late = is_late and of.num_fields > 0
        is_late = is_late or values.offset > 0
        fields = map(values.field, range(of.num_fields))
        return is_held_late or any(_is_cut(field, is_late=is_late) for field in fields)
    if types.is_fixed_size_list(of):
        return _is_cut(values.values, is_late=is_late or values.offset > 0)
    if types.is_list(of) or types.is_large_list(of):
        return _is_cut(values.values, is_late=False)
    if types.is_map(of):
        return any(_is_cut(one, is_late=one.offset > 0) for one in (values.keys, values.items))
    return False
