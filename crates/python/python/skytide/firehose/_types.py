"""The types of frames, and the hash of a CID."""

from enum import IntEnum
from typing import NamedTuple


class FrameType(IntEnum):
    """What a frame is."""

    MESSAGE = 1
    ERROR = -1


class Multihash(NamedTuple):
    """A hash that says what it is."""

    code: int
    """Which hash it is: 0x12 is SHA-256."""
    size: int
    """How many bytes it has."""
    digest: bytes
    """The hash itself."""
