"""What happens when: each rule, for each way of receiving."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from skytide import firehose
from skytide.firehose import parse_subscribe_repos_message

from .server import Answer, Close, Drop, Gate, Server, Step, unused_port
from .support import Way, callbacks, each_way, frames, iterators
from .wire import bad_body, error, identity, info

Script = list[Sequence[Step]]


@each_way
def test_frames_come_in_order_and_the_cursor_follows(way: Way) -> None:
    with Server([frames(1, 2, 5)]) as server:
        client = way.client(server.url)
        assert client.get_cursor() is None
        found = way.collect(client, 3)
        assert [frame.seq for frame in found] == [1, 2, 5]
        assert [bytes(frame) for frame in found] == frames(1, 2, 5)
        assert client.get_cursor() == 5
        assert server.requests == ["/xrpc/com.atproto.sync.subscribeRepos"]


@each_way
def test_the_cursor_is_that_of_the_frame_at_hand(way: Way) -> None:
    """However many frames have been received ahead of it."""
    with Server([frames(*range(1, 101))]) as server:
        client = way.client(server.url)
        way.collect(client, 40)
        assert client.get_cursor() == 40


@each_way
def test_a_lost_connection_is_made_anew_from_the_cursor(way: Way) -> None:
    script: Script = [
        [*frames(1, 2), Drop()],
        [*frames(2, 3), Close(1000)],
        [*frames(4), Close(1001)],
        frames(5),
    ]
    with Server(script) as server:
        client = way.client(server.url)
        found = way.collect(client, 5)
        assert [frame.seq for frame in found] == [1, 2, 3, 4, 5]
        assert server.cursors == [None, 2, 3, 4]


@each_way
def test_a_cursor_may_be_given(way: Way) -> None:
    given: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {"cursor": 7}),
        (({"cursor": 7},), {}),
        ((), {"params": {"cursor": 7}}),
    ]
    for arguments, options in given:
        with Server([frames(8)]) as server:
            client = way.client(*arguments, base_url=server.url, **options)
            assert client.get_cursor() is None
            way.collect(client, 1)
            assert server.cursors == [7]


@iterators
def test_start_takes_a_cursor_or_none(way: Way) -> None:
    with Server([frames(8), frames(9), frames(10)]) as server:
        client = way.client(server.url, params={"cursor": 3})
        way.collect(client, 1, None, 7)
        # None is live, whatever was before; nothing goes on from where the client was.
        way.collect(client, 1, None, None)
        way.collect(client, 1)
        assert server.cursors == [7, None, 9]


@iterators
def test_start_refuses_what_is_no_cursor(way: Way) -> None:
    client = way.client("localhost:1")
    for wrong in ("7", 7.0, True, [7]):
        with pytest.raises(TypeError, match="start"):
            client.start(wrong)


@iterators
def test_a_failed_first_dial_raises_at_once(way: Way) -> None:
    client = way.client(f"ws://127.0.0.1:{unused_port()}", backoff=30.0)
    begun = time.monotonic()
    with pytest.raises(firehose.ConnectionError, match="cannot connect") as caught:
        way.collect(client, 1)
    assert time.monotonic() - begun < 5
    assert isinstance(caught.value, ConnectionError) and isinstance(
        caught.value, firehose.StreamError
    )


@iterators
@pytest.mark.parametrize("status", ["503 Service Unavailable", "404 Not Found"])
def test_a_refused_first_request_raises_at_once(way: Way, status: str) -> None:
    with Server([[Answer(status)]]) as server:
        with pytest.raises(firehose.NetworkError, match=status[:3]):
            way.collect(way.client(server.url, backoff=30.0), 1)
        assert len(server.requests) == 1


@iterators
@pytest.mark.parametrize("limit", [0, 2, 5])
def test_a_lost_connection_is_made_anew_so_many_times(way: Way, limit: int) -> None:
    with Server([[*frames(1), Drop()], [Drop()]]) as server:
        client = way.client(server.url, max_reconnects=limit)
        found: list[Any] = []
        with pytest.raises(firehose.ConnectionError):
            way.collect(client, 9, found)
        assert [frame.seq for frame in found] == [1]
        assert server.cursors == [None] + [1] * limit


@iterators
def test_a_frame_begins_the_count_anew(way: Way) -> None:
    losing: Script = [[identity(seq), Drop()] for seq in range(1, 9)]
    with Server([*losing, [Drop()]]) as server:
        found: list[Any] = []
        with pytest.raises(firehose.ConnectionError):
            way.collect(way.client(server.url, max_reconnects=1), 99, found)
        assert [frame.seq for frame in found] == list(range(1, 9))
        assert len(server.requests) == 9


@iterators
def test_silence_raises_a_timeout_in_the_end(way: Way) -> None:
    with Server([frames(1), []]) as server:
        client = way.client(server.url, recv_timeout=0.1, max_reconnects=2)
        found: list[Any] = []
        with pytest.raises(firehose.StreamTimeoutError) as caught:
            way.collect(client, 2, found)
        assert isinstance(caught.value, TimeoutError) and isinstance(
            caught.value, firehose.StreamError
        )
        assert not isinstance(caught.value, firehose.ConnectionError)
        assert [frame.seq for frame in found] == [1]
        assert len(server.requests) == 3


@callbacks
def test_a_callback_reconnects_for_ever(way: Way) -> None:
    refusal: list[Step] = [Answer("503 Service Unavailable")]
    loss: list[Step] = [Drop()]
    script: Script = [*[refusal] * 3, frames(1) + loss, *[loss] * 9, frames(2)]
    with Server(script) as server:
        found = way.collect(way.client(server.url), 2)
        assert [frame.seq for frame in found] == [1, 2]
        assert len(server.requests) == len(script)


@callbacks
def test_what_is_fatal_raises_from_a_callback(way: Way) -> None:
    with Server([[Answer("404 Not Found")]]) as server:
        with pytest.raises(firehose.ConnectionError, match="404"):
            way.collect(way.client(server.url), 1)
        assert len(server.requests) == 1


@each_way
def test_an_error_frame_is_handed_on_then_ends_the_stream(way: Way) -> None:
    with Server([[*frames(1), error("FutureCursor", "too far")]]) as server:
        found: list[Any] = []
        with pytest.raises(firehose.StreamError, match="FutureCursor: too far") as caught:
            way.collect(way.client(server.url), 9, found)
        assert type(caught.value) is firehose.StreamError
        assert (caught.value.error, caught.value.message) == ("FutureCursor", "too far")
        last = found[-1]
        assert last.header.op is firehose.FrameType.ERROR and last.header.t is None
        message = parse_subscribe_repos_message(last)
        assert message.commit is None and message.error is not None
        assert (message.error.error, message.error.message) == ("FutureCursor", "too far")
        assert len(server.requests) == 1


@each_way
def test_a_slow_consumer_is_told_and_goes_on(way: Way) -> None:
    with Server([[*frames(1), error("ConsumerTooSlow")], frames(2)]) as server:
        found = way.collect(way.client(server.url), 3)
        assert [frame.is_error for frame in found] == [False, True, False]
        assert server.cursors == [None, 1]


@iterators
def test_a_server_that_only_ever_complains_is_given_up(way: Way) -> None:
    with Server([[error("ConsumerTooSlow")]]) as server:
        found: list[Any] = []
        with pytest.raises(firehose.ConnectionError, match="slow"):
            way.collect(way.client(server.url, max_reconnects=2), 99, found)
        assert len(found) == len(server.requests) == 3


@each_way
def test_bad_bodies_are_handed_on_and_raise_when_parsed(way: Way) -> None:
    with Server([[identity(1), bad_body(2), b"\xff\xff", identity(3)]]) as server:
        found = way.collect(way.client(server.url), 3)
        assert [frame.type for frame in found] == ["#identity", "#commit", "#identity"]
        with pytest.raises(firehose.MessageParsingError, match="blocks|ops|missing") as caught:
            parse_subscribe_repos_message(found[1])
        assert isinstance(caught.value, firehose.StreamError)
        assert parse_subscribe_repos_message(found[2]).identity == (
            parse_subscribe_repos_message(identity(3)).identity
        )
        assert len(server.requests) == 1


@each_way
def test_a_bad_body_is_not_met_again(way: Way) -> None:
    with Server([[identity(1), bad_body(2), Drop()], [bad_body(2), identity(3)]]) as server:
        found = way.collect(way.client(server.url), 3)
        assert [frame.seq for frame in found] == [1, 2, 3]
        assert server.cursors == [None, 2]


@each_way
def test_info_is_handed_on(way: Way) -> None:
    with Server([[info("OutdatedCursor", "old"), *frames(1)]]) as server:
        found = way.collect(way.client(server.url), 2)
        message = parse_subscribe_repos_message(found[0]).info
        assert message is not None
        assert (message.name, message.message) == ("OutdatedCursor", "old")


@iterators
def test_a_start_after_an_error_waits_and_each_time_longer(way: Way) -> None:
    client = way.client(f"ws://127.0.0.1:{unused_port()}", backoff=0.4, max_backoff=10.0)
    waits = []
    for _ in range(4):
        begun = time.monotonic()
        with pytest.raises(firehose.ConnectionError):
            way.collect(client, 1)
        waits.append(time.monotonic() - begun)
    # 0, then 0.4, 0.8, 1.6, of each up to a half left out by chance.
    assert waits[0] < 0.2 <= waits[1]
    assert waits[2] >= 0.4 and waits[3] >= 0.8
    assert waits[3] < 5


@each_way
def test_a_start_after_a_stop_does_not_wait_and_goes_on(way: Way) -> None:
    with Server([frames(1, 2), frames(2, 3)]) as server:
        client = way.client(server.url, backoff=30.0)
        begun = time.monotonic()
        way.collect(client, 2)
        found = way.collect(client, 1)
        assert time.monotonic() - begun < 5
        assert [frame.seq for frame in found] == [3]
        assert server.cursors == [None, 2]


@each_way
def test_parameters_are_asked_for(way: Way) -> None:
    params = {"cursor": 5, "wanted": ["a", "b"], "flag": True, "none": None}
    with Server([frames(6), frames(8)]) as server:
        client = way.client(params, base_uri=f"{server.url}/xrpc")
        way.collect(client, 1)
        client.update_params({"cursor": 7, "wanted": "c"})
        way.collect(client, 1)
        path = "/xrpc/com.atproto.sync.subscribeRepos?"
        assert server.requests == [
            f"{path}wanted=a&wanted=b&flag=true&cursor=5",
            f"{path}wanted=c&cursor=7",
        ]


@each_way
def test_parameters_may_change_while_it_runs(way: Way) -> None:
    with Server([[*frames(1), Gate(), Drop()], frames(2)]) as server:
        client = way.client(server.url)
        found: list[Any] = []

        class Noting(list[Any]):
            def append(self, frame: Any) -> None:
                found.append(frame)
                super().append(frame)
                if len(found) == 1:
                    client.update_params({"wanted": "x"})
                    server.gate.set()

        way.collect(client, 2, Noting())
        assert server.requests[1].endswith("?wanted=x&cursor=1")


@each_way
def test_every_form_of_an_address_is_taken(way: Way) -> None:
    with Server([frames(1)]) as server:
        host = f"127.0.0.1:{server.port}"
        endpoint = f"ws://{host}/xrpc/com.atproto.sync.subscribeRepos"
        for address in (host, f"ws://{host}", f"http://{host}/xrpc", endpoint):
            for options in ({"base_url": address}, {"base_uri": address}):
                way.collect(way.client(**options), 1)
            way.collect(way.client(address), 1)
        assert set(server.requests) == {"/xrpc/com.atproto.sync.subscribeRepos"}
        assert len(server.requests) == 12


@each_way
def test_cursors_that_cannot_be_are_refused(way: Way) -> None:
    for wrong in (-5, 2**63):
        with pytest.raises(ValueError, match=f"cursor={wrong}: the number of a frame"):
            way.client(cursor=wrong)
        with pytest.raises(ValueError, match=f"cursor={wrong}"):
            way.client().update_params({"cursor": wrong})
        with pytest.raises(ValueError, match=f"cursor={wrong}"):
            way.client().start(wrong)


@each_way
def test_wrong_arguments_are_refused(way: Way) -> None:
    given: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {"base_urll": "x"}),
        ((7,), {}),
        (("host",), {"base_url": "host"}),
        ((), {"base_url": "host", "base_uri": "host"}),
        (({"a": 1},), {"params": {"a": 1}}),
        (("host", "host"), {}),
    ]
    for arguments, options in given:
        with pytest.raises(TypeError):
            way.client(*arguments, **options)
    for address in (
        "ftp://host",
        "",
        "ws://ho st",
        "ws://h/xrpc/com.atproto.label.subscribeLabels",
    ):
        with pytest.raises(ValueError):
            way.client(address)
    for options in ({"recv_timeout": -1.0}, {"backoff": float("nan")}, {"max_reconnects": -1}):
        with pytest.raises(ValueError):
            way.client("host", **options)
