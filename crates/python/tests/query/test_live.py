"""Running live: pushing and reading, in threads and in tasks; stop, Ctrl-C and cancellation."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from queue import Queue
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import skytide as kd

from ..sim import watched

SCHEMA = {"t": "i64", "k": "utf8", "x": "i64"}
#: Every wait ends after so many seconds, if only in a failure.
LIMIT = 30.0


def table(**more: Any) -> kd.sources.PyDict:
    return kd.sources.PyDict(schema=SCHEMA, time_column="t", key_column="k", **more)


def row(t: int, x: int, k: str = "A") -> dict[str, Any]:
    return {"t": t, "k": k, "x": x}


def test_rows_come_as_they_are_pushed() -> None:
    m = table()
    m.add_rows(row(1, 1))
    running = m.col("x").sum().run_iter("row", mode="live")
    assert next(running)["result"] == 1
    m.add_rows([row(2, 2), row(3, 3)])
    assert [next(running)["result"] for _ in range(2)] == [3, 6]
    m.add_rows(row(1, 100))
    m.add_rows(row(4, 4))
    assert next(running)["result"] == 10
    begun = time.monotonic()
    running.stop()
    assert time.monotonic() - begun < 0.05
    assert list(running) == []
    assert running.status["dropped"] == {"late": 1}


def test_late_rows_that_are_kept_are_there_to_be_taken() -> None:
    m = table(late="side", lateness=1, time_unit="s", name="m")
    running = m.col("x").sum().run_iter("row", mode="live")
    m.add_rows([row(5, 1), row(3, 100, "B"), row(9, 2)])
    # The newest waits for what may be late by a second.
    assert next(running)["result"] == 1
    late = running.late_rows()
    assert [(one["t"], one["k"], one["x"], one["_key"], one["_stream"]) for one in late] == [
        (3, "B", 100, "B", "m")
    ]
    assert [(one["_time"].second, one["_watermark"].second) for one in late] == [(3, 4)]
    assert running.late_rows() == []
    m.add_rows([row(2, 1), row(10, 4)])
    assert next(running)["result"] == 3
    running.stop()
    assert list(running) == []
    assert [one["x"] for one in running.late_rows()] == [1]
    assert running.status["dropped"] == {"late to the side": 2}
    # Over what is there nothing is late.
    assert [one["result"] for one in m.col("x").sum().to_rows()] == [1, 100, 2, 4, 8]


def test_late_rows_can_end_a_query() -> None:
    m = table(late="error", name="m")
    running = m.col("x").sum().run_iter("row", mode="live")
    m.add_rows([row(5, 1), row(3, 100), row(9, 2)])
    assert next(running)["result"] == 1
    with pytest.raises(
        RuntimeError, match=r"`m` has a late point: it is of .*003Z.*005Z.*lateness"
    ):
        next(running)
    assert running.status["dropped"] == {"late": 1}
    with pytest.raises(ValueError, match='"keep"'):
        table(late="keep")


def test_late_rows_that_nobody_takes_are_not_lost_silently() -> None:
    m = table(late="side")
    running = m.col("x").count().run_iter("row", mode="live")
    m.add_rows([row(5, 1)])
    assert next(running)["result"] == 1
    m.add_rows([row(1, 1)] * 100_001)
    with pytest.raises(RuntimeError, match=r"late points cannot be kept: .* late_rows"):
        list(running)


def test_what_is_complete_is_delivered_after_stop() -> None:
    m = table()
    running = m.col("x").sum().run_iter("row", mode="live")
    m.add_rows([row(at, 1) for at in range(100)])
    assert next(running)["result"] == 1
    running.stop()
    assert [item["result"] for item in running] == list(range(2, 101))


def test_rows_pushed_before_a_stop_are_all_answered() -> None:
    m = table()
    running = m.col("x").run_iter("row", mode="live")
    for at in range(0, 20_000, 500):
        m.add_rows([row(at + more, 1) for more in range(500)])
    running.stop()
    assert sum(1 for _ in running) == 20_000


def test_pushing_and_reading_in_one_task_cannot_deadlock() -> None:
    async def main() -> int:
        m = table()
        running = m.col("x").count().run_iter("row", mode="live", max_batch_size=1)
        for at in range(300):
            await m.add_rows([row(at * 100 + more, 1) for more in range(100)])
        last = 0
        async for item in running:
            last = item["result"]
            if last == 30_000:
                running.stop()
                break
        return last

    assert asyncio.run(asyncio.wait_for(main(), LIMIT)) == 30_000


def test_tasks_push_and_read_side_by_side() -> None:
    async def main() -> list[int]:
        m = table()
        running = m.col("x").sum().run_iter("row", mode="live", row_limit=500)

        async def push() -> None:
            for at in range(500):
                await m.add_rows(row(at, 1))

        async def read() -> list[int]:
            return [item["result"] async for item in running]

        _, answer = await asyncio.gather(push(), read())
        return answer

    assert asyncio.run(asyncio.wait_for(main(), LIMIT)) == list(range(1, 501))


def test_several_tasks_wait_for_one_answer_and_all_end_with_it() -> None:
    async def main() -> list[int]:
        m = table()
        running = m.col("x").sum().run_iter("row", mode="live")
        got: list[int] = []

        async def read() -> None:
            async for item in running:
                got.append(item["result"])
                if len(got) == 100:
                    running.stop()

        async def push() -> None:
            for at in range(100):
                await m.add_rows(row(at, 1))
                await asyncio.sleep(0)

        await asyncio.gather(read(), read(), read(), push())
        return sorted(got)

    assert asyncio.run(asyncio.wait_for(main(), LIMIT)) == list(range(1, 101))


def test_threads_share_an_answer_and_each_row_goes_to_one_of_them() -> None:
    m = table()
    running = m.col("x").run_iter("row", mode="live")
    got: Queue[int] = Queue()
    go_on = threading.Semaphore(0)

    def read() -> None:
        for item in running:
            got.put(item["result"])
            go_on.acquire()

    readers = [threading.Thread(target=read, daemon=True) for _ in range(2)]
    for reader in readers:
        reader.start()
    answer = []
    for at in range(0, 60, 3):
        # Who has the first row of these stands still, with more of them at hand, while the other waits for the next.
        m.add_rows([row(at + more, at + more) for more in range(3)])
        answer += [got.get(timeout=LIMIT), got.get(timeout=LIMIT)]
        go_on.release(2)
    running.stop()
    go_on.release(60)
    for reader in readers:
        reader.join(LIMIT)
    answer += [got.get() for _ in range(got.qsize())]
    assert sorted(answer) == list(range(60))


def test_cancelling_a_task_ends_the_query_at_once() -> None:
    async def main() -> None:
        m = table()
        running = m.col("x").sum().run_iter("row", mode="live")
        task = asyncio.create_task(running.__anext__())
        await asyncio.sleep(0.05)
        begun = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - begun < 0.1
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(running.__anext__(), LIMIT)
        # Nothing is poisoned: another runs as ever.
        m.add_rows(row(1, 7))
        assert [item["result"] for item in m.col("x").sum().run_iter("row")] == [7]

    asyncio.run(main())


CTRL_C = """
import sys, time
import skytide as kd
m = kd.sources.PyDict(schema={"t": "i64", "k": "utf8"}, time_column="t", key_column="k")
running = m.count().run_iter("row", mode="live")
print("running", flush=True)
try:
    next(running)
