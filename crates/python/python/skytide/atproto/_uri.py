"""AT-URIs."""

from __future__ import annotations

from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from skytide.atproto.exceptions import InvalidAtUriError


class AtUri:
    """An AT-URI in its parts: `at://host/collection/rkey?search#hash`."""

    def __init__(
        self,
        host: str,
        pathname: str = "",
        hash_: str = "",
        search_params: list[tuple[str, Any]] | None = None,
    ) -> None:
        """Put a URI together.

        Raises:
            InvalidAtUriError: There is a hash, or there are parameters, without a path.
        """
        if (hash_ or search_params) and not pathname:
            raise InvalidAtUriError("a hash or parameters need a path")
        self.host = host
        self.pathname = pathname
        self.hash = hash_
        self.search_params = search_params or []

    @classmethod
    def from_str(cls, uri: str) -> Self:
        """Read a URI; `at://` may be missing.

        Raises:
            InvalidAtUriError: It names no host, or has blanks.
        """
        rest = uri.removeprefix("at://")
        # A DID has colons, which are no port.
        authority, slash, path = rest.partition("/")
        # With a host before it, since a path may begin with two slashes.
        parts = urlsplit(f"//host{slash}{path}")
        is_host = authority and not any(sign in authority for sign in "?#")
        if not is_host or authority.endswith(":") or any(map(str.isspace, uri)):
            raise InvalidAtUriError(uri)
        hash_ = f"#{parts.fragment}" if parts.fragment else ""
        return cls(authority, parts.path, hash_, parse_qsl(parts.query))

    @classmethod
    def make(
        cls, handle_or_did: str, collection: str | None = None, rkey: str | None = None
    ) -> Self:
        """Put a URI together from account, collection and record key."""
        parts = [part for part in (handle_or_did, collection, rkey) if part]
        return cls.from_str("/".join(parts))

    @property
    def protocol(self) -> str:
        """`at://`"""
        return "at://"

    @property
    def origin(self) -> str:
        """`at://` and the account."""
        return f"at://{self.host}"

    @property
    def hostname(self) -> str:
        """The account: a DID or handle."""
        return self.host

    def _part(self, number: int) -> str:
        parts = [part for part in self.pathname.split("/") if part]
        return parts[number] if len(parts) > number else ""

    @property
    def collection(self) -> str:
        """NSID of the collection; empty without one."""
        return self._part(0)

    @property
    def rkey(self) -> str:
        """Key of the record; empty without one."""
        return self._part(1)

    @property
    def search(self) -> str:
        """The parameters as text."""
        return urlencode(self.search_params)

    @property
    def href(self) -> str:
        """The whole URI."""
        return str(self)

    http = href

    def __str__(self) -> str:
        path = self.pathname if self.pathname.startswith("/") else f"/{self.pathname}"
        query = f"?{self.search}" if self.search_params else ""
        mark = f"#{self.hash}" if self.hash and not self.hash.startswith("#") else self.hash
        return f"at://{self.host}{path}{query}{mark}"

    def __repr__(self) -> str:
        return f"AtUri({str(self)!r})"

    def __hash__(self) -> int:
        return hash(str(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AtUri) and str(self) == str(other)
