"""How subscriptions end: stops, closes, signals, cancelled tasks; and what runs beside them."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import pytest
from skytide.firehose import (
    AsyncFirehoseSubscribeReposClient,
    FirehoseSubscribeReposClient,
    StreamTimeoutError,
)

from .server import LIMIT, Gate, Server
from .support import QUICK, Way, each_way, frames, iterators, limited

# What the rules allow, in seconds, and what a busy machine is given beyond.
AT_ONCE = 0.1
SLACK = 0.4


def wait_until(found: Any) -> None:
    limit = time.monotonic() + LIMIT
    while not found():
        assert time.monotonic() < limit, "it took too long"
        time.sleep(0.002)


@each_way
def test_a_stop_from_another_thread_ends_a_wait(way: Way) -> None:
    with Server([frames(1)]) as server:
        client = way.client(server.url)
        stopped: list[float] = []

        def stop() -> None:
            wait_until(lambda: client.get_cursor() == 1)
            stopped.append(time.monotonic())
            client.stop()
            stopped.append(time.monotonic())

        thread = threading.Thread(target=stop)
        thread.start()
        assert [frame.seq for frame in way.collect(client, 2)] == [1]
        ended = time.monotonic()
        thread.join(LIMIT)
        assert stopped[1] - stopped[0] < AT_ONCE + SLACK
        assert ended - stopped[0] < AT_ONCE + SLACK
        assert server.closed[0].wait(LIMIT)


def test_a_stop_from_another_thread_ends_an_async_read_of_many_frames() -> None:
    with Server([frames(*range(1, 20_001))]) as server:
        for _ in range(16):
            client = AsyncFirehoseSubscribeReposClient(server.url, **QUICK)

            def stop(client: AsyncFirehoseSubscribeReposClient = client) -> None:
                wait_until(lambda: client.get_cursor() is not None)
                client.stop()

            thread = threading.Thread(target=stop)

            async def read(
                client: AsyncFirehoseSubscribeReposClient = client,
                thread: threading.Thread = thread,
            ) -> None:
                thread.start()
                await asyncio.wait_for(client.start(lambda frame: None), LIMIT)

            asyncio.run(read())
            thread.join(LIMIT)


@each_way
def test_a_stop_before_any_start_is_nothing(way: Way) -> None:
    with Server([frames(1)]) as server:
        client = way.client(server.url)
        client.stop()
        client.close()
        assert len(way.collect(client, 1)) == 1


@each_way
def test_a_stop_ends_a_dial_and_a_wait_for_the_next(way: Way) -> None:
    """A server that never answers, then one that is not there and a wait of half a minute."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as mute, Server([[]]) as server:
        server.url = f"ws://127.0.0.1:{mute.getsockname()[1]}"
        client = way.client(server.url)
        timer = threading.Timer(0.2, client.stop)
        timer.start()
        begun = time.monotonic()
        assert way.collect(client, 1) == []
        assert 0.15 < time.monotonic() - begun < 0.2 + AT_ONCE + SLACK


def test_with_closes() -> None:
    with Server([frames(1)]) as server:
        with FirehoseSubscribeReposClient(server.url) as client:
            stream = client.start()
            assert next(stream).seq == 1
        assert server.closed[0].wait(LIMIT)
        assert list(stream) == []


def test_async_with_closes() -> None:
    async def run() -> None:
        async with AsyncFirehoseSubscribeReposClient(server.url) as client:
            stream = client.start()
            assert (await anext(stream)).seq == 1
        assert [frame async for frame in stream] == []

    with Server([frames(1)]) as server:
        limited(lambda: asyncio.run(run()))
        assert server.closed[0].wait(LIMIT)


def test_a_new_start_drops_the_connection_before() -> None:
    with Server([frames(1, 2, 3), frames(4)]) as server:
        client = FirehoseSubscribeReposClient(server.url)
        first = client.start()
        assert next(first).seq == 1
        second = client.start()
        assert server.closed[0].wait(LIMIT)
        assert limited(lambda: next(second)).seq == 4
        assert list(first) == []
        assert client.get_cursor() == 4
        assert server.cursors == [None, 1]


def test_a_new_async_start_drops_the_connection_before() -> None:
    async def run() -> None:
        client = AsyncFirehoseSubscribeReposClient(server.url)
        first = client.start()
        assert (await anext(first)).seq == 1
        second = client.start()
        assert (await anext(second)).seq == 4
        assert [frame async for frame in first] == []

    with Server([frames(1, 2, 3), frames(4)]) as server:
        limited(lambda: asyncio.run(run()))
        assert server.closed[0].wait(LIMIT)


@iterators
def test_after_its_end_an_iterator_stays_ended(way: Way) -> None:
    with Server([frames(1), []]) as server:
        client = way.client(server.url, recv_timeout=0.1, max_reconnects=0)

        async def run() -> None:
            stream = client.start()
            assert (await anext(stream)).seq == 1
            with pytest.raises(StreamTimeoutError):
                await anext(stream)
            for _ in range(2):
                with pytest.raises(StopAsyncIteration):
                    await anext(stream)

        def blocking() -> None:
            stream = client.start()
            assert next(stream).seq == 1
            with pytest.raises(StreamTimeoutError):
                next(stream)
            assert list(stream) == list(stream) == []

        limited((lambda: asyncio.run(run())) if way.is_async else blocking)


