"""Runs the tests of Kaskada 0.6.1 against this package: ``python tools/kaskada_suite.py FOLDER [pytest's arguments]``.

FOLDER is ``python`` of its source distribution, which holds ``pytests``. Nothing of it is here but names of tests.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from typing import Any

import pyarrow as pa
import pytest
import skytide
from skytide import _timestream

WANTED: dict[str, dict[str, list[str]]] = {}


def alias() -> None:
    """Make ``kaskada`` another name of this package."""
    sys.modules["kaskada"] = skytide
    for name in ("results", "sources", "udf", "windows"):
        sys.modules[f"kaskada.{name}"] = importlib.import_module(f"skytide.{name}")
    sys.modules["kaskada._ffi"] = skytide._ffi = skytide._skytide
    # Its fixtures are for services that are not asked for.
    sys.modules["pytest_docker_fixtures"] = types.ModuleType("pytest_docker_fixtures")


def without_zone(of: pa.DataType) -> pa.DataType:
    """Return a type whose moments have no zone."""
    if pa.types.is_timestamp(of):
        return pa.timestamp(of.unit)
    if pa.types.is_list(of):
        return pa.list_(without_zone(of.value_type))
    if pa.types.is_struct(of):
        return pa.struct([field.with_type(without_zone(field.type)) for field in of])
    return of


def show_moments_without_zone() -> None:
    """Show moments as Kaskada does, in UTC without saying so, for its golden files are read back in the answer's own types."""
    to_arrow, as_pyarrow = skytide.Timestream.to_arrow, _timestream._as_pyarrow

    def cast(table: Any) -> Any:
        fields = [field.with_type(without_zone(field.type)) for field in table.schema]
        return table.cast(pa.schema(fields))

    skytide.Timestream.to_arrow = lambda *args, **named: cast(to_arrow(*args, **named))
    _timestream._as_pyarrow = lambda batch: [cast(one) for one in as_pyarrow(batch)]


class Tally:
    """Counts what became of each test."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.nodeid] = report.outcome


def main(folder: str, *args: str) -> int:
    alias()
    show_moments_without_zone()
    os.chdir(folder)
    tally = Tally()
    pytest.main(["pytests", "-p", "no:cacheprovider", "-q", *args], plugins=[tally])
    from collections import Counter
    print(Counter(tally.outcomes.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
