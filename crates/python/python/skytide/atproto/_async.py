"""The clients for asyncio in the shape of the AT Protocol SDK, apart from the others: importing asyncio takes its time."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from skytide import _skytide as native
from skytide.atproto._client import firehose_errors, params_of
from skytide.atproto.firehose_models import MessageFrame
from skytide.firehose import _async, _client as base

AsyncOnMessage = Callable[[MessageFrame], Awaitable[object]]
AsyncOnError = Callable[[BaseException], Awaitable[object]]


class _AsyncClient(_async.AsyncClient):
    """A client for asyncio."""

    def __init__(
        self,
        params: Any = None,
        base_uri: str | None = None,
        recv_timeout: float | None | base._Default = base._DEFAULT,
    ) -> None:
        """Describe a subscription; the arguments are those of the blocking client."""
        super().__init__(params=params_of(params), base_uri=base_uri, recv_timeout=recv_timeout)

    def update_params(self, params: Any) -> None:
        """Set the parameters of the next connection; reconnects keep their place by themselves."""
        super().update_params(params_of(params) or {})

    async def start(  # type: ignore[override]
        self,
        on_message_callback: AsyncOnMessage,
        on_callback_error_callback: AsyncOnError | None = None,
    ) -> None:
        """Subscribe and await a callback with each message, until `stop`; reconnects for ever.

        Args:
            on_message_callback: Is awaited with each message.
            on_callback_error_callback: Is awaited with what the first one raises; without it, that
                is printed.

        Raises:
            FirehoseError: The server ended the stream with an error that is final, or refused it.
        """

        async def deal(frame: native.MessageFrame) -> None:
            if not frame.is_whole:
                return
            try:
                await on_message_callback(MessageFrame(frame))
            except Exception as error:  # noqa: BLE001
                if on_callback_error_callback is None:
                    traceback.print_exc()
                    return
                try:
                    await on_callback_error_callback(error)
                except Exception:  # noqa: BLE001
                    traceback.print_exc()

        with firehose_errors():
            await self._call(deal)

    def stop(self) -> Awaitable[None]:
        """End the subscription at once, whether this is awaited or not; it does not block.

        Where none has begun, `start` ends at once when it is awaited.
        """
        self._is_stopped = True
        return super().stop()


class AsyncFirehoseSubscribeReposClient(_AsyncClient, _async.AsyncFirehoseSubscribeReposClient):
    """Commits, identities and accounts of a relay or PDS, for asyncio."""


class AsyncFirehoseSubscribeLabelsClient(_AsyncClient, _async.AsyncFirehoseSubscribeLabelsClient):
    """The labels of a labeler, for asyncio."""
