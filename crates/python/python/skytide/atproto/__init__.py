"""The firehose in the shape of the AT Protocol SDK for Python: its names and ways, over the same core.

from skytide.atproto import FirehoseSubscribeReposClient, models, parse_subscribe_repos_message

def on_message(message):
    commit = parse_subscribe_repos_message(message)
    if isinstance(commit, models.ComAtprotoSyncSubscribeRepos.Commit):
        print(commit.repo, [op.path for op in commit.ops])

FirehoseSubscribeReposClient().start(on_message)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skytide import _skytide as native
from skytide._skytide import CID
from skytide.atproto import exceptions, firehose_models, models
from skytide.atproto._client import (
    FirehoseSubscribeLabelsClient,
    FirehoseSubscribeReposClient,
)
from skytide.atproto._uri import AtUri
from skytide.atproto.exceptions import (
    FirehoseDecodingError,
    FirehoseError,
    InvalidCARFile,
    ModelError,
)
from skytide.atproto.firehose_models import MessageFrame
from skytide.atproto.models import get_or_create, is_record_type
from skytide.firehose import MessageParsingError

if TYPE_CHECKING:
    from skytide.atproto._async import (
        AsyncFirehoseSubscribeLabelsClient,
        AsyncFirehoseSubscribeReposClient,
    )


def __getattr__(name: str) -> Any:
    if name in ("AsyncFirehoseSubscribeLabelsClient", "AsyncFirehoseSubscribeReposClient"):
        from skytide.atproto import _async

        return getattr(_async, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


class CAR:
    """A CAR file: a root and decoded blocks by CID; links in them are the bytes of their CIDs."""

    __slots__ = ("_car", "blocks")

    blocks: native.Blocks
    """The blocks by CID."""

    def __init__(self, car: native.CAR) -> None:
        self._car = car
        self.blocks = car.blocks

    @classmethod
    def from_bytes(cls, data: bytes) -> CAR:
        """Read a CAR file.

        Raises:
            InvalidCARFile: It is none.
        """
        try:
            return cls(native.CAR.from_bytes(data, links_as_bytes=True))
        except MessageParsingError as error:
            raise InvalidCARFile(str(error)) from error

    def __reduce__(self) -> tuple[Any, ...]:
        return CAR, (self._car,)

    @property
    def root(self) -> CID:
        """The CID of the root."""
        return self._car.root

    def __len__(self) -> int:
        return len(self._car)


def _parse(message: MessageFrame, of_labels: bool) -> Any:
    try:
        found = native.parse_message(message._frame, of_labels=of_labels)
    except MessageParsingError as error:
        raise ModelError(str(error)) from error
    if found is None:
        raise FirehoseDecodingError(f"a message of the unknown type {message.type}")
    return found


def parse_subscribe_repos_message(message: MessageFrame) -> Any:
    """The message in a frame: one of `models.ComAtprotoSyncSubscribeRepos`.

    Raises:
        ModelError: It is not what its type says.
        FirehoseDecodingError: Its type is not known.
    """
    return _parse(message, of_labels=False)


def parse_subscribe_labels_message(message: MessageFrame) -> Any:
    """The message in a frame: one of `models.ComAtprotoLabelSubscribeLabels`.

    Raises:
        ModelError: It is not what its type says.
        FirehoseDecodingError: Its type is not known.
    """
    return _parse(message, of_labels=True)


__all__ = [
    "CAR",
    "CID",
    "AsyncFirehoseSubscribeLabelsClient",
    "AsyncFirehoseSubscribeReposClient",
    "AtUri",
    "FirehoseDecodingError",
    "FirehoseError",
    "FirehoseSubscribeLabelsClient",
    "FirehoseSubscribeReposClient",
    "MessageFrame",
    "exceptions",
    "firehose_models",
    "get_or_create",
    "is_record_type",
    "models",
    "parse_subscribe_labels_message",
    "parse_subscribe_repos_message",
]
