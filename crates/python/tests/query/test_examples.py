"""The programs that users start from, against the simulated network."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import skytide as kd

from ..sim import EXAMPLES, LIMIT, sim, watched

PROGRAM = os.environ.get("SKYTIDE_PROGRAM")
#: Events that the network makes, and frames of them that are compared.
EVENTS = 1_500
FRAMES = 1_200
#: Events a second.
RATE = "2000"
LINE = re.compile(r"(.*) has posted (\d+) times since startup\n")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs SKYTIDE_PROGRAM")


@pytest.fixture
def network() -> Iterator[str]:
    """Serve a simulated network."""
    with sim("--rate", RATE, "--seed", "7", "--events", str(EVENTS)) as network:
        yield network.url


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record the beginning of the same network."""
    assert PROGRAM is not None
    path = tmp_path_factory.mktemp("recording") / "day.sky"
    with sim("--rate", RATE, "--seed", "7", "--events", str(EVENTS)) as network:
        command = [PROGRAM, "record", "--from", network.url, "--cursor", "oldest"]
        command += ["--limit", str(FRAMES), "--output", str(path)]
        subprocess.run(command, check=True, timeout=LIMIT, capture_output=True)
    return path


def printed(program: str, url: str, total: int) -> list[str]:
    """Run an example until it has printed so many lines; give the language of each."""
    counts: Counter[str] = Counter()
    languages: list[str] = []
    with watched([sys.executable, str(EXAMPLES / program), url]) as process:
        assert process.stdout is not None
        for line in itertools.islice(process.stdout, total):
            found = LINE.fullmatch(line)
            assert found, line
            # Each post is one line, and none is missing in between.
            counts[found[1]] += 1
            assert int(found[2]) == counts[found[1]]
            languages.append(found[1])
    return languages


@pytest.mark.parametrize("program", ["bluesky_native.py", "bluesky.py"])
def test_the_languages_of_bluesky(program: str, recording: Path) -> None:
    posts = kd.sources.Firehose(recording).posts
    first = posts.col("record").col("langs").index(0)
    right = [str(row["result"]) for row in first.to_rows()]
    assert len(right) > FRAMES / 50 and len(set(right)) > 2
    # The recording is served over and over, and the program joins wherever it is by then: what it prints is the recording from some
    # post on. Counts alone would not show a row that is lost, since another takes its place.
    with sim("--rate", RATE, "--replay", str(recording)) as network:
        languages = printed(program, network.url, len(right))
    assert languages in [right[at:] + right[:at] for at in range(len(right))]


def test_a_recording_is_read_once(recording: Path) -> None:
    firehose = kd.sources.Firehose(recording)
    posts, likes = firehose.posts, firehose.likes
    answer = kd.record({"posts": posts.count(), "likes": likes.count()}).to_rows(
        kd.results.Snapshot()
    )
    assert answer and all(row["_key"].startswith("did:") for row in answer)
    assert firehose.records("app.bsky.feed.post").count().to_rows() == posts.count().to_rows()
    assert posts.deletes().count().to_rows()
    with open(recording, "rb") as file:
        held = kd.sources.Firehose(file.read()).posts
    assert held.count().to_rows() == held.count().to_rows() == posts.count().to_rows()
    with pytest.raises(RuntimeError, match="memory"):
        kd.sources.Firehose(b"\xff" * 10).posts.to_rows()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        kd.sources.Firehose(recording.parent / "nowhere").posts.to_rows()


def test_a_table_beside_the_firehose(network: str) -> None:
    posts = kd.sources.Firehose(network, cursor="oldest").posts
    names = kd.sources.PyDict(schema={"t": "i64", "did": "utf8"}, time_column="t", key_column="did")
    first = next(posts.run_iter("row", mode="live"))
    names.add_rows({"t": 1, "did": first["_key"]})
    names.add_rows({"t": 2**62, "did": "later"})
    both = kd.record({"posts": posts.count(), "known": names.count()})
    known = next(row for row in both.run_iter("row", mode="live") if row["posts"])
    assert (known["_key"], known["posts"], known["known"]) == (first["_key"], 1, 1)


def test_queries_over_one_object_share_its_connection() -> None:
    with sim("--rate", RATE, "--accounts", "20") as network, counted(network.url) as served:
        address, connections = served
        source = kd.sources.Firehose(address)
        first = source.likes.col("seq").run_iter("row", mode="live")
        seen = [next(first)["result"]]
        second = source.likes.col("seq").run_iter("row", mode="live")
        later = [row["result"] for row in itertools.islice(second, 200)]
        third = source.follows.count().run_iter("row", mode="live")
        assert next(third)["result"] >= 1
        while seen[-1] < later[-1]:
            seen.append(next(first)["result"])
        # It has all that came since it began.
        begins = seen.index(later[0])
        assert seen[begins : begins + 200] == later
        assert len(connections) == 1
        for running in (first, second, third):
            running.stop()
        # Another object has its own.
        next(kd.sources.Firehose(address).likes.run_iter("row", mode="live"))
        assert len(connections) == 2


@contextlib.contextmanager
def counted(url: str) -> Iterator[tuple[str, list[socket.socket]]]:
    """Passes connections on to a server; gives the address, and those that there were."""
    host, port = url.removeprefix("ws://").split(":")
    made: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    client = listener.accept()[0]
                except OSError:
                    return
                made.append(client)
                server = socket.create_connection((host, int(port)))
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=pump, args=(source, target), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}", made


def pump(source: socket.socket, target: socket.socket) -> None:
    """Passes bytes on until either side ends."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        source.close()
        target.close()


def test_an_address_without_a_server_is_an_error() -> None:
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match="127.0.0.1"):
        next(kd.sources.Firehose("ws://127.0.0.1:9").posts.run_iter("row", mode="live"))
    assert time.monotonic() - begun < LIMIT


def test_the_posts_of_the_last_second(recording: Path) -> None:
    posts = kd.sources.Firehose(recording).posts
    language = posts.col("record").col("langs").index(0)
    second = timedelta(seconds=1)
    made = [(row["_time"], row["result"]) for row in language.to_rows()]
    moved = [(at + second, 0, of) for at, of in made]
    # At one time those that leave come before those that come.
    rows = sorted(moved + [(at, 1, of) for at, of in made], key=lambda row: row[:2])
    expected, come = [], 0
    for now, is_new, of in rows:
        come += is_new
        count = sum(now - second < at and other == of for at, other in made[:come])
        expected.append(f"{of}: {count} posts in the last second")
    program = [sys.executable, str(EXAMPLES / "lately.py"), str(recording)]
    done = subprocess.run(program, check=True, timeout=LIMIT, capture_output=True, text=True)
    assert done.stdout.splitlines() == expected
    assert len(expected) > FRAMES / 50
