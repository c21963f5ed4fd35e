"""Counts posts by language as they are made: ``python bluesky_native.py [URL]``."""

import sys

import skytide as kd

posts = kd.sources.Firehose(sys.argv[1] if len(sys.argv) > 1 else "wss://bsky.network").posts
languages = posts.with_key(posts.col("record").col("langs").index(0)).count()
for row in languages.run_iter(kind="row", mode="live"):
    print(f"{row['_key']} has posted {row['result']} times since startup", flush=True)
