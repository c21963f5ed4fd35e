"""The types of frames."""

from enum import IntEnum


class FrameType(IntEnum):
    """What a frame is."""

    MESSAGE = 1
    ERROR = -1
