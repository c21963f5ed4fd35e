"""Records and messages by the names of their lexicons: `AppBskyFeedPost.Record`, `app.bsky.feed.post.Main`.

Most record types and their fields come from the core; with some more they are all of `app.bsky`, `chat.bsky` and `com.atproto`. Of
records of other lexicons `get_or_create` gives None. The objects that their lexicons define have classes, too; an object of a
type that none here defines is a `DotDict`.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from skytide import _skytide as native
from skytide.atproto.exceptions import ModelError
from skytide.atproto.models._base import (
    BlobRef,
    Definition,
    DotDict,
    Model,
    camel_class,
    definition,
    records,
    snake,
)
from skytide.firehose import MessageParsingError

# What a record cannot be without; what it may have, the core says.
_REQUIRED = {
    "app.bsky.feed.post": "text createdAt",
    "app.bsky.feed.like": "subject createdAt",
    "app.bsky.feed.repost": "subject createdAt",
    "app.bsky.graph.follow": "subject createdAt",
    "app.bsky.graph.block": "subject createdAt",
    "app.bsky.graph.list": "name purpose createdAt",
    "app.bsky.graph.listitem": "subject list createdAt",
    "app.bsky.feed.generator": "did displayName createdAt",
    "app.bsky.feed.threadgate": "post createdAt",
    "app.bsky.feed.postgate": "post createdAt",
    "app.bsky.graph.starterpack": "name list createdAt",
    "app.bsky.labeler.service": "policies createdAt",
}

# Fields that the core does not know yet. Their types are not checked.
_NEWER = {"app.bsky.actor.profile": "links"}

# Record types of which the core says nothing: what they cannot be without, and what they may have. Types of fields are not checked.
_MORE = {
    "app.bsky.actor.contentVisibilityDeclaration": ("hideFromAlgorithmicRecommendations", ""),
    "app.bsky.actor.link": ("createdAt url", "icon labels title"),
    "app.bsky.actor.status": ("createdAt status", "durationMinutes embed"),
    "app.bsky.graph.listblock": ("createdAt subject", ""),
    "app.bsky.graph.referencelistoptout": ("createdAt subject", ""),
    "app.bsky.graph.verification": ("createdAt displayName handle subject", ""),
    "app.bsky.notification.declaration": ("allowSubscriptions", ""),
    "chat.bsky.actor.declaration": ("allowIncoming", "allowGroupInvites"),
    "com.atproto.lexicon.schema": ("lexicon", ""),
}

# Lexicons whose objects stand in records.
_OTHERS = [
    "app.bsky.embed.defs",
    "app.bsky.embed.external",
    "app.bsky.embed.gallery",
    "app.bsky.embed.images",
    "app.bsky.embed.record",
    "app.bsky.embed.recordWithMedia",
    "app.bsky.embed.video",
    "app.bsky.labeler.defs",
    "app.bsky.richtext.facet",
    "com.atproto.repo.strongRef",
]


class Params(Model):
    """Parameters of a stream: where to begin."""

    __slots__ = ()
    _fields = {"cursor": "cursor"}  # noqa: RUF012


# The messages of the two streams, and what stands in them, which are the core's own objects.
_MESSAGES: dict[str, dict[str, type]] = {
    "com.atproto.sync.subscribeRepos": {
        "Commit": native.RepoCommit,
        "RepoOp": native.RepoOperation,
        "Sync": native.RepoSync,
        "Identity": native.Identity,
        "Account": native.Account,
        "Handle": native.HandleUpdate,
        "Migrate": native.RepoMigrate,
        "Tombstone": native.RepoTombstone,
        "Info": native.InfoMessage,
        "Params": Params,
    },
    "com.atproto.label.subscribeLabels": {
        "Labels": native.Labels,
        "Info": native.LabelsInfo,
        "Params": Params,
    },
    "com.atproto.label.defs": {"Label": native.Label},
}


class Lexicon(ModuleType):
    """What a lexicon defines, by the names of its definitions."""

    def __init__(self, nsid: str) -> None:
        super().__init__(nsid)
        self._nsid = nsid

    def __getattr__(self, name: str) -> type[Definition]:
        inner = name[:1].lower() + name[1:]
        found = definition(self._nsid if inner == "main" else f"{self._nsid}#{inner}")
        if found is None:
            raise AttributeError(f"the lexicon {self._nsid} has no {name}")
        return found


class Namespace(ModuleType):
    """A part of the lexicons' names, as `app.bsky`."""


