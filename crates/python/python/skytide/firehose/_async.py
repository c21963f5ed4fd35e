"""The clients for asyncio, apart from the others: importing asyncio takes its time."""

from __future__ import annotations

import asyncio
import atexit
import inspect
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from functools import partial
from types import TracebackType
from typing import Any, Self, overload

from skytide._skytide import AsyncFrames, MessageFrame
from skytide.firehose._client import _DEFAULT, LABELS_URL, REPOS_URL, BaseClient, _Default

# An async reader that never has to wait lets others run after so many seconds.
_TURN = 0.005


class _Done(Awaitable[None]):
    """Awaitable that has been done already."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class FrameStream(AsyncIterator[MessageFrame]):
    """The frames of a subscription: an async iterator, which may be awaited and gives itself.

    A read that is cancelled loses nothing.
    """

    def __init__(self, frames: AsyncFrames) -> None:
        self._frames = frames
        self._lock = asyncio.Lock()
        self._turn = 0.0

    def __await__(self) -> Generator[Any, None, FrameStream]:
        return self
        yield

    def __aiter__(self) -> FrameStream:
        return self

    async def __anext__(self) -> MessageFrame:
        loop = asyncio.get_running_loop()
        if loop.time() - self._turn > _TURN:
            await asyncio.sleep(0)
            self._turn = loop.time()
        frame = self._frames.ready()
        if frame is not None:
            return frame
        async with self._lock:
            while True:
                woken = loop.create_future()
                wake = partial(loop.call_soon_threadsafe, _set, woken)
                frame = self._frames.take(wake)
                if frame is not None:
                    return frame
                await woken
                self._turn = loop.time()

    async def aclose(self) -> None:
        """End the subscription."""
        self._frames.stop()


_streams: weakref.WeakSet[FrameStream] = weakref.WeakSet()


@atexit.register
def _end_threads() -> None:
    """End the threads that receive while there still is an interpreter that they may call."""
    for stream in list(_streams):
        stream._frames.close()


class AsyncClient(BaseClient):
    """A client for asyncio."""

    @overload
    def start(
        self, on_message: Callable[[MessageFrame], object], /
    ) -> Coroutine[Any, Any, None]: ...
    @overload
    def start(self, cursor: int | None | _Default = ...) -> FrameStream: ...
    def start(
        self, cursor: Callable[[MessageFrame], object] | int | None | _Default = _DEFAULT
    ) -> Coroutine[Any, Any, None] | FrameStream:
        """Subscribe, in place of what was subscribed to before.

        Args:
            cursor: As of the blocking client's `start`. With a callable, which may be a coroutine
                function, it is a coroutine that ends after a stop; else an async iterator.

        Raises:
            StreamError: As the blocking client.
        """
        if callable(cursor):
            return self._call(cursor)
        where, parameters = self._where(cursor)
        return self._frames(where, parameters, self._max_reconnects)

    def _frames(
        self, where: int | None, parameters: list[tuple[str, str]], reconnects: int | None
    ) -> FrameStream:
        frames = self._session.frames_async(where, parameters, reconnects)
        stream = FrameStream(frames)
        _streams.add(stream)
        return stream

    async def _call(self, on_message: Callable[[MessageFrame], object]) -> None:
        where, parameters = self._where(_DEFAULT)
        stream = self._frames(where, parameters, None)
        try:
            if self._is_stopped:
                return
            async for frame in stream:
                result = on_message(frame)
                if inspect.isawaitable(result):
                    await result
        finally:
            self._is_stopped = False
            stream._frames.stop()

    def stop(self) -> Awaitable[None]:
        """End the subscription at once, whether this is awaited or not; it does not block."""
        self._session.stop()
        return _Done()

    def close(self) -> Awaitable[None]:
        """End the subscription and its connection, as `stop`."""
        return self.stop()

    def __aiter__(self) -> FrameStream:
        return self.start()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.stop()


class AsyncFirehoseSubscribeReposClient(AsyncClient):
    """Commits, identities and accounts of a relay or PDS, for asyncio."""

    _stream = "repos"
    _url = REPOS_URL
    _recv_timeout = 30.0


class AsyncFirehoseSubscribeLabelsClient(AsyncClient):
    """The labels of a labeler, for asyncio."""

    _stream = "labels"
    _url = LABELS_URL
    _recv_timeout = 300.0
