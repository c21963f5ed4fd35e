"""Counts messages by kind while another task reports once a second.

Usage: async_repos.py [ADDRESS [MESSAGES]]
"""

import asyncio
import sys
from collections import Counter

from skytide.firehose import AsyncFirehoseSubscribeReposClient, parse_subscribe_repos_message

KINDS = ("commit", "sync", "identity", "account", "info", "error")


async def report(counts: Counter[str], client: AsyncFirehoseSubscribeReposClient) -> None:
    while True:
        await asyncio.sleep(1)
        print(f"at {client.get_cursor()}: {dict(counts)}", flush=True)


async def main(address: str, messages: int | None) -> None:
    counts: Counter[str] = Counter()
    async with AsyncFirehoseSubscribeReposClient(address) as client:
        reporter = asyncio.create_task(report(counts, client))
        async for frame in client.start():
            message = parse_subscribe_repos_message(frame)
            kind = next((kind for kind in KINDS if getattr(message, kind) is not None), "other")
            counts[kind] += 1
            if counts.total() == messages:
                break
        reporter.cancel()
    for kind, count in sorted(counts.items()):
        print(f"{kind}: {count}")


if __name__ == "__main__":
    arguments = sys.argv[1:] or ["wss://bsky.network"]
    asyncio.run(main(arguments[0], int(arguments[1]) if arguments[1:] else None))
