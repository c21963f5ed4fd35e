"""The simulated network, run as the program that it is."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# No program runs for longer, in seconds.
LIMIT = 60.0

EXAMPLES = Path(__file__).parents[3] / "examples" / "python"


class Sim:
    """A running network and its address."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def end(self) -> str:
        """Ends it; gives what it said of its faults."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=LIMIT)[1]


@contextmanager
def sim(*options: str) -> Iterator[Sim]:
    """Runs `skytide sim`, the program that SKYTIDE_PROGRAM names."""
    program = os.environ.get("SKYTIDE_PROGRAM")
    if not program:
        pytest.skip("needs SKYTIDE_PROGRAM")
    process = subprocess.Popen(
        [program, "sim", "--listen", "127.0.0.1:0", *options], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        found = re.search(r"serving (ws://\S+)", process.stderr.readline())
        assert found
        yield Sim(process, found[1])
    finally:
        process.kill()
        process.wait(LIMIT)


@contextmanager
def watched(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A running program whose stdout is read; it is ended at the end, and when it takes too long."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
    watch = threading.Timer(LIMIT, process.kill)
    watch.start()
    try:
        yield process
    finally:
        watch.cancel()
        process.kill()
        process.wait(LIMIT)


def run_example(name: str, *arguments: object) -> tuple[int, list[str]]:
    """Runs an example; gives its exit code and its lines. What it says on stderr is a failure."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    with watched(command, stderr=subprocess.PIPE) as process:
        out, err = process.communicate()
    assert err == ""
    return process.returncode, out.splitlines()
