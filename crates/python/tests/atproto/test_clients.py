"""Clients in the SDK's shape: they call back, and keep on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from skytide import atproto
from skytide.atproto import FirehoseError, models

from ..firehose.server import Answer, Drop, Server, Step
from ..firehose.support import limited
from ..firehose.wire import LABEL, bad_body, cbor, error, frame, identity, labels


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first wait after a failure, made short."""
    from skytide import _skytide
    from skytide.firehose import _client

    native = _skytide.Session
    monkeypatch.setattr(
        _client, "Session", lambda *args, **options: native(*args, **options | {"backoff": 0.01})
    )


class Shape:
    """The blocking and the async client under one face."""

    def __init__(self, is_async: bool) -> None:
        self.is_async = is_async
        names = ("AsyncFirehoseSubscribe{}Client", "FirehoseSubscribe{}Client")
        self.repos: Any = getattr(atproto, names[not is_async].format("Repos"))
        self.labels: Any = getattr(atproto, names[not is_async].format("Labels"))

    def run(self, client: Any, on_message: Any, on_error: Any = None) -> None:
        if not self.is_async:
            limited(lambda: client.start(on_message, on_error))
            return

        async def message(each: Any) -> None:
            on_message(each)

        async def failure(each: BaseException) -> None:
            on_error(each)

        limited(lambda: asyncio.run(client.start(message, failure if on_error else None)))


shapes = pytest.mark.parametrize("shape", [Shape(False), Shape(True)], ids=["blocking", "async"])


@shapes
def test_messages_are_called_back_until_a_stop(shape: Shape) -> None:
    script: list[list[Step]] = [
        [Answer("503 Service Unavailable")],
        [identity(1), identity(2), Drop()],
        [identity(3)],
    ]
    with Server(script) as server:
        client = shape.repos(base_uri=f"{server.url}/xrpc")
        found: list[int] = []

        def on_message(message: Any) -> None:
            parsed = atproto.parse_subscribe_repos_message(message)
            assert isinstance(parsed, models.ComAtprotoSyncSubscribeRepos.Identity)
            assert message.body["seq"] == parsed.seq and message.type == "#identity"
            found.append(parsed.seq)
            if parsed.seq == 3:
                client.stop()

        shape.run(client, on_message)
        assert found == [1, 2, 3] and server.cursors == [None, None, 2]
        assert client.get_cursor() == 3


@shapes
def test_parameters_are_a_dict_or_a_model(shape: Shape) -> None:
    params = models.ComAtprotoSyncSubscribeRepos.Params(cursor=5)
    for given in (params, {"cursor": 5}):
        with Server([[identity(6)]]) as server:
            client = shape.repos(given, server.url)
            shape.run(client, lambda message, client=client: client.stop())
            client.update_params(models.ComAtprotoSyncSubscribeRepos.Params(cursor=3))
            shape.run(client, lambda message, client=client: client.stop())
            assert server.cursors == [5, 3]


