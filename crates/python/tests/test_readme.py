"""The programs in the readmes, as they stand there, against the simulated network."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .sim import sim, watched

PACKAGE = Path(__file__).parents[1]
READMES = [PACKAGE / "README.md", PACKAGE.parents[1] / "README.md"]
NETWORK = "wss://bsky.network"
# Lines of a program that goes on for ever, which are enough.
LINES = 20

PROGRAMS = [
    pytest.param(found[1], id=f"{readme.parent.name}-{number}")
    for readme in READMES
    for number, found in enumerate(re.finditer(r"```python\n(.*?)```", readme.read_text(), re.S))
]


def test_there_are_programs() -> None:
    assert len(PROGRAMS) >= 5


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_runs_as_it_stands_there(program: str) -> None:
    is_endless = NETWORK in program
    with sim("--seed", "7", "--rate", "2000") as network:
        command = [sys.executable, "-u", "-c", program.replace(NETWORK, network.url)]
        with watched(command, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stderr is not None
            lines = list(itertools.islice(process.stdout, LINES))
            if is_endless:
                process.kill()
            errors = process.stderr.read()
            ended = process.wait()
    assert errors == ""
    if is_endless:
        shapes = r".+ has posted \d+ times since startup|(create|update|delete) at://did:\S+/\S+ .+"
        assert len(lines) == LINES
        assert all(re.fullmatch(shapes, line.rstrip("\n"), re.S) for line in lines), lines
    else:
        assert (ended, lines) == (0, ["ann 5\n", "bob 7\n", "ann 6\n"])
