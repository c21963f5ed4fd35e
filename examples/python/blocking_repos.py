"""Prints what happens to posts, with a client that blocks.

Usage: blocking_repos.py [ADDRESS [POSTS]]
"""

import sys

from skytide.firehose import (
    FirehoseSubscribeReposClient,
    MessageFrame,
    parse_subscribe_repos_message,
)


def main(address: str, posts: int | None) -> None:
    client = FirehoseSubscribeReposClient(address)
    seen = 0

    def on_message(frame: MessageFrame) -> None:
        nonlocal seen
        message = parse_subscribe_repos_message(frame)
        if message.error:
            print(f"error {message.error.error}: {message.error.message}", flush=True)
        if message.commit is None:
            return
        for op in message.commit.ops:
            if op.collection != "app.bsky.feed.post":
                continue
            text = op.record["text"] if op.record else ""
            print(f"{op.action} at://{message.commit.repo}/{op.path} {text!r}", flush=True)
            seen += 1
            if seen == posts:
                client.stop()
                return

    client.start(on_message)


if __name__ == "__main__":
    arguments = sys.argv[1:] or ["wss://bsky.network"]
    main(arguments[0], int(arguments[1]) if arguments[1:] else None)
