"""Frames under the names that the AT Protocol SDK gives them: their bodies are dicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skytide import _skytide as native
from skytide._skytide import MessageFrameHeader
from skytide.atproto.exceptions import FrameDecodingError
from skytide.firehose import FrameType, MessageParsingError


@dataclass(frozen=True)
class ErrorFrameHeader:
    """The header of an error frame."""

    op: FrameType = FrameType.ERROR


@dataclass(frozen=True)
class ErrorFrameBody:
    """What an error frame says."""

    error: str
    message: str | None = None


class Frame:
    """A frame: a header and a body."""

    @staticmethod
    def from_bytes(data: bytes) -> MessageFrame | ErrorFrame:
        """Read a whole frame.

        Raises:
            FirehoseDecodingError: It is none.
        """
        try:
            frame = native.MessageFrame.from_bytes(data if type(data) is bytes else bytes(data))
            if frame.is_message:
                return MessageFrame(frame)
            if frame.is_error:
                return ErrorFrame(frame)
        except MessageParsingError as error:
            raise FrameDecodingError(str(error)) from error
        raise FrameDecodingError("a frame of an unknown kind")


class MessageFrame(Frame):
    """A frame with a message. Its body is decoded when it is asked for."""

    __slots__ = ("_body", "_frame")

    def __init__(self, frame: native.MessageFrame) -> None:
        self._frame = frame
        self._body: dict[str, Any] | None = None

    @property
    def header(self) -> MessageFrameHeader:
        """The header: `op` and `t`."""
        return self._frame.header

    @property
    def body(self) -> dict[str, Any]:
        """The message as a dict, as it is on the wire; links are the bytes of their CIDs.

        Raises:
            FirehoseDecodingError: It does not decode.
        """
        if self._body is None:
            try:
                self._body = dict(self._frame.decode(links_as_bytes=True))
            except (MessageParsingError, TypeError, ValueError) as error:
                raise FrameDecodingError(str(error)) from error
        return self._body

    @property
    def type(self) -> str | None:
        """The type of the message, as `#commit`."""
        return self._frame.type

    @property
    def operation(self) -> FrameType:
        """What the frame is."""
        return FrameType.MESSAGE

    @property
    def is_message(self) -> bool:
        """True."""
        return True

    @property
    def is_error(self) -> bool:
        """False."""
        return False

    def __reduce__(self) -> tuple[Any, ...]:
        return MessageFrame, (self._frame,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MessageFrame) and self._frame == other._frame

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._frame)


class ErrorFrame(Frame):
    """A frame with an error."""

    def __init__(self, frame: native.MessageFrame) -> None:
        message = native.parse_message(frame)
        assert isinstance(message, native.ErrorMessage)
        self.header = ErrorFrameHeader()
        self.body = ErrorFrameBody(message.error, message.message)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ErrorFrame) and self.body == other.body

    __hash__ = None  # type: ignore[assignment]

    @property
    def operation(self) -> FrameType:
        """What the frame is."""
        return FrameType.ERROR

    @property
    def is_message(self) -> bool:
        """False."""
        return False

    @property
    def is_error(self) -> bool:
        """True."""
        return True


__all__ = [
    "ErrorFrame",
    "ErrorFrameBody",
    "ErrorFrameHeader",
    "Frame",
    "FrameType",
    "MessageFrame",
    "MessageFrameHeader",
]
