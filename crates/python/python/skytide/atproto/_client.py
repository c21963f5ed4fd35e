"""The clients in the shape of the AT Protocol SDK: they call back, and keep on."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from skytide import _skytide as native
from skytide.atproto.exceptions import FirehoseError, XrpcError
from skytide.atproto.firehose_models import MessageFrame
from skytide.atproto.models import get_model_as_dict
from skytide.firehose import StreamError, _client as base

OnMessage = Callable[[MessageFrame], object]
OnError = Callable[[BaseException], object]


def params_of(params: Any) -> Mapping[str, Any] | None:
    """Parameters, given as a dict or a model."""
    if params is None or isinstance(params, Mapping):
        return params
    if hasattr(params, "model_dump"):
        return get_model_as_dict(params)
    raise TypeError(f"params: a dict or a model, not {type(params).__name__}")


@contextmanager
def firehose_errors() -> Iterator[None]:
    """What ends a stream, under its name here."""
    try:
        yield
    except StreamError as error:
        code = error.error
        cause: Any = error if code is None else XrpcError(code, error.message)
        raise FirehoseError(cause) from error


class _Client(base.SyncClient):
    """A client that blocks."""

    def __init__(
        self,
        params: Any = None,
        base_uri: str | None = None,
        recv_timeout: float | None | base._Default = base._DEFAULT,
    ) -> None:
        """Describe a subscription.

        Args:
            params: Parameters, a dict or a `Params` model; `cursor` is where to begin.
            base_uri: A host, an address that ends in `/xrpc`, or the whole endpoint.
            recv_timeout: A connection without a message for so many seconds is made anew.
        """
        super().__init__(params=params_of(params), base_uri=base_uri, recv_timeout=recv_timeout)

    def update_params(self, params: Any) -> None:
        """Set the parameters of the next connection; reconnects keep their place by themselves."""
        super().update_params(params_of(params) or {})

    def start(  # type: ignore[override]
        self,
        on_message_callback: OnMessage,
        on_callback_error_callback: OnError | None = None,
    ) -> None:
        """Subscribe and call back with each message, until `stop`; reconnects for ever.

        Args:
            on_message_callback: Is called with each message.
            on_callback_error_callback: Is called with what the first one raises; without it, that
                is printed.

        Raises:
            FirehoseError: The server ended the stream with an error that is final, or refused it.
        """

        def deal(frame: native.MessageFrame) -> None:
            if not frame.is_whole:
                return
            try:
                on_message_callback(MessageFrame(frame))
            except Exception as error:  # noqa: BLE001
                if on_callback_error_callback is None:
                    traceback.print_exc()
                    return
                try:
                    on_callback_error_callback(error)
                except Exception:  # noqa: BLE001
                    traceback.print_exc()

        with firehose_errors():
            self._call(deal)

    def stop(self) -> None:
        """End the subscription, from any thread or a signal handler; it does not block.

        Where none has begun, `start` ends at once when it is called.
        """
        self._is_stopped = True
        super().stop()


class FirehoseSubscribeReposClient(_Client, base.FirehoseSubscribeReposClient):
    """Commits, identities and accounts of a relay or PDS."""


class FirehoseSubscribeLabelsClient(_Client, base.FirehoseSubscribeLabelsClient):
    """The labels of a labeler."""
