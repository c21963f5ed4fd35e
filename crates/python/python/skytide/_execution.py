"""A query being run, as an iterator that is both of the usual and of the asynchronous kind.

``asyncio`` is imported where it is used: it takes longer than all of this package, and many a program has no use for it.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import _skytide

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType

T = TypeVar("T")


class Execution:
    """A query being run."""

    def __init__(self, native: _skytide.Execution) -> None:
        """Take over a run that has started."""
        self._native = native

    def stop(self) -> None:
        """End it. What is complete can still be read; nothing is waited for.

        Rows that were added before are part of that, but for those that wait for others, which may be late by ``lateness``. What is
        being computed has a second to be done, and is left out else; a call of a function of your own (:func:`udf`) cannot be broken off, and
        is waited for where the rest of the answer is read.
        """
        self._native.stop()

    def late_rows(self) -> list[dict[str, Any]]:
        """Return the late points that came since the last call, of sources that keep them (``late="side"``).

        Each is a dict: ``_time``, ``_key``, ``_stream`` (the source's name), ``_watermark`` (up to which time all was taken to be
        here when it came), then all fields of the source, whether or not the query reads them. It does not wait. Of 100,000
        that nobody takes the query fails, rather than lose any.
        """
        return [row for batch in self._native.late() for row in batch.rows()]

    @property
    def schema(self) -> _skytide.Schema:
        """The columns of its rows; any library that knows ``__arrow_c_schema__`` takes it."""
        return self._native.schema

    @property
    def status(self) -> dict[str, Any]:
        """What the sources have done: read, points, cursor, what was dropped, by reason, and bytes spilled.

        Once it has ended, also what the query itself left out: ``overflows`` and ``misfits`` are values that became null, ``moved_back``
        points that would have moved back in time, or nowhere, ``held`` those that still waited for their condition (``shift_until``), and
        ``not_due`` those whose time has not come.
        """
        return self._native.status


class ResultIterator(Execution, Iterator[T], AsyncIterator[T], Generic[T]):
    """The answer as it comes, by ``for`` or by ``async for``. Threads and tasks may share it: each item goes to one of them."""

    def __init__(
        self,
        native: _skytide.Execution,
        convert: Callable[[_skytide.Batch], Iterable[T]],
        again: Callable[[], _skytide.Answer] | None = None,
    ) -> None:
        """Take over a run.

        Args:
            native: The run.
            convert: Makes items of a batch.
            again: Runs a bounded query anew, for whoever wants its answer as Arrow.
        """
        super().__init__(native)
        self._convert = convert
        # Items of the batch that was taken last. The next one is taken when they are gone, by one reader at a time.
        self._items: deque[T] = deque()
        self._taking = allocate_lock()
        self._again = again

    def __iter__(self) -> ResultIterator[T]:
        """Return itself."""
        return self

    def __aiter__(self) -> ResultIterator[T]:
        """Return itself."""
        return self

    def __next__(self) -> T:
        """Wait for the next item.

        Raises:
            RuntimeError: The query failed.
            StopIteration: There is no more.
        """
        while True:
            try:
                return self._items.popleft()
            except IndexError:
                # For no longer than a moment: another reader may have taken the batch, and there are items.
                self._native.wait()
            if not self._take():
                raise StopIteration

    def _take(self) -> bool:
        """Take the next batch if there is one, and nothing is left of the one before. Return whether more may come."""
        with self._taking:
            if self._items:
                return True
            ready, batch = self._native.poll()
            if batch is not None:
                self._items.extend(self._convert(batch))
            return not ready or batch is not None

    async def __anext__(self) -> T:
        """Wait for the next item, while other tasks go on. Cancelling the task ends the query.

        Raises:
            RuntimeError: The query failed.
            StopAsyncIteration: There is no more.
        """
        while True:
            try:
                return self._items.popleft()
            except IndexError:
                if not self._take():
                    raise StopAsyncIteration from None
            if self._items:
                # An answer that is always there must not keep other tasks from their turn.
                await self._turn()
            else:
                await self._wait()

    async def _turn(self) -> None:
        import asyncio

        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.stop()
            raise

    async def _wait(self) -> None:
        """Wait until there is something to read."""
        import asyncio

        loop = asyncio.get_running_loop()
        there: asyncio.Future[None] = loop.create_future()

        def tell() -> None:
            if not there.done():
                there.set_result(None)

        try:
            if self._native.notify(lambda: loop.call_soon_threadsafe(tell)):
                await there
        except asyncio.CancelledError:
            self.stop()
            raise

    def __enter__(self) -> ResultIterator[T]:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the query."""
        self.stop()

    async def __aenter__(self) -> ResultIterator[T]:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the query."""
        self.stop()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Give the answer as Arrow: all of a bounded query, again and again; the rest of a live one."""
        if self._again is not None:
            return self._again().__arrow_c_stream__(requested_schema)
        return self._native.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """Give the columns of the answer."""
        return self._native.__arrow_c_schema__()