except KeyboardInterrupt:
    print("interrupted", time.monotonic(), flush=True)
    assert list(running) == []
"""


def assert_interrupted(program: str, within: float = 0.1) -> None:
    """Run a program, send it Ctrl-C while it waits, and see that it tells of it within 100 ms."""
    with watched([sys.executable, "-c", program]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        # It is to be in the midst of its wait.
        time.sleep(0.3)
        begun = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        word, at = process.stdout.readline().split()
        assert word == "interrupted"
        assert float(at) - begun < within
        assert process.wait(LIMIT) == 0


def test_ctrl_c_ends_a_waiting_query_within_100_ms() -> None:
    assert_interrupted(CTRL_C)


CTRL_C_IN_A_LIBRARY = """
import sys, time
import pyarrow, polars
import skytide as kd
m = kd.sources.PyDict(schema={"t": "i64", "k": "utf8"}, time_column="t", key_column="k")
m.add_rows({"t": 1, "k": "A"})
# What the library imports when it is first used, it imports now.
drain = %s
drain(m.count().run_iter("row"))
running = m.count().run_iter("row", mode="live")
print("running", flush=True)
try:
    drain(running)
except KeyboardInterrupt:
    print("interrupted", time.monotonic(), flush=True)
    assert list(running) == []
    # It was raised once, and nothing is poisoned.
    time.sleep(0.05)
    assert [item["result"] for item in m.count().run_iter("row")] == [1]
