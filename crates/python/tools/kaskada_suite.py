"""Runs the tests of Kaskada 0.6.1 against this package: ``python tools/kaskada_suite.py FOLDER [arguments of pytest]``.

FOLDER is ``python`` of Kaskada's source distribution, which holds ``pytests`` with its golden files; CONTRIBUTING.md says how to
come by it. Nothing of it is kept here but names of tests: those whose answers are wanted to be others, by the rule that says so.
The exit code is 0 if these fail and no others.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
import skytide
from skytide import _timestream
from skytide.udf import Udf

#: Tests that are to fail: what is different, and which do.
WANTED: dict[str, list[str]] = {
    "order: keys come by their values, not by a hidden hash": ["execution_test.py::test_snapshot"],
    "hash: a number of our own, the same for ever": [
        "hash_test.py::test_hash_string",
        "hash_test.py::test_hash_integer",
    ],
    "windows: every aggregation takes every window, and skips nulls where a window ends": [
        "aggregation/stddev_test.py::test_stddev_windowed",
        "aggregation/variance_test.py::test_variance_windowed",
    ],
    "moved points: a point that is moved by zero is not moved, and is one with its event": [
        "shift_until_test.py::test_shift_until_predicate",
    ],
    "values: a time that is a float is taken for what it is, to the nanosecond as in pandas, not multiplied as a float": [
        "pandas_source_test.py::test_float_seconds",
        "pandas_source_test.py::test_float_milliseconds",
    ],
}


def alias() -> None:
    """Make ``kaskada`` another name of this package, and what its tests see of its insides names of ours."""
    package: Any = skytide
    sys.modules["kaskada"] = package
    for name in ("results", "sources", "udf", "windows"):
        sys.modules[f"kaskada.{name}"] = importlib.import_module(f"skytide.{name}")
    sys.modules["kaskada._ffi"] = package._ffi = package._skytide
    udf: Any = Udf
    udf._ffi = property(lambda self: self._native)
    # Fixtures of services that are not asked for.
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
    """Show moments as Kaskada does, in UTC without saying so: golden files are read back in the answer's own types."""
    to_arrow, as_pyarrow = skytide.Timestream.to_arrow, _timestream._as_pyarrow

    def shown(table: Any) -> Any:
        fields = [field.with_type(without_zone(field.type)) for field in table.schema]
        return table.cast(pa.schema(fields))

    timestream: Any = skytide.Timestream
    module: Any = _timestream
    timestream.to_arrow = lambda *args, **named: shown(to_arrow(*args, **named))
    module._as_pyarrow = lambda batch: [shown(one) for one in as_pyarrow(batch)]


class Outcomes:
    """What became of each test, by its name."""

    def __init__(self) -> None:
        """Begin with none."""
        self.of: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test, or its setting up, came to."""
        if report.when == "call" or report.outcome != "passed":
            self.of[report.nodeid.rpartition("pytests/")[2]] = report.outcome


def main(folder: str, *args: str) -> int:
    """Run the tests and print what came of them."""
    alias()
    show_moments_without_zone()
    os.chdir(folder)
    outcomes = Outcomes()
    pytest.main(["pytests", "-p", "no:cacheprovider", "-q", "--tb=no", *args], plugins=[outcomes])

    failed = {name for name, outcome in outcomes.of.items() if outcome == "failed"}
    counts = Counter(outcomes.of.values())
    print(f"\n{len(outcomes.of)} tests: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    wanted: set[str] = set()
    for rule, names in WANTED.items():
        wanted.update(names)
        print(f"  {sum(name in failed for name in names)} wanted, {rule}")
    others = sorted(failed - wanted)
    passed = sorted(name for name in wanted if outcomes.of.get(name) == "passed")
    for name in others:
        print(f"  not wanted: {name}")
    for name in passed:
        print(f"  wanted, but passed: {name}")
    return 1 if others or passed or not outcomes.of else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
