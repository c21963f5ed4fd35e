"""Streams for as long as it can: retries when the connection fails, skips what is malformed, goes on at the cursor.

Usage: robust.py [ADDRESS [COMMITS]]
"""

import sys

from skytide.firehose import (
    ConnectionError,
    FirehoseSubscribeReposClient,
    MessageParsingError,
    StreamError,
    StreamTimeoutError,
    parse_subscribe_repos_message,
)

MAX_RETRIES = 5


def stream(client: FirehoseSubscribeReposClient, commits: int | None) -> None:
    """Streams until an error or so many commits in all."""
    for frame in client.start(client.get_cursor()):
        try:
            message = parse_subscribe_repos_message(frame)
        except MessageParsingError as error:
            print(f"skipped a malformed message: {error}", flush=True)
            continue
        if message.error:
            print(f"error frame {message.error.error}: {message.error.message}", flush=True)
        if message.info:
            print(f"info {message.info.name}: {message.info.message}", flush=True)
        if message.commit:
            print(f"commit {message.commit.seq}", flush=True)
            if commits is not None:
                commits -= 1
                if commits == 0:
                    return


def main(address: str, commits: int | None) -> int:
    # The waits between attempts are the client's: a start after an error waits the back-off.
    client = FirehoseSubscribeReposClient(address, max_reconnects=0, backoff=0.2)
    retries = 0
    last = None
    while retries < MAX_RETRIES:
        try:
            stream(client, commits)
            return 0
        except (ConnectionError, StreamTimeoutError) as error:
            # What came since the last failure is progress.
            retries = 1 if client.get_cursor() != last else retries + 1
            last = client.get_cursor()
            print(f"attempt {retries} of {MAX_RETRIES} at {last}: {error}", flush=True)
        except StreamError as error:
            print(f"the stream ended: {error}", flush=True)
            return 1
    print("Max retries exceeded")
    return 1


if __name__ == "__main__":
    arguments = sys.argv[1:] or ["wss://bsky.network"]
    sys.exit(main(arguments[0], int(arguments[1]) if arguments[1:] else None))