"""


FORKS = """
import os, signal, sys, threading, warnings
import skytide as kd

warnings.simplefilter("ignore", DeprecationWarning)
busy = kd.sources.PyDict({"t": 0, "k": "A", "x": 1}, time_column="t", key_column="k")
quiet = kd.sources.PyDict({"t": 0, "k": "A", "x": 1}, time_column="t", key_column="k")
live = busy.col("x").sum().run_iter("row", mode="live")
over_quiet = quiet.col("x").sum().run_iter("row", mode="live")
# What is set up when it is first used is there before anything is forked.
quiet.add_rows([{"t": 0, "k": "A", "x": 1}] * 200)
assert [next(over_quiet)["result"] for _ in range(201)][-1] == 201 and next(live)["result"] == 1

def push():
    while True:
        busy.add_rows([{"t": 0, "k": "A", "x": 1}] * 200)

def read():
    for _ in live:
        pass

def refused(call):
    try:
        call()
    except RuntimeError as error:
        return "fork" in str(error)
    return False

for work in (push, read):
    threading.Thread(target=work, daemon=True).start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        # Of this one no thread is there that computes.
        is_refused = all(map(refused, (lambda: list(live), lambda: live.status, lambda: list(over_quiet))))
        live.stop()
        # This one is whole, and is the child's own from here on.
        quiet.add_rows([{"t": 1, "k": "A", "x": 2}] * 100)
        is_whole = quiet.col("x").sum().to_rows()[-1]["result"] == 401
        # This one may be held by a thread that is not there.
        try:
            is_whole &= busy.counts["rows"] > 0 and len(busy.col("x").to_rows(row_limit=1)) == 1
        except RuntimeError as error:
            is_whole &= "fork" in str(error)
            is_whole &= refused(lambda: busy.add_rows({"t": 1})) and refused(busy.to_rows)
        os._exit(0 if is_refused and is_whole else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
os._exit(0)
"""


def test_a_forked_process_never_waits_for_threads_that_it_does_not_have() -> None:
    run = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True)
    assert run.returncode == 0, run


ENDS_WHILE_A_RUN_WAKES_ITS_READER = """
import asyncio
import skytide as kd
async def main():
    m = kd.sources.PyDict([{"t": 1, "k": "A", "x": 1}], time_column="t", key_column="k")
    rows = m.col("x").sum().run_iter("row", mode="live", results=kd.results.Snapshot())
    for more in range(2):
        await asyncio.wait_for(rows.__anext__(), 20)
        await m.add_rows([{"t": 2 + more, "k": "A", "x": 2}])
    rows.stop()
asyncio.run(main())
"""


def test_an_interpreter_ends_while_a_run_wakes_its_reader() -> None:
    for _ in range(8):
        run = subprocess.run(
            [sys.executable, "-c", ENDS_WHILE_A_RUN_WAKES_ITS_READER],
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run


def test_a_push_is_a_task_too() -> None:
    m = kd.sources.PyDict(schema={"t": "i64", "k": "utf8"}, time_column="t", key_column="k")
    row = {"t": 1, "k": "A"}

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(m.add_rows(row))
            group.create_task(m.add_rows(row))
        await asyncio.wait_for(m.add_rows(row), LIMIT)

    asyncio.run(main())
    asyncio.run(m.add_rows(row))
    assert m.counts["rows"] == 4


CTRL_C_WHILE_A_TABLE_IS_FILLED = """
import itertools, time
import skytide as kd
m = kd.sources.PyDict(schema={"t": "i64", "k": "utf8"}, time_column="t", key_column="k")
print("running", flush=True)
try:
    m.add_rows(itertools.repeat({"t": 1, "k": "A"}, 10_000_000))
except KeyboardInterrupt:
    print("interrupted", time.monotonic(), flush=True)
    assert m.counts["rows"] == 0
"""


def test_ctrl_c_ends_the_filling_of_a_table() -> None:
    assert_interrupted(CTRL_C_WHILE_A_TABLE_IS_FILLED)


@pytest.mark.parametrize("drain", ["pyarrow.table", "polars.DataFrame"])
def test_ctrl_c_ends_a_query_that_another_library_drains(drain: str) -> None:
    assert_interrupted(CTRL_C_IN_A_LIBRARY % drain)


CTRL_C_WHILE_A_PIPE_IS_WRITTEN = """
import os, sys, tempfile, time
import skytide as kd
rows = [{"t": at, "k": "A"} for at in range(20_000)]
m = kd.sources.PyDict(rows, time_column="t", key_column="k")
with tempfile.TemporaryDirectory() as folder:
    pipe = os.path.join(folder, "rows.%s")
    os.mkfifo(pipe)
    if %s:
        # Someone who opens it, and reads nothing.
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    print("running", flush=True)
    try:
        m.count().write(pipe)
    except KeyboardInterrupt:
        print("interrupted", time.monotonic(), flush=True)
    # Nothing is poisoned.
    assert m.count().write(os.path.join(folder, "file.%s")) == 20_000
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="it has no named pipes")
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("has_reader", [False, True])
def test_ctrl_c_ends_the_writing_of_a_pipe_that_nobody_reads(form: str, has_reader: bool) -> None:
    program = CTRL_C_WHILE_A_PIPE_IS_WRITTEN % (form, has_reader, form)
    assert_interrupted(program, within=5)


