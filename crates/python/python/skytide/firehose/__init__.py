"""The AT Protocol's event streams: clients that reconnect and keep their place, and what they receive.

from skytide.firehose import FirehoseSubscribeReposClient, parse_subscribe_repos_message

for frame in FirehoseSubscribeReposClient().start():
    commit = parse_subscribe_repos_message(frame).commit
    for op in commit.ops if commit else []:
        print(op.action, op.path, op.record)
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skytide._skytide import (
    CAR,
    CID,
    Account,
    Blocks,
    ErrorMessage,
    HandleUpdate,
    Identity,
    InfoMessage,
    Label,
    Labels,
    LabelsInfo,
    MessageFrame,
    MessageFrameHeader,
    RepoCommit,
    RepoMigrate,
    RepoOperation,
    RepoSync,
    RepoTombstone,
    SubscribeLabelsMessage,
    SubscribeReposMessage,
    parse_subscribe_labels_message,
    parse_subscribe_repos_message,
)
from skytide.firehose._client import (
    FirehoseSubscribeLabelsClient,
    FirehoseSubscribeReposClient,
)
from skytide.firehose._errors import (
    ConnectionError,
    MessageParsingError,
    NetworkError,
    StreamError,
    StreamTimeoutError,
)
from skytide.firehose._types import FrameType

if TYPE_CHECKING:
    from skytide.firehose._async import (
        AsyncFirehoseSubscribeLabelsClient,
        AsyncFirehoseSubscribeReposClient,
    )

Mapping.register(Blocks)


def __getattr__(name: str) -> Any:
    if name in ("AsyncFirehoseSubscribeLabelsClient", "AsyncFirehoseSubscribeReposClient"):
        from skytide.firehose import _async

        return getattr(_async, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


__all__ = [
    "CAR",
    "CID",
    "Account",
    "AsyncFirehoseSubscribeLabelsClient",
    "AsyncFirehoseSubscribeReposClient",
    "Blocks",
    "ConnectionError",
    "ErrorMessage",
    "FirehoseSubscribeLabelsClient",
    "FirehoseSubscribeReposClient",
    "FrameType",
    "HandleUpdate",
    "Identity",
    "InfoMessage",
    "Label",
    "Labels",
    "LabelsInfo",
    "MessageFrame",
    "MessageFrameHeader",
    "MessageParsingError",
    "NetworkError",
    "RepoCommit",
    "RepoMigrate",
    "RepoOperation",
    "RepoSync",
    "RepoTombstone",
    "StreamError",
    "StreamTimeoutError",
    "SubscribeLabelsMessage",
    "SubscribeReposMessage",
    "parse_subscribe_labels_message",
    "parse_subscribe_repos_message",
]
