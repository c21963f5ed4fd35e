"""The blocking clients: thin ways of asking the native session for frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self, overload

from skytide._skytide import Frames, MessageFrame, Session

REPOS_URL = "wss://bsky.network"
LABELS_URL = "wss://mod.bsky.app"

Params = Mapping[str, Any]


class _Default:
    """Says that an argument was not given, where `None` means something."""


_DEFAULT = _Default()


def _pairs(params: Params) -> list[tuple[str, str]]:
    """The parameters of an address but the cursor; of a list each item."""
    pairs = []
    for name, value in params.items():
        if name == "cursor" or value is None:
            continue
        for item in value if isinstance(value, list | tuple | set) else [value]:
            pairs.append((name, str(item).lower() if isinstance(item, bool) else str(item)))
    return pairs


def _cursor(params: Params) -> int | None:
    cursor = params.get("cursor")
    try:
        return None if cursor is None else _checked(int(cursor))
    except (TypeError, ValueError):
        raise ValueError(f"cursor={cursor}: the number of a frame, 0 or more") from None


def _checked(cursor: int) -> int:
    """A cursor, if it can be one: the lexicon's numbers have 64 bits."""
    if not 0 <= cursor < 2**63:
        raise ValueError(f"cursor={cursor}: the number of a frame, 0 or more")
    return cursor


class BaseClient:
    """What all clients share: where to connect, what to ask for, and the place in the stream."""

    _stream: ClassVar[str]
    _url: ClassVar[str]
    _recv_timeout: ClassVar[float]
    # A stop came that is for the next call back, too, if there is none now.
    _is_stopped = False

    def __init__(
        self,
        base_url_or_params: str | Params | None = None,
        /,
        *,
        base_url: str | None = None,
        base_uri: str | None = None,
        params: Params | None = None,
        cursor: int | None = None,
        recv_timeout: float | None | _Default = _DEFAULT,
        max_reconnects: int = 5,
        backoff: float = 1.0,
        max_backoff: float = 60.0,
    ) -> None:
        """Describe a subscription; nothing is connected before `start`.

        Args:
            base_url_or_params: An address (str), or parameters (a mapping).
            base_url: A host, an address that ends in `/xrpc`, or the whole endpoint.
            base_uri: Another name of `base_url`.
            params: Parameters of the request; `cursor` is where to begin.
            cursor: Where to begin: after the frame of this number.
            recv_timeout: A connection without a message for so many seconds is made anew; None never.
            max_reconnects: An iterator ends after so many reconnects in a row without a frame.
            backoff: The first wait after a failure, in seconds; each further one is twice as long.
            max_backoff: The longest such wait, in seconds.

        Raises:
            ValueError: The address is none, or a number is out of its bounds.
            TypeError: An argument is given twice, or is of another type.
        """
        first = base_url_or_params
        urls = [url for url in (base_url, base_uri) if url is not None]
        if isinstance(first, str):
            urls.append(first)
        elif isinstance(first, Mapping):
            if params is not None:
                raise TypeError("params given twice")
            params = first
        elif first is not None:
            raise TypeError(f"an address (str) or params (dict), not {type(first).__name__}")
        if len(urls) > 1:
            raise TypeError("the address is given twice")
        if max_reconnects < 0:
            raise ValueError(f"max_reconnects={max_reconnects}: 0 or more")
        self._params: dict[str, Any] = dict(params or {})
        if cursor is not None:
            self._params["cursor"] = cursor
        _cursor(self._params)
        self._max_reconnects = max_reconnects
        self._begin_at_params = True
        timeout = self._recv_timeout if isinstance(recv_timeout, _Default) else recv_timeout
        self._session = Session(
            self._stream,
            urls[0] if urls else self._url,
            recv_timeout=timeout,
            backoff=backoff,
            max_backoff=max_backoff,
        )

    def get_cursor(self) -> int | None:
        """Number of the last frame that was handed out; None before the first."""
        return self._session.cursor

    def update_params(self, params: Params) -> None:
        """Set the parameters of the next connection.

        Reconnects keep their place by themselves; a `cursor` here is where the next `start` begins.
        """
        _cursor(params)
        self._params = dict(params)
        self._begin_at_params = "cursor" in self._params
        self._session.set_parameters(_pairs(self._params))

    def _where(self, cursor: int | None | _Default) -> tuple[int | None, list[tuple[str, str]]]:
        """Where a start begins, and what else it asks for."""
        if isinstance(cursor, _Default):
            seen = self._session.cursor
            cursor = _cursor(self._params) if self._begin_at_params or seen is None else seen
        elif cursor is not None and (isinstance(cursor, bool) or not isinstance(cursor, int)):
            raise TypeError(
                f"start() takes a callable, an int or None, not {type(cursor).__name__}"
            )
        elif cursor is not None:
            _checked(cursor)
        self._begin_at_params = False
        return cursor, _pairs(self._params)


class SyncClient(BaseClient):
    """A client that blocks."""

    @overload
    def start(self, on_message: Callable[[MessageFrame], object], /) -> None: ...
    @overload
    def start(self, cursor: int | None | _Default = ...) -> Iterator[MessageFrame]: ...
    def start(
        self, cursor: Callable[[MessageFrame], object] | int | None | _Default = _DEFAULT
    ) -> Iterator[MessageFrame] | None:
        """Subscribe, in place of what was subscribed to before.

        Args:
            cursor: A callable is called with each frame, and `start` returns after a stop; it
                reconnects for ever. Else an iterator of frames is returned, which begins after
                the frame of this number; None is live. Without it: where the client was, or
                where its parameters say.

        Raises:
            ConnectionError: (from the iterator) the first connection could not be made, or a lost
                one was not made anew within `max_reconnects`.
            StreamTimeoutError: As the latter, after silence.
            StreamError: An error frame is final.
        """
        if callable(cursor):
            self._call(cursor)
            return None
        where, parameters = self._where(cursor)
        return self._session.frames(where, parameters, self._max_reconnects)

    def _call(self, on_message: Callable[[MessageFrame], object]) -> None:
        where, parameters = self._where(_DEFAULT)
        frames: Frames = self._session.frames(where, parameters, None)
        try:
            if self._is_stopped:
                return
            for frame in frames:
                on_message(frame)
        finally:
            self._is_stopped = False
            frames.stop()

    def stop(self) -> None:
        """End the subscription, from any thread or a signal handler; it does not block."""
        self._session.stop()

    def close(self) -> None:
        """End the subscription and its connection."""
        self._session.stop()

    def __iter__(self) -> Iterator[MessageFrame]:
        return self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class FirehoseSubscribeReposClient(SyncClient):
    """Commits, identities and accounts of a relay or PDS."""

    _stream = "repos"
    _url = REPOS_URL
    _recv_timeout = 30.0


class FirehoseSubscribeLabelsClient(SyncClient):
    """The labels of a labeler."""

    _stream = "labels"
    _url = LABELS_URL
    _recv_timeout = 300.0
