"""Counts posts by language as they are made, with a handler of its own: ``python bluesky.py [URL]``.

The handler takes commits apart, finds the posts that were created, and pushes them as dicts; the query counts them. Both are tasks
of one event loop. ``bluesky_native.py`` does the same without a handler.
"""

import asyncio
import sys
import time

import pyarrow as pa
import skytide as kd
from skytide.atproto import (
    CAR,
    AsyncFirehoseSubscribeReposClient,
    firehose_models,
    models,
    parse_subscribe_repos_message,
)

URL = sys.argv[1] if len(sys.argv) > 1 else "wss://bsky.network"

SCHEMA = pa.schema(
    [
        pa.field(
            "record",
            pa.struct(
                [
                    pa.field("created_at", pa.string()),
                    pa.field("text", pa.string()),
                    pa.field("entities", pa.string()),
                    pa.field("labels", pa.float64()),
                    pa.field("langs", pa.list_(pa.string())),
                    pa.field("py_type", pa.string()),
                ]
            ),
        ),
        pa.field("uri", pa.string()),
        pa.field("cid", pa.string()),
        pa.field("author", pa.string()),
        pa.field("ts", pa.float64()),
    ]
)


async def main() -> None:
    """Read the firehose and print the counts."""
    kd.init_session()
    client = AsyncFirehoseSubscribeReposClient(base_uri=URL)
    posts = kd.sources.PyDict(
        rows=[],
        schema=SCHEMA,
        time_column="ts",
        key_column="author",
        time_unit="s",
    )

    async def receive(frame: firehose_models.MessageFrame) -> None:
        """Push the posts that a message creates."""
        commit = parse_subscribe_repos_message(frame)
        if not isinstance(commit, models.ComAtprotoSyncSubscribeRepos.Commit):
            return
        blocks = CAR.from_bytes(commit.blocks).blocks
        for op in commit.ops:
            collection = op.path.split("/")[0]
            if op.action != "create" or collection != models.ids.AppBskyFeedPost or not op.cid:
                continue
            raw = blocks.get(op.cid)
            if not raw:
                continue
            record = models.get_or_create(raw, strict=False)
            if not models.is_record_type(record, models.ids.AppBskyFeedPost):
                continue
            await posts.add_rows(
                {
                    "record": dict(record),
                    "uri": f"at://{commit.repo}/{op.path}",
                    "cid": str(op.cid),
                    "author": commit.repo,
                    "ts": time.time(),
                }
            )

    async def show() -> None:
        """Print each count as it changes."""
        languages = posts.with_key(posts.col("record").col("langs").index(0)).count()
        async for row in languages.run_iter(kind="row", mode="live"):
            print(f"{row['_key']} has posted {row['result']} times since startup", flush=True)

    await asyncio.gather(client.start(receive), show())


if __name__ == "__main__":
    asyncio.run(main())
