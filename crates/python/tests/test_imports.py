"""What an import brings with it, in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Modules that take longer to import than all of this package.
HEAVY = ["asyncio", "pandas", "pyarrow", "polars", "numpy", "ssl"]


@pytest.mark.parametrize("module", ["skytide", "skytide.firehose", "skytide.atproto"])
def test_an_import_brings_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(sorted(set({HEAVY}) & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout == "[]\n"


def test_the_clients_for_asyncio_are_there_when_they_are_asked_for() -> None:
    code = """
import skytide.atproto, skytide.firehose
assert skytide.atproto.AsyncFirehoseSubscribeReposClient.__mro__[1].__name__ == "_AsyncClient"
assert skytide.atproto.AsyncFirehoseSubscribeLabelsClient
assert skytide.firehose.AsyncFirehoseSubscribeReposClient is skytide.AsyncFirehoseSubscribeReposClient
from skytide.atproto import *
assert AsyncFirehoseSubscribeReposClient is skytide.atproto.AsyncFirehoseSubscribeReposClient
try:
    skytide.atproto.Nothing
except AttributeError as error:
    assert "Nothing" in str(error)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


IN_A_SUB_INTERPRETER = """
import sys
if sys.version_info >= (3, 13):
    import _interpreters as interpreters
else:
    import _xxsubinterpreters as interpreters
%s
interpreters.run_string(interpreters.create(), sys.argv[1])
"""
REFUSED = """
try:
    import skytide
except ImportError as error:
    print(error, flush=True)
"""


@pytest.mark.parametrize("before", ["", "import skytide"])
def test_a_sub_interpreter_is_refused(before: str) -> None:
    # As servers have them that keep programs apart in one process.
    run = subprocess.run(
        [sys.executable, "-c", IN_A_SUB_INTERPRETER % before, REFUSED],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "not in a sub-interpreter" in run.stdout, run


def test_a_module_shows_what_it_has_and_nothing_else() -> None:
    code = """
import skytide, skytide.firehose, skytide.atproto
for module in (skytide, skytide.firehose, skytide.atproto):
    shown = dir(module)
    plain = {name for name in shown if not name.startswith("__")}
    assert "__doc__" in shown and set(module.__all__) - {"__version__"} <= plain, module
    assert "AsyncFirehoseSubscribeReposClient" in plain
    assert not plain & {"Any", "TYPE_CHECKING", "import_module", "Mapping", "annotations"}
    for name in shown:
        getattr(module, name)
assert {"RepoCommit", "query", "init_session"} <= set(dir(skytide))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
