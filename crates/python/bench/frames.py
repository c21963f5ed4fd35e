"""Frames per CPU-second of this package's ways to count posts by first language: ``python bench/frames.py FRAMES.zst``.

FRAMES is a recording; a compressed one needs ``zstandard``. Prints a JSON line a way, with the median of several rounds and the
counts as a check. `cargo xtask bench-python` runs it beside the peers, in turn.
"""

from __future__ import annotations

import itertools
import json
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

import skytide as kd
from loopback import count, libipld
from skytide.atproto import CAR, firehose_models, models, parse_subscribe_repos_message
from skytide.firehose import MessageFrame, parse_subscribe_repos_message as parse

POST = "app.bsky.feed.post"
ROUNDS = 9
# A round lasts so many CPU-seconds at least.
LEAST = 0.2
# Frames that are held are given to a query so many times.
TIMES = 2000
# The recordings that a query reads from memory have about so many bytes: one that a cache holds, as it does the frames that the other
# ways read again and again, and one that none holds.
SHORT, LONG = 10_000_000, 400_000_000

Counts = Counter[str | None]


def load(path: Path) -> bytes:
    """Read a recording."""
    raw = path.read_bytes()
    if raw.startswith(b"\x28\xb5\x2f\xfd"):
        import zstandard

        raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    return raw


def split(recording: bytes) -> list[bytes]:
    """Take the frames out of a recording."""
    frames, at = [], 0
    while at < len(recording):
        (length,) = struct.unpack_from("<I", recording, at)
        at += 4 + length
        frames.append(recording[at - length : at])
    return frames


def first(langs: Sequence[str] | None) -> str | None:
    """Return the first language."""
    return langs[0] if langs else None


def typed(frames: list[bytes]) -> Counts:
    """Read frames with `skytide.firehose`: text, time and languages of the posts that were created."""
    counts: Counts = Counter()
    for frame in frames:
        commit = parse(frame).commit
        if commit is None:
            continue
        for op in commit.ops:
            if op.action != "create" or op.collection != POST:
                continue
            record = op.record
            if record is None:
                continue
            _text, _created, langs = record["text"], record["createdAt"], record.get("langs")
            counts[first(langs)] += 1
    return counts


def framed(frames: list[bytes]) -> Counts:
    """Do the same by way of the `MessageFrame` that a client hands out."""
    counts: Counts = Counter()
    for frame in frames:
        commit = parse(MessageFrame.from_bytes(frame)).commit
        if commit is None:
            continue
        for op in commit.ops:
            if op.action == "create" and op.path.startswith(POST + "/") and (record := op.record):
                _text, _created, langs = record["text"], record["createdAt"], record.get("langs")
                counts[first(langs)] += 1
    return counts


def sdk(frames: list[bytes]) -> Counts:
    """Read frames with `skytide.atproto`, as programs for the AT Protocol SDK do."""
    counts: Counts = Counter()
    for frame in frames:
        commit = parse_subscribe_repos_message(firehose_models.Frame.from_bytes(frame))
        if not isinstance(commit, models.ComAtprotoSyncSubscribeRepos.Commit):
            continue
        car = CAR.from_bytes(commit.blocks)
        for op in commit.ops:
            if op.action != "create" or not op.path.startswith(POST + "/"):
                continue
            raw = car.blocks.get(op.cid)
            if raw is None:
                continue
            record = models.get_or_create(raw, strict=False)
            counts[first(getattr(record, "langs", None))] += 1
    return counts


def native(source: bytes | Iterable[bytes]) -> Callable[[], Counts]:
    """Count by a query over frames or a recording in memory, which is run anew each time."""
    posts = kd.sources.Firehose(source).posts
    languages = posts.with_key(posts.col("record").col("langs").index(0)).count()
    latest = kd.results.Snapshot()
    return lambda: Counter(
        {row["_key"]: row["result"] for row in languages.run_iter("row", results=latest)}
    )


class Again:
    """The same frames again and again, so many times."""

    def __init__(self, frames: list[bytes], times: int) -> None:
        self.frames, self.times = frames, times

    def __iter__(self) -> Iterator[bytes]:
        return itertools.chain.from_iterable(itertools.repeat(self.frames, self.times))


def ipld(recording: bytes) -> Callable[[], Counts]:
    """Count with libipld over a recording in memory, the CAR only where a post was created."""

    def run() -> Counts:
        counts: Counts = Counter()
        at, end = 0, len(recording)
        while at < end:
            (length,) = struct.unpack_from("<I", recording, at)
            at += 4 + length
            count(recording[at - length : at], counts)
        return counts

    return run


def rate(frames: int, way: Callable[[], object]) -> float:
    """Return the frames per CPU-second of the whole process: the median of the rounds."""
    way()
    rates = []
    for _ in range(ROUNDS):
        begun, runs = time.process_time(), 0
        while (spent := time.process_time() - begun) < LEAST or not runs:
            way()
            runs += 1
        rates.append(frames * runs / spent)
    return median(rates)


def main(path: str) -> None:
    """Measure each way and print it."""
    recording = load(Path(path))
    frames = split(recording)
    expected = typed(frames)
    ways: dict[str, tuple[int, Callable[[], Counts]]] = {
        "skytide.firehose, posts typed": (1, lambda: typed(frames)),
        "skytide.firehose, by way of MessageFrame": (1, lambda: framed(frames)),
        "skytide.atproto, posts typed": (1, lambda: sdk(frames)),
    }
    ways[f"sources.Firehose, the same frames held, {TIMES} times"] = (
        TIMES,
        native(Again(frames, TIMES)),
    )
    for size in (SHORT, LONG):
        times = size // len(recording) + 1
        longer = recording * times
        ways[f"sources.Firehose, {size // 10**6} MB in memory"] = (times, native(longer))
    if libipld is not None:
        ways[f"libipld, the same {LONG // 10**6} MB"] = (times, ipld(longer))
    for name, (times, way) in ways.items():
        assert way() == Counter({lang: n * times for lang, n in expected.items()}), name
        figures = {"way": name, "frames_per_cpu_s": round(rate(len(frames) * times, way))}
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
