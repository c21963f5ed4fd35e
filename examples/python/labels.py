"""Prints a labeler's labels, from its first one on.

Usage: labels.py [ADDRESS [LABELS]]
"""

import sys

from skytide.firehose import FirehoseSubscribeLabelsClient, parse_subscribe_labels_message


def main(address: str, labels: int | None) -> None:
    seen = 0
    with FirehoseSubscribeLabelsClient(address, params={"cursor": 0}) as client:
        for frame in client.start():
            message = parse_subscribe_labels_message(frame)
            if message.info:
                print(f"info {message.info.name}: {message.info.message}")
            for label in message.labels or ():
                sign = "-" if label.neg else "+"
                print(f"{sign}{label.val} {label.uri} by {label.src} at {label.cts}", flush=True)
                seen += 1
                if seen == labels:
                    return


if __name__ == "__main__":
    arguments = sys.argv[1:] or ["wss://mod.bsky.app"]
    main(arguments[0], int(arguments[1]) if arguments[1:] else None)
