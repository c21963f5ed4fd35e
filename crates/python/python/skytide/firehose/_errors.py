"""What can go wrong with a stream."""

import builtins


class StreamError(Exception):
    """Base of what can go wrong with a stream; itself raised for an error frame that is final.

    Of such a frame `error` is the server's name for it, and `message` its explanation.
    """

    error: str | None = None
    message: str | None = None


class ConnectionError(StreamError, builtins.ConnectionError):
    """A connection could not be made, or was lost for good."""


class MessageParsingError(StreamError):
    """A frame, CAR or record is not what it was taken for."""


class StreamTimeoutError(StreamError, TimeoutError):
    """A server has been silent for too long, again and again."""


NetworkError = ConnectionError
