"""Errors under the names that the AT Protocol SDK gives them."""

from dataclasses import dataclass

from skytide.firehose._errors import AtProtocolError, ModelError, ModelFieldNotFoundError


class SubscriptionError(AtProtocolError):
    """A stream ended with an error; its first argument is an `XrpcError` or the cause."""


class FrameDecodingError(SubscriptionError):
    """Bytes are not a frame."""


class InvalidAtUriError(AtProtocolError):
    """A text is not an AT-URI."""


class InvalidCARFile(AtProtocolError):
    """Bytes are not a CAR file."""


__all__ = [
    "AtProtocolError",
    "FirehoseDecodingError",
    "FirehoseError",
    "FrameDecodingError",
    "InvalidAtUriError",
    "InvalidCARFile",
    "ModelError",
    "ModelFieldNotFoundError",
    "SubscriptionError",
    "XrpcError",
]

FirehoseError = SubscriptionError
FirehoseDecodingError = FrameDecodingError


@dataclass
class XrpcError:
    """A server's error: its name, and its explanation."""

    error: str | None = None
    message: str | None = None
