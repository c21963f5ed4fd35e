"""The firehose itself as a source: no handler, no schema, no dict on the way."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Literal, TypeAlias

from .. import _skytide
from .._timestream import Timestream
from .source import Late, _seconds

_Bytes: TypeAlias = bytes | bytearray | memoryview


class FirehoseStream(Timestream):
    """The records of a collection that were created; keyed by ``did``, their author."""

    def updates(self) -> Timestream:
        """Return the records that were changed."""
        return Timestream._call("updates", self)

    def deletes(self) -> Timestream:
        """Return the records that were removed; their ``record`` is null."""
        return Timestream._call("deletes", self)


class Firehose:
    """A relay, PDS, labeler or Jetstream by its address, a recording or exported repositories by their paths or their bytes, or frames
    that the program holds.

    Its streams are attributes: ``posts``, ``likes``, …, and :meth:`records` of any collection. A query opens the connection (or the file) when
    it is run, and decodes what it reads alone. Queries that run at the same time over one such object share the connection and its
    decoding, each at its own pace: one that comes later begins with what comes then, one that is slow goes on by a connection of its
    own. A Jetstream is asked for what all of them want. A file or a cursor gives each later query its own.
    """

    def __init__(
        self,
        url_or_file: str | os.PathLike[str] | _Bytes | Iterable[_Bytes | _skytide.MessageFrame],
        collections: Iterable[str] | None = None,
        cursor: int | Literal["oldest"] | None = None,
        lateness: float | timedelta | None = None,
        *,
        late: Late = "drop",
        time: Literal["frame", "rev", "created_at", "arrival"] = "frame",
        lexicons: Iterable[str] = (),
    ) -> None:
        """Describe a source; nothing is opened yet.

        Args:
            url_or_file: ``wss://HOST``, ``ws://HOST:PORT``, the path of a recording or of an exported repository (``did.car``, a
                folder or a pattern of them), either in memory, as bytes, or an iterable of frames, each bytes or a ``MessageFrame``. Each
                query iterates anew, in a thread of its own, so a generator serves one query; bytes are read where they are. Live,
                items are taken one at a time, as they come; else many together. What the iterable raises ends the query as it is,
                after the rows before it.
            collections: The collections to ask a Jetstream for; those that a query reads unless given.
            cursor: Where to begin: after this number, at the oldest there is, or with whatever comes next.
            lateness: How far (seconds) behind the newest a point may be before it is late, by a time that does not run forward; not at
                all unless given.
            late: What becomes of late points: ``"drop"``, they are counted; ``"side"``, they are there to be taken, whole, by the run's
                ``late_rows()``; ``"error"``, the first one ends the query with a RuntimeError, once the rows before it are read.
            time: What the time of a point is: the relay's frame's, the author's server's, the author's claim, or that of arrival.
            lexicons: Texts of lexicon files, for record types that are not built in.

        Raises:
            TypeError: It is neither an address nor a recording nor an iterable.
            ValueError: A lexicon cannot be read, or a keyword has no such value.
        """
        location: object = url_or_file
        if isinstance(url_or_file, os.PathLike):
            location = os.fspath(url_or_file)
        elif isinstance(url_or_file, (bytearray, memoryview)):
            location = bytes(url_or_file)
        self._network = _skytide.Network(
            location,
            cursor=cursor,
            collections=list(collections or ()),
            lateness=None if lateness is None else _seconds(lateness),
            late=late,
            time=time,
            lexicons=list(lexicons),
        )

    def records(self, collection: str) -> FirehoseStream:
        """Return the records that are created in a collection, by its NSID."""
        return FirehoseStream(self._network.records(collection))

    def stream(self, name: str) -> FirehoseStream:
        """Return a stream by its name, as ``"posts"``."""
        return FirehoseStream(self._network.stream(name))

    @property
    def posts(self) -> FirehoseStream:
        """Posts."""
        return self.stream("posts")

    @property
    def likes(self) -> FirehoseStream:
        """Likes."""
        return self.stream("likes")

    @property
    def reposts(self) -> FirehoseStream:
        """Reposts."""
        return self.stream("reposts")

    @property
    def follows(self) -> FirehoseStream:
        """Follows."""
        return self.stream("follows")

    @property
    def blocks(self) -> FirehoseStream:
        """Blocks."""
        return self.stream("blocks")

    @property
    def profiles(self) -> FirehoseStream:
        """Profiles."""
        return self.stream("profiles")

    @property
    def identities(self) -> Timestream:
        """Identities that may have changed."""
        return Timestream(self._network.stream("identities"))

    @property
    def accounts(self) -> Timestream:
        """Accounts that became active or inactive."""
        return Timestream(self._network.stream("accounts"))

    @property
    def syncs(self) -> Timestream:
        """Repositories that were reset to a state."""
        return Timestream(self._network.stream("syncs"))

    @property
    def labels(self) -> Timestream:
        """Labels that a labeler made or took back, keyed by the account that they are about."""
        return Timestream(self._network.stream("labels"))
