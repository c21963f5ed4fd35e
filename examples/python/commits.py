"""Shows commits in detail: their blocks, operations and records, and the blobs that records refer to.

Usage: commits.py [ADDRESS [COMMITS]]
"""

import sys
from collections.abc import Iterator
from typing import Any

from skytide.firehose import CAR, CID, FirehoseSubscribeReposClient, parse_subscribe_repos_message


def blobs(value: Any) -> Iterator[tuple[CID, str, int]]:
    """The blobs in a record, wherever they stand: CID, media type, size."""
    if isinstance(value, dict):
        if value.get("$type") == "blob":
            yield value["ref"], value["mimeType"], value["size"]
        else:
            for inner in value.values():
                yield from blobs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from blobs(inner)


def main(address: str, commits: int | None) -> None:
    seen = 0
    with FirehoseSubscribeReposClient(address) as client:
        for frame in client.start():
            commit = parse_subscribe_repos_message(frame).commit
            if commit is None:
                continue
            car = CAR.from_bytes(commit.blocks)
            head = car.blocks[car.root]
            print(f"{commit.seq} {commit.repo} {commit.since} -> {commit.rev}: {len(car)} blocks")
            print(f"  commit {commit.commit} version {head['version']} tree {head['data']}")
            for op in commit.ops:
                print(f"  {op.action} {op.path} {op.cid}")
                record = None if op.cid is None else car.blocks.get(op.cid)
                if record is None:
                    continue
                print(f"    {record['$type']}: {', '.join(sorted(record))}")
                for cid, media_type, size in blobs(record):
                    print(f"    blob {cid} {media_type} {size} bytes")
            sys.stdout.flush()
            seen += 1
            if seen == commits:
                return


if __name__ == "__main__":
    arguments = sys.argv[1:] or ["wss://bsky.network"]
    main(arguments[0], int(arguments[1]) if arguments[1:] else None)
