"""Where points come from."""

from __future__ import annotations

from .arrow import Arrow, CsvString, JsonlFile, JsonlString, Pandas, PyDict
from .files import Files, Parquet
from .firehose import Firehose, FirehoseStream
from .source import Late, Pushed, Source, TimeUnit

__all__ = [
    "Arrow",
    "CsvString",
    "Files",
    "Firehose",
    "FirehoseStream",
    "JsonlFile",
    "JsonlString",
    "Late",
    "Pandas",
    "Parquet",
    "Pushed",
    "PyDict",
    "Source",
    "TimeUnit",
]
