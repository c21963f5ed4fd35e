"""Frames that the program holds, and exported repositories, as a source."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import skytide as kd
from skytide.firehose import MessageFrame

from tests.firehose.wire import Link, car, cbor, cid_of, frame, repository

AUTHOR = "did:plc:abc"
REV = "3migo7fijwi2k"


def post(seq: int) -> bytes:
    """A commit of one post."""
    record = cbor({"$type": "app.bsky.feed.post", "text": f"post {seq}", "langs": ["en"]})
    cid = cid_of(record)
    root = cbor({"data": cid})
    op = {"action": "create", "path": f"app.bsky.feed.post/{seq:013}", "cid": cid}
    body: dict[str, Any] = {
        "ops": [op],
        "rev": REV,
        "seq": seq,
        "repo": AUTHOR,
        "time": f"2026-07-04T00:{seq // 60 % 60:02}:{seq % 60:02}Z",
        "blobs": [],
        "since": None,
        "blocks": car(cid_of(root), [(cid_of(root), root), (cid, record)]),
        "commit": Link(cid_of(root).cid),
        "rebase": False,
        "tooBig": False,
    }
    return frame("#commit", body)


FRAMES = [post(seq) for seq in range(1, 3001)]


def numbers(source: object, **options: Any) -> list[int]:
    posts = kd.sources.Firehose(source, **options).posts  # type: ignore[arg-type]
    return [row["result"] for row in posts.col("seq").to_rows()]


def test_every_kind_of_iterable_and_of_frame_is_read() -> None:
    expected = list(range(1, 3001))
    for frames in (FRAMES, tuple(FRAMES), dict.fromkeys(FRAMES), map(bytearray, FRAMES)):
        assert numbers(frames) == expected
    kinds: list[Any] = [bytes, bytearray, memoryview, MessageFrame.from_bytes]
    mixed = [kind(one) for kind, one in zip(itertools.cycle(kinds), FRAMES, strict=False)]
    assert numbers(mixed) == expected
    assert numbers([]) == []
    assert numbers(itertools.islice(itertools.cycle(FRAMES[:7]), 20_000))[-1] == 20_000 % 7


def test_an_iterable_is_read_anew_by_each_query_and_a_generator_once() -> None:
    again = kd.sources.Firehose(FRAMES).posts.count()
    assert again.to_rows() == again.to_rows()
    assert again.to_rows()[-1]["result"] == 3000
    once = kd.sources.Firehose(one for one in FRAMES).posts.count()
    assert len(once.to_rows()) == 3000
    assert once.to_rows() == []


def test_the_cursor_is_where_a_recording_would_begin() -> None:
    assert numbers(FRAMES, cursor=2998) == [2998, 2999, 3000]
    assert numbers(iter(FRAMES), cursor="oldest") == list(range(1, 3001))
    with pytest.raises(RuntimeError, match="no frame is numbered 3001"):
        numbers(FRAMES, cursor=3001)


def test_what_the_iterator_raises_is_raised_after_the_rows_before_it() -> None:
    def fails() -> Iterator[bytes]:
        yield from FRAMES[:1500]
        raise KeyError("gone")

    rows = []
    with pytest.raises(KeyError, match="gone"):
        for row in kd.sources.Firehose(fails()).posts.col("seq").run_iter("row"):
            rows.append(row["result"])
    assert rows == list(range(1, 1501))

    class Refuses:
        def __iter__(self) -> Iterator[bytes]:
            raise LookupError("no store")

    with pytest.raises(LookupError, match="no store"):
        numbers(Refuses())


@pytest.mark.parametrize("wrong", ["text", 7, None, [1]])
def test_an_item_that_is_no_frame_is_named_by_its_place(wrong: object) -> None:
    rows = []
    source: Any = [*FRAMES[:2000], wrong, *FRAMES]
    with pytest.raises(TypeError, match=f"item 2000 .* {type(wrong).__name__}"):
        for row in kd.sources.Firehose(source).posts.col("seq").run_iter("row"):
            rows.append(row["result"])
    assert len(rows) == 2000
    with pytest.raises(TypeError, match="not int"):
        kd.sources.Firehose(7)  # type: ignore[arg-type]


def test_frames_that_do_not_decode_are_counted() -> None:
    running = kd.sources.Firehose([b"", FRAMES[0], b"\xff" * 9]).posts.count().run_iter("row")
    assert [row["result"] for row in running] == [1]
    assert running.status["dropped"] == {"undecodable": 2}
    assert running.status["read"] == 3


def test_rows_of_a_slow_iterator_do_not_wait_for_its_next_frame() -> None:
    go_on = threading.Semaphore(0)

    def slow() -> Iterator[bytes]:
        for one in FRAMES[:5]:
            yield one
            assert go_on.acquire(timeout=30)

    seen = []
    with kd.sources.Firehose(slow()).posts.count().run_iter("row", mode="live") as running:
        for row in running:
            # It is here while the iterator waits to be let go on.
            seen.append(row["result"])
            go_on.release()
    assert seen == [1, 2, 3, 4, 5]


def test_a_query_over_an_endless_iterator_is_stopped() -> None:
    async def first() -> int:
        posts = kd.sources.Firehose(itertools.cycle(FRAMES)).posts
        running = posts.count().run_iter("row", mode="live")
        async for row in running:
            running.stop()
            return int(row["result"])
        return 0

    assert asyncio.run(first()) == 1
    endless = kd.sources.Firehose(itertools.cycle(FRAMES)).posts.count()
    assert len(endless.to_rows(row_limit=10_000)) == 10_000


def test_a_query_over_an_iterator_that_waits_is_stopped() -> None:
    go_on = threading.Event()

    def waits() -> Iterator[bytes]:
        yield FRAMES[0]
        assert go_on.wait(timeout=30)

    with kd.sources.Firehose(waits()).posts.count().run_iter("row", mode="live") as running:
        assert next(running)["result"] == 1
        running.stop()
        # It ends while the iterator still waits.
        assert list(running) == []
        assert not go_on.is_set()
        go_on.set()


def test_frames_beside_a_quiet_table_do_not_wait_for_it() -> None:
    table = kd.sources.PyDict(schema={"t": "i64", "did": "utf8"}, time_column="t", key_column="did")
    posts = kd.sources.Firehose(iter(FRAMES)).posts
    both = kd.record({"posts": posts.count(), "others": table.count()})
    begun = time.monotonic()
    with both.run_iter("row", mode="live") as running:
        while running.status["read"] < len(FRAMES):
            assert time.monotonic() - begun < 20, running.status
            time.sleep(0.01)


def test_frames_are_let_go() -> None:
    frames = [bytes(bytearray(one)) for one in FRAMES[:2000]]
    before = [sys.getrefcount(one) for one in frames]
    for source in (frames, iter(frames)):
        assert numbers(source) == list(range(1, 2001))
    # What a thread lets go without the interpreter's lock is let go when that is held again.
    assert numbers([]) == []
    assert [sys.getrefcount(one) for one in frames] == before


# Repositories


def records(*keys: str) -> dict[str, bytes]:
    made = {}
    for at, key in enumerate(keys):
        record = {"text": key, "langs": ["en"], "createdAt": f"2025-01-01T00:00:{at:02}Z"}
        made[f"app.bsky.feed.post/{key}"] = cbor({"$type": "app.bsky.feed.post", **record})
    return made


def test_a_repository_is_a_source_as_a_file_a_folder_a_pattern_and_in_memory(
    tmp_path: Path,
) -> None:
    keys = [f"key{at}" for at in range(40)]
    for name in "ab":
        export = repository(f"did:plc:{name}", REV, records(*keys))
        (tmp_path / f"{name}.car").write_bytes(export)
    texts = [*keys]
    for source in (tmp_path / "a.car", str(tmp_path / "a.car"), (tmp_path / "a.car").read_bytes()):
        posts = kd.sources.Firehose(source).posts
        rows = posts.col("record").col("text").to_rows()
        assert [row["result"] for row in rows] == texts
        assert {row["_key"] for row in rows} == {"did:plc:a"}
    for source in (tmp_path, tmp_path / "*.car"):
        counts = kd.sources.Firehose(source).posts.count().to_rows(kd.results.Snapshot())
        assert [(row["_key"], row["result"]) for row in counts] == [
            ("did:plc:a", 40),
            ("did:plc:b", 40),
        ]
    (tmp_path / "a.car").write_bytes(b"text")
    with pytest.raises(RuntimeError, match="a.car is no repository"):
        kd.sources.Firehose(tmp_path).posts.to_rows()
