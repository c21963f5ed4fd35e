"""What a program keeps, and nothing beside it, stays in memory."""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import islice

import pytest
from skytide.firehose import AsyncFirehoseSubscribeReposClient, FirehoseSubscribeReposClient

from .server import Server
from .support import limited
from .wire import frame as wire_frame, time_of

FRAMES = 6_000
SIZE = 10_000
# Of so many frames one is kept: fewer than are received into one buffer.
KEPT = 20


def resident() -> int:
    """Bytes of memory that this process has."""
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_frame_that_is_kept_keeps_no_other(is_async: bool) -> None:
    def frame(seq: int) -> bytes:
        about = {"seq": seq, "did": "did:plc:abc", "time": time_of(seq), "handle": "x" * SIZE}
        return wire_frame("#identity", about)

    script = [frame(seq) for seq in range(1, FRAMES + 1)]
    with Server([script]) as server:

        async def receive() -> list[object]:
            kept: list[object] = []
            async with AsyncFirehoseSubscribeReposClient(server.url) as client:
                async for frame in client:
                    if (frame.seq or 0) % KEPT == 0:
                        kept.append(frame)
                    if frame.seq == FRAMES:
                        break
            return kept

        def iterate() -> list[object]:
            with FirehoseSubscribeReposClient(server.url) as client:
                frames = islice(client.start(), FRAMES)
                return [frame for frame in frames if (frame.seq or 0) % KEPT == 0]

        before = resident()
        kept = limited((lambda: asyncio.run(receive())) if is_async else iterate)
        assert len(kept) == FRAMES // KEPT
        # The frames together are 60 MB, those that are kept 3 MB; an async client reads up to 1,024 ahead.
        assert resident() - before < FRAMES * SIZE // 2
