"""What can go wrong with a stream, and with what it carries."""

import builtins


class AtProtocolError(Exception):
    """Base of all errors of data, of `skytide.firehose` and `skytide.atproto`."""


class ModelError(AtProtocolError):
    """Data is not what the model says."""


class ModelFieldNotFoundError(ModelError, KeyError):
    """A model has no such field."""

    __str__ = Exception.__str__


class StreamError(Exception):
    """Base of what can go wrong with a stream; itself raised for an error frame that is final.

    Of such a frame `error` is the server's name for it, and `message` its explanation.
    """

    error: str | None = None
    message: str | None = None


class ConnectionError(StreamError, builtins.ConnectionError):
    """A connection could not be made, or was lost for good."""


class MessageParsingError(StreamError, AtProtocolError):
    """A frame, CAR or record is not what it was taken for."""


class StreamTimeoutError(StreamError, TimeoutError):
    """A server has been silent for too long, again and again."""


NetworkError = ConnectionError
