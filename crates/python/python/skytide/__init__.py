"""Live, time-aware queries over the AT Protocol firehose and its past, and its client."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skytide import results, sources, windows
from skytide._errors import ColumnError, QueryError
from skytide._execution import Execution, ResultIterator
from skytide._skytide import __version__
from skytide._timestream import Arg, LiteralValue, Timestream, query, record
from skytide.udf import udf

__all__ = [
    "Arg",
    "ColumnError",
    "Execution",
    "LiteralValue",
    "QueryError",
    "ResultIterator",
    "Timestream",
    "__version__",
    "init_session",
    "query",
    "record",
    "results",
    "sources",
    "udf",
    "windows",
]


def init_session() -> None:
    """Do nothing, as often as one likes: there is no session to start."""


# --- firehose half: its names are imported when they are first asked for ---
if TYPE_CHECKING:
    from skytide.firehose import (
        CAR as CAR,
        CID as CID,
        Account as Account,
        AsyncFirehoseSubscribeLabelsClient as AsyncFirehoseSubscribeLabelsClient,
        AsyncFirehoseSubscribeReposClient as AsyncFirehoseSubscribeReposClient,
        Blocks as Blocks,
        ConnectionError as ConnectionError,
        ErrorMessage as ErrorMessage,
        FirehoseSubscribeLabelsClient as FirehoseSubscribeLabelsClient,
        FirehoseSubscribeReposClient as FirehoseSubscribeReposClient,
        FrameType as FrameType,
        HandleUpdate as HandleUpdate,
        Identity as Identity,
        InfoMessage as InfoMessage,
        Label as Label,
        Labels as Labels,
        MessageFrame as MessageFrame,
        MessageFrameHeader as MessageFrameHeader,
        MessageParsingError as MessageParsingError,
        NetworkError as NetworkError,
        RepoCommit as RepoCommit,
        RepoMigrate as RepoMigrate,
        RepoOperation as RepoOperation,
        RepoSync as RepoSync,
        RepoTombstone as RepoTombstone,
        StreamError as StreamError,
        StreamTimeoutError as StreamTimeoutError,
        SubscribeLabelsMessage as SubscribeLabelsMessage,
        SubscribeReposMessage as SubscribeReposMessage,
        parse_subscribe_labels_message as parse_subscribe_labels_message,
        parse_subscribe_repos_message as parse_subscribe_repos_message,
    )


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        firehose = import_module("skytide.firehose")
        if name in firehose.__all__:
            return getattr(firehose, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    lazy: list[str] = import_module("skytide.firehose").__all__
    return sorted({*__all__, *lazy, *(name for name in globals() if name.startswith("__"))})


# --- end of the firehose half ---
