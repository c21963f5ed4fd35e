"""Dicts pushed one at a time beside a live count: ``python bench/push.py [RESIDENT] [PUSHES]``.

A table with so many rows already in it takes one dict a call, while a live count of its keys is read on another thread. Prints a JSON
line: pushes a second of the pushing thread's CPU time, of the whole process's, and by the clock, until the last count is read.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import skytide as kd

KEYS = 50
# Rows that are resident before are pushed in pieces of so many.
PIECE = 50_000


def rows(begin: int, end: int) -> Iterator[dict[str, Any]]:
    """Make rows as the examples push them: a record of five fields, in a row of four."""
    for at in range(begin, end):
        yield {
            "record": {
                "created_at": "2026-07-04T14:38:07.517Z",
                "text": f"post number {at}",
                "labels": None,
                "langs": [f"l{at % KEYS}"],
                "py_type": "app.bsky.feed.post",
            },
            "uri": f"at://did:plc:{at % 1000}/app.bsky.feed.post/{at}",
            "author": f"did:plc:{at % 1000}",
            "ts": at,
        }


SCHEMA = {
    "record": {
        "created_at": "utf8",
        "text": "utf8",
        "labels": "f64",
        "langs": ["utf8"],
        "py_type": "utf8",
    },
    "uri": "utf8",
    "author": "utf8",
    "ts": "i64",
}


def main(resident: int = 0, pushes: int = 100_000) -> None:
    """Measure it and print the figures."""
    posts = kd.sources.PyDict(schema=SCHEMA, time_column="ts", key_column="author", time_unit="s")
    for begin in range(0, resident, PIECE):
        posts.add_rows(list(rows(begin, min(begin + PIECE, resident))))
    languages = posts.with_key(posts.col("record").col("langs").index(0)).count()
    run = languages.run_iter("pyarrow", mode="live", results=kd.results.Snapshot())
    total = resident + pushes
    counts: dict[str, int] = {}
    caught_up, done = threading.Event(), threading.Event()

    def read() -> None:
        for batch in run:
            counts.update(
                zip(
                    batch.column("_key").to_pylist(),
                    batch.column("result").to_pylist(),
                    strict=True,
                )
            )
            # A live table is one behind: what comes at the time of its newest row belongs to that.
            seen = sum(counts.values())
            if seen >= resident - 1:
                caught_up.set()
            if seen >= total - 1:
                done.set()
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    if resident > 1:
        assert caught_up.wait(60)
    given = list(rows(resident, total))
    wall, cpu, mine = time.perf_counter(), time.process_time(), time.thread_time()
    for row in given:
        posts.add_rows(row)
    mine = time.thread_time() - mine
    pushed = time.perf_counter() - wall
    assert done.wait(60), (sum(counts.values()), total)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    run.stop()
    figures = {
        "resident": resident,
        "pushes": pushes,
        "pushes_per_s": round(pushes / pushed),
        "counted_per_s": round(pushes / wall),
        "pushes_per_cpu_s_of_the_pushing_thread": round(pushes / mine),
        "pushes_per_cpu_s_of_the_process": round(pushes / cpu),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