def test_the_client_itself_is_iterable() -> None:
    async def run() -> int | None:
        async for frame in AsyncFirehoseSubscribeReposClient(server.url):
            return frame.seq
        return None

    with Server([frames(1)]) as server:
        for frame in FirehoseSubscribeReposClient(server.url):
            assert frame.seq == 1
            break
        assert limited(lambda: asyncio.run(run())) == 1


def test_an_async_start_may_be_awaited_and_gathered() -> None:
    async def run() -> None:
        client = AsyncFirehoseSubscribeReposClient(server.url)
        stream = await client.start()
        assert (await anext(stream)).seq == 1
        one = AsyncFirehoseSubscribeReposClient(server.url)
        [same] = await asyncio.gather(one.start())
        assert (await anext(same)).seq == 2

    with Server([frames(1), frames(2)]) as server:
        limited(lambda: asyncio.run(run()))


def test_an_async_start_with_a_callback_is_a_coroutine() -> None:
    async def run() -> list[int | None]:
        found: list[int | None] = []
        client = AsyncFirehoseSubscribeReposClient(server.url)

        async def on_message(frame: Any) -> None:
            await asyncio.sleep(0)
            found.append(frame.seq)
            if frame.seq == 2:
                await client.stop()

        coroutine = client.start(on_message)
        assert asyncio.iscoroutine(coroutine)
        await asyncio.create_task(coroutine)

        def on_message_at_once(frame: Any) -> None:
            found.append(frame.seq)
            client.stop()

        await asyncio.gather(client.start(on_message_at_once))
        return found

    with Server([frames(1, 2), frames(3)]) as server:
        assert limited(lambda: asyncio.run(run())) == [1, 2, 3]


def test_what_a_callback_raises_comes_out() -> None:
    def on_message(frame: Any) -> None:
        raise KeyError(frame.seq)

    with Server([frames(1)]) as server:
        # What was raised holds all that was there, and yet the connection is closed.
        with pytest.raises(KeyError, match="1") as first:
            FirehoseSubscribeReposClient(server.url).start(on_message)
        assert server.closed[0].wait(LIMIT)
        with pytest.raises(KeyError, match="1") as second:
            asyncio.run(AsyncFirehoseSubscribeReposClient(server.url).start(on_message))
        assert server.closed[1].wait(LIMIT)
        assert first.tb and second.tb


def test_a_cancelled_task_ends_within_a_moment() -> None:
    async def run() -> None:
        client = AsyncFirehoseSubscribeReposClient(server.url)
        tasks = [
            asyncio.create_task(client.start(lambda frame: None)),
            asyncio.create_task(anext(AsyncFirehoseSubscribeReposClient(server.url).start())),
        ]
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with pytest.raises(asyncio.CancelledError):
                await task
        assert time.monotonic() - begun < AT_ONCE + SLACK

    with Server([[]]) as server:
        limited(lambda: asyncio.run(run()))
        assert server.closed[0].wait(LIMIT)


def test_a_cancelled_read_loses_nothing() -> None:
    async def run() -> list[int | None]:
        stream = AsyncFirehoseSubscribeReposClient(server.url).start()
        found: list[int | None] = []
        cancelled = attempts = 0
        complaints: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, complaint: complaints.append(complaint))
        while len(found) < 2000:
            attempts += 1
            read = asyncio.ensure_future(stream.__anext__())
            # Now and then it is cancelled while it waits, now and then when a frame is there.
            for _ in range(attempts % 4):
                await asyncio.sleep(0)
            if not read.done():
                read.cancel()
            try:
                found.append((await read).seq)
            except asyncio.CancelledError:
                cancelled += 1
                await asyncio.sleep(0.0005)
        assert cancelled > 10 and complaints == []
        return found

    with Server([frames(*range(1, 2001))]) as server:
        assert limited(lambda: asyncio.run(run())) == list(range(1, 2001))


def test_a_frame_for_a_cancelled_read_goes_to_the_next() -> None:
    async def run() -> None:
        complaints: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, complaint: complaints.append(complaint))
        stream = AsyncFirehoseSubscribeReposClient(server.url).start()
        assert (await anext(stream)).seq == 1
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.1)
        server.gate.set()
        # The frame comes while nobody reads.
        await asyncio.sleep(0.3)
        assert (await anext(stream)).seq == 2
        assert complaints == []

    with Server([[*frames(1), Gate(), *frames(2)]]) as server:
        limited(lambda: asyncio.run(run()))


def test_two_readers_share_the_frames() -> None:
    async def run() -> list[int]:
        stream = AsyncFirehoseSubscribeReposClient(server.url).start()

        async def read() -> list[int]:
            return [(await anext(stream)).seq or 0 for _ in range(50)]

        one, other = await asyncio.gather(read(), read())
        return sorted(one + other)

    with Server([frames(*range(1, 101))]) as server:
        assert limited(lambda: asyncio.run(run())) == list(range(1, 101))


