"""Errors under the names that the AT Protocol SDK gives them."""

from dataclasses import dataclass


class AtProtocolError(Exception):
    """Base of all errors."""


class SubscriptionError(AtProtocolError):
    """A stream ended with an error; its first argument is an `XrpcError` or the cause."""


class FrameDecodingError(SubscriptionError):
    """Bytes are not a frame."""


class ModelError(AtProtocolError):
    """Data is not what the model says."""


class ModelFieldNotFoundError(ModelError):
    """A model has no such field."""


class InvalidAtUriError(AtProtocolError):
    """A text is not an AT-URI."""


class InvalidCARFile(AtProtocolError):
    """Bytes are not a CAR file."""


FirehoseError = SubscriptionError
FirehoseDecodingError = FrameDecodingError


@dataclass
class XrpcError:
    """A server's error: its name, and its explanation."""

    error: str | None = None
    message: str | None = None