@shapes
def test_what_a_callback_raises_goes_to_the_other(
    shape: Shape, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server([[identity(1), identity(2)]]) as server:
        client = shape.repos(base_uri=server.url)
        raised: list[BaseException] = []

        def on_message(message: Any) -> None:
            if message.body["seq"] == 2:
                client.stop()
            raise KeyError(message.body["seq"])

        def on_error(error: BaseException) -> None:
            raised.append(error)
            raise RuntimeError("in the other, too")

        shape.run(client, on_message, on_error)
        assert [error.args for error in raised] == [(1,), (2,)]
        assert capsys.readouterr().err.count("RuntimeError: in the other, too") == 2
        client.update_params({"cursor": 0})
        shape.run(client, on_message)
        assert capsys.readouterr().err.count("KeyError: ") == 2


@shapes
def test_a_stop_before_the_start_ends_it(shape: Shape) -> None:
    with Server([[identity(1)], [identity(1)]]) as server:
        client = shape.repos(base_uri=server.url)
        found: list[Any] = []

        def on_message(message: Any) -> None:
            found.append(message)
            client.stop()

        client.stop()
        shape.run(client, on_message)
        assert found == []
        # It was for that one, and a stop of one that runs is not for the next.
        for count in (1, 2):
            client.update_params({"cursor": 0})
            shape.run(client, on_message)
            assert len(found) == count


def test_a_stop_ends_a_task_that_has_not_begun() -> None:
    async def work(client: Any) -> None:
        async def on_message(message: Any) -> None:
            raise AssertionError("called back")

        task = asyncio.create_task(client.start(on_message))
        await client.stop()
        await task

    with Server([[identity(1)]]) as server:
        client = atproto.AsyncFirehoseSubscribeReposClient(base_uri=server.url)
        limited(lambda: asyncio.run(work(client)))


@shapes
def test_what_is_no_frame_is_skipped_and_what_is_no_message_raises(shape: Shape) -> None:
    header = cbor({"op": 1, "t": "#identity"})
    no_frames = [b"\xff", b"", header, header + b"\xa1\x63seq", identity(2) + b"\x00"]
    with Server([[identity(1), *no_frames, bad_body(3), identity(4)]]) as server:
        client = shape.repos(base_uri=server.url)
        found: list[int] = []
        raised: list[BaseException] = []

        def on_message(message: Any) -> None:
            found.append(message.body["seq"])
            if len(found) == 3:
                client.stop()
            atproto.parse_subscribe_repos_message(message)

        shape.run(client, on_message, raised.append)
        assert found == [1, 3, 4] and len(server.requests) == 1
        assert [type(error) for error in raised] == [atproto.exceptions.ModelError]


@shapes
def test_an_error_frame_that_is_final_raises(shape: Shape) -> None:
    with Server([[identity(1), error("FutureCursor", "too far")]]) as server:
        found: list[Any] = []
        with pytest.raises(FirehoseError) as caught:
            shape.run(shape.repos(base_uri=server.url), found.append)
        assert (caught.value.args[0].error, caught.value.args[0].message) == (
            "FutureCursor",
            "too far",
        )
        assert len(found) == 1
    with (
        Server([[Answer("404 Not Found")]]) as server,
        pytest.raises(FirehoseError, match="404"),
    ):
        shape.run(shape.repos(base_uri=server.url), found.append)


@shapes
def test_labels_are_models(shape: Shape) -> None:
    with Server([[labels(7, "spam", "porn"), frame("#info", {"name": "x"})]]) as server:
        client = shape.labels(base_uri=server.url)
        found: list[Any] = []

        def on_message(message: Any) -> None:
            found.append(atproto.parse_subscribe_labels_message(message))
            if len(found) == 2:
                client.stop()

        shape.run(client, on_message)
        assert isinstance(found[0], models.ComAtprotoLabelSubscribeLabels.Labels)
        assert (found[0].seq, [label.val for label in found[0].labels]) == (7, ["spam", "porn"])
        assert isinstance(found[1], models.ComAtprotoLabelSubscribeLabels.Info)
        assert found[1].py_type == "com.atproto.label.subscribeLabels#info"
        for label in found[0].labels:
            assert isinstance(label, models.ComAtprotoLabelDefs.Label)
            # What was not sent is not signed either.
            assert label.neg is None and models.get_model_as_dict(label) == {
                **LABEL,
                "val": label.val,
                "$type": "com.atproto.label.defs#label",
            }
        fields = {"seq": 7, "labels": found[0].labels}
        assert dict(found[0]) == fields | {"py_type": found[0].py_type}
        assert found[0]["seq"] == 7 and found[0][0] is found[0].labels[0]


@shapes
def test_unknown_arguments_are_refused(shape: Shape) -> None:
    with pytest.raises(TypeError):
        shape.repos(base_url="host")
    with pytest.raises(ValueError, match="host"):
        shape.repos(base_uri="ws://ho st")
    with pytest.raises(ValueError, match="cursor=x: the number of a frame"):
        shape.repos({"cursor": "x"})
    with pytest.raises(TypeError, match="params: a dict or a model, not int"):
        shape.repos(5)