class Stopped(Exception):
    """What a handler of a program's own raises."""


def test_another_signal_is_an_error_of_the_library_that_drains() -> None:
    m = table()
    running = m.count().run_iter("row", mode="live")

    def stop(*_: object) -> None:
        raise Stopped("that is enough")

    pa.table(m.count().run_iter("row"))
    before = signal.signal(signal.SIGUSR1, stop)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises((OSError, pa.ArrowException), match="that is enough"):
            pa.table(running)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("library", ["pyarrow", "polars"])
def test_a_thread_pushes_while_another_library_drains(library: str) -> None:
    m = table()
    running = m.col("x").sum().run_iter("row", mode="live", row_limit=200)

    def push() -> None:
        for at in range(200):
            m.add_rows(row(at, 1))

    thread = threading.Thread(target=push)
    timer = threading.Timer(0.05, thread.start)
    timer.start()
    if library == "pyarrow":
        results = pa.table(running)["result"].to_pylist()
    else:
        results = pl.DataFrame(running)["result"].to_list()
    timer.join()
    thread.join(LIMIT)
    assert results == list(range(1, 201))


def test_the_lock_is_free_while_a_query_computes() -> None:
    m = table()
    m.add_rows([row(at, at, str(at % 100)) for at in range(200_000)])
    turns = 0
    done = threading.Event()

    def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    execution = m.col("x").sum()._run(None)
    execution.collect()
    done.set()
    thread.join(LIMIT)
    assert turns > 3


