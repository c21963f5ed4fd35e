"""The example ``bluesky.py`` at a steady rate: ``python bench/bluesky.py PROGRAM [RATE] [SECONDS]``.

PROGRAM is the `skytide` program, which makes a simulated network, records it, and serves the recording over and over with so many
events a second. The posts' languages are read from the recording with libipld. The example joins the replay wherever it stands by then, and prints a line a post: as many lines as the recording has posts have to be its
languages in their order, from some post on, each count one more than the last. A row that is lost or out of place breaks that order;
equal counts alone would not show one, since the post after the last takes its place. Prints a JSON line: posts, and the part of a CPU
that the example took.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from frames import split
from loopback import created

EXAMPLE = Path(__file__).parents[3] / "examples" / "python" / "bluesky.py"
LINE = re.compile(r"(.*) has posted (\d+) times since startup\n")
SEED = "11"


@contextlib.contextmanager
def serving(program: str, *options: str) -> Iterator[str]:
    """Serve a network, which begins with its first client; give its address."""
    process = subprocess.Popen(
        [program, "sim", "--listen", "127.0.0.1:0", *options], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        found = re.search(r"serving (ws://\S+)", process.stderr.readline())
        assert found
        yield found[1]
    finally:
        process.kill()
        process.wait()


def record(program: str, events: int, path: Path) -> None:
    """Record the beginning of a simulated network."""
    with serving(program, "--seed", SEED, "--rate", "0", "--events", str(events)) as url:
        # The network does not wait for its first client.
        command = [program, "record", "--from", url, "--cursor", "oldest", "--limit", str(events)]
        subprocess.run([*command, "-o", str(path)], check=True, capture_output=True)


def expected(path: Path, events: int) -> list[str]:
    """Read the first languages of a recording's posts, in order, without a query."""
    frames = split(path.read_bytes())
    assert len(frames) == events
    return [str(language) for frame in frames for language in created(frame)]


def is_turned(printed: list[str], right: list[str]) -> bool:
    """Whether a list is another one that begins at one of its items and goes on at its beginning."""
    return len(printed) == len(right) and any(
        printed == right[at:] + right[:at] for at in range(len(right))
    )


def main(program: str, rate: int = 16_700, seconds: int = 10) -> None:
    """Run the example and print the figures. Of so many events a second 2,000 are posts."""
    events = rate * seconds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.frames"
        record(program, events, path)
        right = expected(path, events)
        with serving(program, "--replay", str(path), "--rate", str(rate)) as url:
            run(url, right, rate, events)


def run(url: str, right: list[str], rate: int, events: int) -> None:
    """Run the example until it has printed a line for each post of the recording."""
    total = len(right)
    counts: Counter[str] = Counter()
    printed: list[str] = []
    begun = time.monotonic()
    example = subprocess.Popen(
        [sys.executable, str(EXAMPLE), url], stdout=subprocess.PIPE, text=True
    )
    assert example.stdout is not None
    for line in itertools.islice(example.stdout, total):
        found = LINE.fullmatch(line)
        assert found, line
        counts[found[1]] += 1
        assert int(found[2]) == counts[found[1]], line
        printed.append(found[1])
    took = time.monotonic() - begun
    with open(f"/proc/{example.pid}/stat") as stat:
        ticks = stat.read().rsplit(")", 1)[1].split()[11:13]
    example.kill()
    example.wait()
    cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    assert is_turned(printed, right), "a post is missing or out of place"
    # The check can fail: it does for one row less and the next one in its place.
    assert not is_turned([*printed[1:7], *printed[8:], printed[0], printed[1]], right)
    figures = {
        "events_per_s": rate,
        "events": events,
        "posts": total,
        "languages": len(counts),
        "seconds": round(took, 1),
        "cpu_seconds": round(cpu, 2),
        "of_a_cpu": round(cpu / took, 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]))