class Ids:
    """The lexicons' NSIDs by their names, as `ids.AppBskyFeedPost`."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> str: ...


_lexicons: dict[str, Lexicon] = {}
_roots: dict[str, ModuleType] = {}
ids = Ids()


def _add(nsid: str) -> Lexicon:
    """Adds a lexicon to the names."""
    lexicon = Lexicon(nsid)
    *path, last = nsid.split(".")
    name = "".join(map(camel_class, [*path, last]))
    _lexicons[name] = lexicon
    setattr(ids, name, nsid)
    inner: Any = None
    for at, part in enumerate(path):
        outer, name = inner, ".".join(path[: at + 1])
        inner = _roots.get(part) if outer is None else outer.__dict__.get(part)
        if inner is None:
            inner = Namespace(name)
            if outer is None:
                _roots[part] = inner
            else:
                setattr(outer, part, inner)
    setattr(inner, snake(last), lexicon)
    return lexicon


def _build() -> None:
    known = {
        nsid: (_REQUIRED.get(nsid, ""), [*fields, *_NEWER.get(nsid, "").split()])
        for nsid, fields in native.record_fields()
    }
    more = {nsid: (must, f"{must} {may}".split()) for nsid, (must, may) in _MORE.items()}
    for nsid, (required, fields) in (more | known).items():
        record = type(
            "Record",
            (Model,),
            {
                "__slots__": (),
                "__doc__": f"A record of the collection {nsid}.",
                "_type": nsid,
                "_fields": {snake(name): name for name in fields},
                "_required": tuple(required.split()),
            },
        )
        records[nsid] = record
        lexicon = _add(nsid)
        lexicon.__dict__.update(Record=record, Main=record)
    for nsid, messages in _MESSAGES.items():
        _add(nsid).__dict__.update(messages)
    for nsid in _OTHERS:
        _add(nsid)


_build()
globals().update(_lexicons, **_roots)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


def get_or_create(
    model_data: Any,
    model: type | None = None,
    *,
    strict: bool = True,
    strict_string_format: bool = False,
) -> Any:
    """A model of data.

    Args:
        model_data: A dict, or a model, which is given back.
        model: The class; without it the class of the record type that the data names.
        strict: Whether data that does not fit is refused; else it becomes a `DotDict`.
        strict_string_format: Taken for the sake of programs that give it; texts stay as they are.

    Returns:
        The model; None of None, and of data that names no known record type.

    Raises:
        ModelError: Data does not fit.
    """
    if model_data is None or (model is not None and isinstance(model_data, model)):
        return model_data
    if not isinstance(model_data, dict):
        if model is None:
            return None
        raise ModelError(f"{model.__name__} of {type(model_data).__name__}")
    if model is None:
        name = model_data.get("$type")
        model = records.get(name) if isinstance(name, str) else None
        if model is None:
            return None
    try:
        if issubclass(model, DotDict):
            return model(model_data)
        validate = getattr(model, "model_validate", None)
        if validate is None:
            raise ModelError(f"{model.__name__} cannot be made of data")
        try:
            return validate(model_data)
        except MessageParsingError as error:
            raise ModelError(str(error)) from error
    except ModelError:
        if strict:
            raise
        return DotDict(model_data)


def is_record_type(model: Any, expected_type: Any) -> bool:
    """Whether a model is a record of this type: an NSID, a lexicon or a record's class."""
    if isinstance(expected_type, Lexicon):
        expected_type = expected_type.__dict__.get("Record")
    if isinstance(expected_type, type) and issubclass(expected_type, Model | Definition):
        expected_type = expected_type._type
    if not isinstance(expected_type, str):
        return False
    if isinstance(model, DotDict):
        return bool(model["$type"] == expected_type)
    return bool(getattr(model, "py_type", None) == expected_type)


def get_model_as_dict(model: Any) -> dict[str, Any]:
    """A model as it is on the wire, without what is None."""
    if isinstance(model, dict):
        return model
    dumped: dict[str, Any] = model.model_dump(exclude_none=True, by_alias=True)
    return dumped


def get_model_as_json(model: Any) -> str:
    """A model as JSON, without what is None."""
    text: str = model.model_dump_json(exclude_none=True, by_alias=True)
    return text


def create_strong_ref(model: Any) -> Definition:
    """A reference to a record by its URI and CID, which the model has."""
    return _lexicons["ComAtprotoRepoStrongRef"].Main(uri=model.uri, cid=str(model.cid))


__all__ = [
    "BlobRef",
    "DotDict",
    "create_strong_ref",
    "get_model_as_dict",
    "get_model_as_json",
    "get_or_create",
    "ids",
    "is_record_type",
]