def test_others_get_their_turns_while_frames_flow() -> None:
    async def run() -> None:
        client = AsyncFirehoseSubscribeReposClient(server.url)
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        seen = before = 0
        async for _ in client.start():
            seen += 1
            if seen == 1:
                before = turns
            # Work without an await: 20 frames are 20 turns' worth of time.
            begun = time.monotonic()
            while time.monotonic() - begun < 0.006:
                pass
            if seen == 20:
                break
        task.cancel()
        assert turns - before >= 15

    with Server([frames(*range(1, 101))]) as server:
        limited(lambda: asyncio.run(run()))


def test_threads_share_an_iterator_and_the_interpreter() -> None:
    with Server([frames(*range(1, 501))]) as server:
        stream = FirehoseSubscribeReposClient(server.url).start()
        found: list[list[int]] = [[], []]

        def read(into: list[int]) -> None:
            while len(found[0]) + len(found[1]) < 400:
                into.append(next(stream).seq or 0)

        threads = [threading.Thread(target=read, args=(each,), daemon=True) for each in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
            assert not thread.is_alive()
        every = sorted(found[0] + found[1])
        assert every == list(range(1, len(every) + 1)) and len(every) >= 400


def test_a_wait_does_not_hold_the_interpreter() -> None:
    with Server([[]]) as server:
        client = FirehoseSubscribeReposClient(server.url)
        thread = threading.Thread(target=lambda: list(client.start()), daemon=True)
        thread.start()
        naps = 0
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            time.sleep(0.001)
            naps += 1
        client.stop()
        thread.join(LIMIT)
        assert not thread.is_alive()
        # A slice of a wait is 50 ms: were it held for those, there would be about 20 naps.
        assert naps > 60


PROGRAMS = {
    "iterator": "for frame in FirehoseSubscribeReposClient(url).start(): print(frame.seq, flush=True)",
    "callback": """
        FirehoseSubscribeReposClient(url).start(lambda frame: print(frame.seq, flush=True))
    """,
    "async callback": """
        asyncio.run(AsyncFirehoseSubscribeReposClient(url).start(lambda frame: print(frame.seq, flush=True)))
    """,
    "async iterator": """
        async def main():
            async for frame in AsyncFirehoseSubscribeReposClient(url).start():
                print(frame.seq, flush=True)
        asyncio.run(main())
    """,
}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_an_interrupt_ends_a_program_within_a_moment(kind: str) -> None:
    program = f"""
import asyncio, sys, time
from skytide.firehose import AsyncFirehoseSubscribeReposClient, FirehoseSubscribeReposClient
url = sys.argv[1]
try:
{textwrap.indent(textwrap.dedent(PROGRAMS[kind]), "    ")}
except KeyboardInterrupt:
    print("interrupted", time.time(), flush=True)
"""
    with Server([frames(1)]) as server:
        child = subprocess.Popen(
            [sys.executable, "-c", program, server.url], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "1\n"
        time.sleep(0.2)
        sent = time.time()
        child.send_signal(signal.SIGINT)
        word, at = child.stdout.readline().split()
        assert word == "interrupted"
        assert float(at) - sent < AT_ONCE + SLACK
        assert child.wait(LIMIT) == 0


def test_a_signal_handler_may_stop() -> None:
    program = """
import signal, sys
from skytide.firehose import FirehoseSubscribeReposClient
client = FirehoseSubscribeReposClient(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: client.stop())
client.start(lambda frame: print(frame.seq, flush=True))
print("stopped at", client.get_cursor())
"""
    with Server([frames(1)]) as server:
        child = subprocess.Popen(
            [sys.executable, "-c", program, server.url], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "1\n"
        child.send_signal(signal.SIGTERM)
        assert child.communicate(timeout=LIMIT)[0] == "stopped at 1\n"
        assert child.returncode == 0


def test_a_program_may_end_with_a_stream_open() -> None:
    program = """
import asyncio, sys
from skytide.firehose import AsyncFirehoseSubscribeReposClient
async def main():
    stream = AsyncFirehoseSubscribeReposClient(sys.argv[1]).start()
    print((await anext(stream)).seq)
    return stream
kept = asyncio.run(main())
asyncio.run(asyncio.wait_for(asyncio.sleep(0), 1))
"""
    with Server([frames(1, 2, 3)]) as server:
        done = subprocess.run(
            [sys.executable, "-c", program, server.url],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_frames_flow_past_a_reader_that_is_dropped() -> None:
    """A stream that nobody holds any more closes its connection, without a stop."""
    with Server([frames(1)]) as server:
        client = AsyncFirehoseSubscribeReposClient(server.url, **QUICK)

        async def run() -> None:
            assert (await anext(client.start())).seq == 1

        limited(lambda: asyncio.run(run()))
        assert server.closed[0].wait(LIMIT)
