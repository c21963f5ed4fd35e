"""AT-URIs in the SDK's shape."""

from __future__ import annotations

import pytest
from skytide.atproto import AtUri, exceptions


def test_at_uris_are_read_and_written() -> None:
    text = "at://did:plc:abc/app.bsky.feed.post/3k?x=1&y=a+b#/text"
    uri = AtUri.from_str(text)
    assert (uri.host, uri.hostname, uri.collection, uri.rkey) == (
        "did:plc:abc", "did:plc:abc", "app.bsky.feed.post", "3k",
    )  # fmt: skip
    assert (uri.pathname, uri.hash, uri.search) == ("/app.bsky.feed.post/3k", "#/text", "x=1&y=a+b")
    assert uri.search_params == [("x", "1"), ("y", "a b")]
    assert (uri.protocol, uri.origin) == ("at://", "at://did:plc:abc")
    assert str(uri) == uri.href == uri.http == text
    slashes = AtUri.from_str("at://did:plc:abc//x/y")
    assert (str(slashes), slashes.host) == ("at://did:plc:abc//x/y", "did:plc:abc")
    assert (slashes.collection, slashes.rkey) == ("x", "y")
    made = AtUri.make("a.test", "app.bsky.feed.post", "3k")
    assert str(made) == "at://a.test/app.bsky.feed.post/3k"
    assert made == AtUri.from_str("a.test/app.bsky.feed.post/3k") and hash(made) == hash(
        AtUri.from_str(str(made))
    )
    assert made != uri and made != str(made)
    bare = AtUri.from_str("at://a.test")
    assert (bare.collection, bare.rkey, str(bare)) == ("", "", "at://a.test/")
    assert AtUri.from_str("AT://a.test/x") == AtUri.from_str("at://a.test/x")
    relative = AtUri.from_relative_str("a.test", "/x/y?z=1#/text")
    assert relative == AtUri.from_str("at://a.test/x/y?z=1#/text")
    with pytest.raises(exceptions.InvalidAtUriError):
        AtUri.from_relative_str("a.test", "x")
    blanks = ["at://a test", "at://a.test/x ", "at://a/x#f g", " at://a.test", "at://a.test/\n"]
    hosts = ["", "at://", "https://a.test/x", "at://[::1]/x", "at://a@b/x", "at://a?b/x"]
    for wrong in blanks + hosts:
        with pytest.raises(exceptions.InvalidAtUriError):
            AtUri.from_str(wrong)
    with pytest.raises(exceptions.InvalidAtUriError):
        AtUri("a.test", hash_="x")
