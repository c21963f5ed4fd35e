"""Counts the posts of the last second by language, as they come and go: ``python lately.py [URL]``."""

import sys
from datetime import timedelta

import skytide as kd
from skytide.windows import Trailing

posts = kd.sources.Firehose(sys.argv[1] if len(sys.argv) > 1 else "wss://bsky.network").posts
languages = posts.with_key(posts.col("record").col("langs").index(0))
lately = languages.count(window=Trailing(timedelta(seconds=1)))
for row in lately.run_iter(kind="row", mode="live"):
    print(f"{row['_key']}: {row['result']} posts in the last second", flush=True)
