"""Models: records and what is in them, as the data they came as, read by snake_case names when asked.

What is in a model is made one when it is first asked for, and kept: what is changed there is changed in the model, and the data
that it was made of stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, KeysView, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Self

from skytide._skytide import CID, record_fits
from skytide.atproto.exceptions import ModelError, ModelFieldNotFoundError
from skytide.atproto.models._objects import OBJECTS, WITHIN
from skytide.firehose._dump import camel, text

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@lru_cache(4096)
def snake(name: str) -> str:
    """`createdAt` as `created_at`."""
    return _WORD.sub("_", name).lower()


def _plain(value: Any) -> Any:
    """A value without models in it, as it is on the wire."""
    match value:
        case Model() | Dotted():
            return {name: _plain(item) for name, item in value._data.items()}
        case Mapping():
            return {name: _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value


def _linked(value: Any) -> Any:
    """Plain data in which blobs refer as JSON has it: the bytes of a blob's CID are a link there."""
    match value:
        case {"$type": "blob", "ref": bytes(ref)}:
            try:
                return value | {"ref": CID.decode(ref)}
            except ValueError:
                return value
        case dict():
            return {name: _linked(item) for name, item in value.items()}
        case list():
            return [_linked(item) for item in value]
    return value


class Dotted:
    """Data whose entries are attributes, too."""

    _data: dict[str, Any]
    # What its lexicon says of what is in it.
    _types: ClassVar[Mapping[str, str]] = {}

    def __init__(self, data: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_data", dict(data))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._data,)

    def _name(self, name: str) -> str:
        """The name on the wire."""
        return name if name in self._data else camel(name)

    def to_dict(self) -> dict[str, Any]:
        """The data without models in it."""
        plain: dict[str, Any] = _plain(self)
        return plain

    def __getitem__(self, name: str) -> Any:
        return _shown(self._data, self._types, self._name(name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._data[self._name(name)] = value

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __contains__(self, name: object) -> bool:
        return name in self._data

    def __eq__(self, other: object) -> bool:
        return bool(_plain(self) == _plain(other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._data)

    def model_dump(self, *, exclude_none: bool = False, by_alias: bool = False) -> dict[str, Any]:
        """The data without models in it; its names are those of the wire."""
        return {
            name: value
            for name, value in self.to_dict().items()
            if not (exclude_none and value is None)
        }

    def model_dump_json(self, *, exclude_none: bool = False, by_alias: bool = False) -> str:
        """The same as JSON."""
        dumped = self.model_dump(exclude_none=exclude_none, by_alias=by_alias)
        return text(_linked(dumped))


class DotDict(Dotted):
    """A dict of a type that no lexicon here defines; an entry that is not there is None."""

    def _name(self, name: str) -> str:
        # In a lexicon of somebody's own names may be snake_case.
        found, other = super()._name(name), snake(name)
        return other if found not in self._data and other in self._data else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def keys(self) -> KeysView[str]:
        """The names as they are on the wire."""
        return self._data.keys()

    def values(self) -> list[Any]:
        """The values, in the order of the names."""
        return [_shown(self._data, self._types, name) for name in self._data]

    def items(self) -> list[tuple[str, Any]]:
        """Names and values."""
        return [(name, _shown(self._data, self._types, name)) for name in self._data]


class Fields:
    """What has the fields of a lexicon: their names here, and on the wire."""

    __slots__ = ()

    _data: dict[str, Any]
    # From snake_case to the wire.
    _fields: ClassVar[Mapping[str, str]] = {}
    _wires: ClassVar[frozenset[str]] = frozenset()
    # Those of two forms.
    _renamed: ClassVar[Mapping[str, str]] = {}
    _types: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls) -> None:
        cls._wires = frozenset(["$type", *cls._fields.values()])
        names = [*cls._fields.items(), ("py_type", "$type")]
        cls._renamed = {name: wire for name, wire in names if name != wire}

    @classmethod
    def _wired(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Data with either form of the fields' names, in that of the wire."""
        renamed = cls._renamed
        if renamed.keys().isdisjoint(data):
            return data
        found = {}
        for name, value in data.items():
            wire = renamed.get(name, name)
            found[name if wire in data else wire] = value
        return found

    @property
    def py_type(self) -> str | None:
        """The type's full name in the lexicons."""
        raise NotImplementedError

    @property
    def model_extra(self) -> dict[str, Any]:
        """What is in the data and no field."""
        return {name: value for name, value in self._data.items() if name not in self._wires}

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for name, wire in self._fields.items():
            yield name, _shown(self._data, self._types, wire)
        if self.py_type is not None:
            yield "py_type", self.py_type
        yield from self.model_extra.items()

    def _said(self) -> dict[str, Any]:
        """What is in it: a field that is None is one that is missing, and the type is that of the class."""
        return {
            name: value
            for name, value in _plain(self).items()
            if name != "$type" and not (value is None and name in self._wires)
        }

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Fields)
            and type(self) is type(other)
            and self._said() == other._said()
        )

    __hash__ = None  # type: ignore[assignment]


class Definition(Fields, Dotted):
    """An object of a type of the lexicons, as an embed or a facet's feature; a field that is missing is None."""

    _type: ClassVar[str] = ""

    def __init__(self, data: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        super().__init__({"$type": self._type, **(data or {}), **self._wired(fields)})

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        """One of this data, as it is."""
        made = cls.__new__(cls)
        Dotted.__init__(made, data)
        return made

    @classmethod
    def model_validate(cls, data: Any) -> Self:
        """One of this data, whose fields are not checked.

        Raises:
            ModelError: It is no dict, or of another type.
        """
        if isinstance(data, cls):
            return data
        if not isinstance(data, dict):
            raise ModelError(f"{cls._type} of {type(data).__name__}")
        wired = cls._wired(data)
        if wired.get("$type", cls._type) != cls._type:
            raise ModelError(f"{cls._type}: the type is {wired['$type']}")
        return cls._of(wired)

    def __reduce__(self) -> tuple[Any, ...]:
        # Its class has no place in a module.
        return _again, (self._type, self._data)

    @property
    def py_type(self) -> str:
        """The type's name."""
        return str(self._data.get("$type", self._type))

    def _name(self, name: str) -> str:
        wire = self._renamed.get(name, name)
        if wire in self._data or (wire in self._wires and name not in self._data):
            return wire
        return super()._name(name)

    def __getitem__(self, name: str) -> Any:
        wire = self._name(name)
        if wire in self._data or wire in self._wires:
            return self.py_type if wire == "$type" else _shown(self._data, self._types, wire)
        raise ModelFieldNotFoundError(f"no field {name!r} in {type(self).__name__}")

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            try:
                return self[name]
            except ModelFieldNotFoundError:
                pass
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class Link(Dotted):
    """A link as JSON has it."""

    @property
    def link(self) -> str:
        """The text of its CID."""
        return str(self._data["$link"])


class BlobRef(Definition):
    """A reference to a blob: `mime_type`, `size` and `ref`, its CID as bytes or as JSON has it (`ref.link`)."""

    _type = "blob"
    _fields = {"mime_type": "mimeType", "size": "size", "ref": "ref"}  # noqa: RUF012

    @property
    def cid(self) -> CID:
        """The blob's CID."""
        ref = self.ref
        return CID.decode(ref.link if isinstance(ref, Link) else ref)

    @property
    def is_bytes_representation(self) -> bool:
        """Whether `ref` is the CID itself."""
        return not self.is_json_representation

    @property
    def is_json_representation(self) -> bool:
        """Whether `ref` is as JSON has it."""
        return isinstance(self.ref, Link)

    def to_json_representation(self) -> BlobRef:
        """The reference as JSON has it."""
        return BlobRef(self._data | {"ref": {"$link": str(self.cid)}})

    def to_bytes_representation(self) -> BlobRef:
        """The reference with the CID as bytes."""
        return BlobRef(self._data | {"ref": bytes(self.cid)})


# The classes that were asked for; only of `OBJECTS`, so that those of types that anybody makes up are not kept.
_definitions: dict[str, type[Definition]] = {"blob": BlobRef}


def definition(name: str) -> type[Definition] | None:
    """The class of objects of this type, `nsid#name` or `nsid`; None if no lexicon here defines it."""
    found = _definitions.get(name)
    if found is None and name in OBJECTS:
        short = camel_class(name.partition("#")[2] or "main")
        fields = {snake(wire): wire for wire in OBJECTS[name].split()}
        members = {"_type": name, "_types": WITHIN.get(name, {}), "_fields": fields}
        found = _definitions[name] = type(short, (Definition,), members)
    return found


def _again(name: str, data: dict[str, Any]) -> Model | Dotted:
    """An object of the type or record of this name, of its data."""
    found = records.get(name) or definition(name)
    return found._of(data) if found else DotDict(data)


def camel_class(name: str) -> str:
    """`replyRef` as `ReplyRef`."""
    return name[:1].upper() + name[1:]


class Items(list[Any]):
    """A list as models show it."""

    __slots__ = ()


def view(value: Any, of: str | None = None) -> Any:
    """A value as models show it: dicts by their types, in lists too; `of` is the type of those that do not name theirs.

    What is shown already stays what it is, and what was put into it since is shown in it.
    """
    match value:
        case dict():
            if "$link" in value:
                return Link(value)
            name = value.get("$type", of)
            return _again(name, value) if isinstance(name, str) else DotDict(value)
        case Items():
            value[:] = [view(item, of) for item in value]
        case list():
            return Items(view(item, of) for item in value)
    return value


def _shown(data: dict[str, Any], types: Mapping[str, str], wire: str) -> Any:
    """A value of some data as models show it, which is kept there: what a program changes in it stays changed."""
    value = data.get(wire)
    shown = view(value, types.get(wire))
    if shown is not value:
        data[wire] = shown
    return shown


class Model(Fields):
    """A record, or parameters: fields by their snake_case names; one that is missing is None.

    What is in the data and no field has its own name.
    """

    __slots__ = ("_data",)

    _type: ClassVar[str | None] = None
    _required: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._types = WITHIN.get(cls._type or "", {})

    def __init__(self, **fields: Any) -> None:
        """Make one of its fields, by either form of their names.

        Raises:
            ModelError: A field is missing, or of another type.
        """
        data = dict(self._wired(fields))
        if self._type is not None:
            data.setdefault("$type", self._type)
        object.__setattr__(self, "_data", data)
        self._check(data)

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Self:
        """One of this data, which is not checked, and not changed by what is done to the model."""
        model = cls.__new__(cls)
        object.__setattr__(model, "_data", dict(data))
        return model

    def __reduce__(self) -> tuple[Any, ...]:
        # The class of a record has no place in a module.
        return (_again, (self._type, self._data)) if self._type else (type(self)._of, (self._data,))

    @classmethod
    def model_validate(cls, data: Any) -> Self:
        """One of this data, a dict with either form of the fields' names.

        Raises:
            ModelError: A field is missing, or of another type.
        """
        if isinstance(data, cls):
            return data
        if not isinstance(data, dict):
            raise ModelError(f"{cls._type or cls.__name__} of {type(data).__name__}")
        wired = cls._wired(data)
        cls._check(wired)
        return cls._of(wired)

    @classmethod
    def _check(cls, data: dict[str, Any]) -> None:
        for name in cls._required:
            if data.get(name) is None:
                raise ModelError(f"{cls._type}: {name} is missing")
        if cls._type is None:
            return
        if data.get("$type", cls._type) != cls._type:
            raise ModelError(f"{cls._type}: the type is {data['$type']}")
        # Models may stand in it, too, but seldom do.
        path = record_fits(cls._type, data) and record_fits(cls._type, _plain(data))
        if path is not None:
            raise ModelError(f"{cls._type}: {path[1:]} is of another type")

    @property
    def py_type(self) -> str | None:
        """The record's type, its NSID."""
        return self._type

    def __getattr__(self, name: str) -> Any:
        wire = self._fields.get(name)
        if wire is not None:
            return _shown(self._data, self._types, wire)
        if not name.startswith("_") and name not in self._wires and name in self._data:
            return self._data[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_data":
            object.__setattr__(self, name, value)
        else:
            self._data[self._fields.get(name, name)] = value

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise ModelFieldNotFoundError(f"no field {name!r} in {type(self).__name__}") from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self)})"

    def model_dump(self, *, exclude_none: bool = False, by_alias: bool = False) -> dict[str, Any]:
        """The fields as a dict without models in it, by the wire's names or by those of Python."""
        dumped = {}
        for name, value in self:
            if exclude_none and value is None:
                continue
            if by_alias:
                name = "$type" if name == "py_type" else self._fields.get(name, name)
            dumped[name] = _plain(value)
        return dumped

    def model_dump_json(self, *, exclude_none: bool = False, by_alias: bool = False) -> str:
        """The same as JSON."""
        dumped = self.model_dump(exclude_none=exclude_none, by_alias=by_alias)
        return text(_linked(dumped))


# The classes of records by NSID.
records: dict[str, type[Model]] = {}
