"""Frames per CPU-second over a WebSocket to the count of posts by language: ``python bench/loopback.py WAY URL FRAMES``.

WAY is ``skytide`` (`sources.Firehose`), or a peer's: ``websockets-sync`` and ``websockets-asyncio`` receive with that library and
decode with libipld, the CAR only where a post was created. Prints a JSON line. The CPU time is that of the whole process, of all
its threads; the server is another process. `cargo xtask bench-python` runs them in turn.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter

try:
    import libipld
except ImportError:
    libipld = None

POST = "app.bsky.feed.post/"
PATH = "/xrpc/com.atproto.sync.subscribeRepos"


class Clock:
    """CPU time of the process per frame, once so many frames were received to warm up."""

    def __init__(self, frames: int) -> None:
        self.last = frames
        self.first: int | None = None
        self.begun = 0.0

    def is_over(self, read: int) -> bool:
        """Take note of how many frames have been read; say whether it is enough."""
        if self.first is None:
            if read > self.last // 20:
                self.first, self.begun = read, time.process_time()
        elif read >= self.last:
            self.rate = (read - self.first) / (time.process_time() - self.begun)
            return True
        return False


def skytide(url: str, clock: Clock, counts: Counter[str | None]) -> None:
    """Count by a query."""
    import skytide as kd

    posts = kd.sources.Firehose(url).posts
    languages = posts.with_key(posts.col("record").col("langs").index(0)).count()
    with languages.run_iter("row", mode="live", results=kd.results.Snapshot()) as run:
        for at, row in enumerate(run):
            counts[row["_key"]] = row["result"]
            if at % 64 == 0 and clock.is_over(run.status["read"]):
                return


def created(frame: bytes) -> list[str | None]:
    """Read the first languages of the posts that a frame creates, with libipld."""
    assert libipld is not None
    header, body = libipld.decode_dag_cbor_multi(frame)
    if header.get("t") != "#commit":
        return []
    posts = [op for op in body["ops"] if op["action"] == "create" and op["path"].startswith(POST)]
    if not posts:
        return []
    _, blocks = libipld.decode_car(body["blocks"])
    records = (blocks[bytes(op["cid"])] for op in posts)
    return [langs[0] if (langs := record.get("langs")) else None for record in records]


def count(frame: bytes, counts: Counter[str | None]) -> None:
    """Count the posts of a frame with libipld."""
    for language in created(frame):
        counts[language] += 1


def websockets_sync(url: str, clock: Clock, counts: Counter[str | None]) -> None:
    """Receive with the blocking client of websockets."""
    from websockets.sync.client import connect

    with connect(url + PATH, max_size=None, compression=None) as socket:
        for read, frame in enumerate(socket, 1):
            count(frame, counts)
            if read % 64 == 0 and clock.is_over(read):
                return


def websockets_asyncio(url: str, clock: Clock, counts: Counter[str | None]) -> None:
    """Receive with the asyncio client of websockets."""
    from websockets.asyncio.client import connect

    async def receive() -> None:
        async with connect(url + PATH, max_size=None, compression=None) as socket:
            read = 0
            async for frame in socket:
                count(frame, counts)
                read += 1
                if read % 64 == 0 and clock.is_over(read):
                    return

    asyncio.run(receive())


WAYS = {
    "skytide": skytide,
    "websockets-sync": websockets_sync,
    "websockets-asyncio": websockets_asyncio,
}


def main(way: str, url: str, frames: str) -> None:
    """Measure one way and print it."""
    clock, counts = Clock(int(frames)), Counter[str | None]()
    WAYS[way](url, clock, counts)
    assert len(counts) > 2, counts
    print(json.dumps({"way": way, "frames_per_cpu_s": round(clock.rate)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
