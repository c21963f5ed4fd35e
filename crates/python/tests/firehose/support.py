"""The four ways of receiving, under one face, so that each rule is held for all of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from skytide import firehose
from skytide.firehose import (
    AsyncFirehoseSubscribeReposClient,
    FirehoseSubscribeReposClient,
    MessageFrame,
)

from .server import LIMIT, Step
from .wire import identity

# Fast enough for tests, slow enough to be seen.
QUICK: dict[str, Any] = {"backoff": 0.01, "max_backoff": 0.05}


def frames(*seqs: int) -> list[Step]:
    """Frames of these numbers."""
    return [identity(seq) for seq in seqs]


def limited(act: Callable[[], Any]) -> Any:
    """Runs in a thread of its own, and fails if it takes too long."""
    result: list[Any] = []

    def run() -> None:
        try:
            result.append((act(), None))
        except BaseException as error:  # noqa: BLE001
            result.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert result, "it took too long"
    value, error = result[0]
    if error is not None:
        raise error
    return value


def seq(frame: MessageFrame) -> int | None:
    return frame.seq


class Way:
    """A way of receiving: collects frames until there are enough, the stream ends or raises."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_async = name.startswith("async")
        self.is_callback = name.endswith("callback")

    def client(self, *args: Any, **options: Any) -> Any:
        options = QUICK | options
        if self.is_async:
            return AsyncFirehoseSubscribeReposClient(*args, **options)
        return FirehoseSubscribeReposClient(*args, **options)

    def collect(
        self, client: Any, enough: int, into: list[MessageFrame] | None = None, *start: Any
    ) -> list[MessageFrame]:
        """Receives so many frames, then stops. What is raised is raised here."""
        found: list[MessageFrame] = [] if into is None else into

        def on_message(frame: MessageFrame) -> None:
            found.append(frame)
            if len(found) >= enough:
                client.stop()

        async def on_message_async(frame: MessageFrame) -> None:
            found.append(frame)
            if len(found) >= enough:
                await client.stop()

        async def iterate() -> None:
            async for frame in client.start(*start):
                found.append(frame)
                if len(found) >= enough:
                    return

        def blocking() -> None:
            for frame in client.start(*start):
                found.append(frame)
                if len(found) >= enough:
                    return

        match self.name:
            case "iterator":
                limited(blocking)
            case "callback":
                limited(lambda: client.start(on_message))
            case "async iterator":
                limited(lambda: asyncio.run(iterate()))
            case "async callback":
                limited(lambda: asyncio.run(client.start(on_message_async)))
        return found


WAYS = [Way(name) for name in ("iterator", "callback", "async iterator", "async callback")]
each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
iterators = pytest.mark.parametrize("way", [WAYS[0], WAYS[2]], ids=lambda way: way.name)
callbacks = pytest.mark.parametrize("way", [WAYS[1], WAYS[3]], ids=lambda way: way.name)

__all__ = [
    "QUICK",
    "WAYS",
    "Way",
    "callbacks",
    "each_way",
    "firehose",
    "iterators",
    "limited",
    "seq",
]