def test_a_run_that_is_dropped_ends() -> None:
    m = table(queryable=False)
    running = m.col("x").sum().run_iter("row", mode="live")
    m.add_rows(row(1, 1))
    assert next(running)["result"] == 1
    del running
    gc.collect()
    deadline = time.monotonic() + LIMIT
    before = threading.active_count()
    while _query_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _query_threads()
    assert threading.active_count() == before


def _query_threads() -> int:
    """Count the threads of this process that run a query."""
    found = 0
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm") as name:
                found += name.read().strip() == "skytide-query"
        except FileNotFoundError:
            pass
    return found


def test_a_live_answer_streams_as_arrow() -> None:
    m = table()
    m.add_rows([row(at, 1) for at in range(10)])
    running = m.col("x").sum().run_iter("pyarrow", mode="live", row_limit=10)
    reader = pa.RecordBatchReader.from_stream(running)
    assert reader.read_all()["result"].to_pylist() == list(range(1, 11))


def test_an_arrow_stream_that_is_closed_ends_nothing_that_is_still_read() -> None:
    m = table()
    running = m.col("x").run_iter("row", mode="live")
    first, second = (pa.RecordBatchReader.from_stream(running) for _ in range(2))
    for at, reader in enumerate((first, second)):
        m.add_rows(row(at, at))
        assert reader.read_next_batch()["result"].to_pylist() == [at]
        reader.close()
    m.add_rows(row(2, 2))
    assert next(running)["result"] == 2
    third = pa.RecordBatchReader.from_stream(running)
    del running
    m.add_rows(row(3, 3))
    assert third.read_next_batch()["result"].to_pylist() == [3]
    third.close()
    deadline = time.monotonic() + LIMIT
    while _query_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _query_threads()


def test_two_tables_wait_for_each_other() -> None:
    m, n = table(), table()
    both = m.col("x").sum() + n.col("x").sum()
    running = both.run_iter("row", mode="live")
    m.add_rows([row(1, 1), row(3, 1), row(9, 1)])
    n.add_rows([row(2, 10), row(4, 10)])
    assert [next(running)["result"] for _ in range(3)] == [None, 11, 12]
    running.stop()


def test_a_silent_table_holds_the_others_no_longer_than_its_time_of_idleness() -> None:
    m, n = table(), table(idle_timeout=0.2)
    both = m.col("x").sum() + n.col("x").sum()
    running = both.run_iter("row", mode="live")
    n.add_rows(row(1, 10))
    m.add_rows([row(2, 1), row(3, 1), row(9, 1)])
    begun = time.monotonic()
    # The rows before the newest are held until the other table has been silent for so long.
    assert [next(running)["result"] for _ in range(3)] == [None, 11, 12]
    assert time.monotonic() - begun > 0.1
    running.stop()


def test_a_table_that_is_complete_holds_nobody() -> None:
    m, n = table(), table()
    n.add_rows(row(1, 10))
    running = (m.col("x").sum() + n.col("x").sum()).run_iter("row", mode="live")
    m.add_rows([row(2, 1), row(3, 1), row(9, 1)])
    n.end()
    n.end()
    assert [next(running)["result"] for _ in range(3)] == [None, 11, 12]
    with pytest.raises(ValueError, match="the table has ended"):
        n.add_rows(row(4, 10))
    m.end()
    assert [one["result"] for one in running] == [13]
    # What is there can be asked for, once or live.
    for sums in (n.col("x").run_iter("row"), n.col("x").run_iter("row", mode="live")):
        assert [one["result"] for one in sums] == [10]


def test_20000_rows_a_second_are_pushed_one_by_one_whatever_is_resident() -> None:
    m = table()
    m.add_rows([row(at, 1) for at in range(200_000)])
    begun = time.monotonic()
    for at in range(20_000):
        m.add_rows(row(200_000 + at, 1))
    took = time.monotonic() - begun
    assert m.counts["rows"] == 220_000
    assert took < 5, "a debug build is no measure, but this would be quadratic"
