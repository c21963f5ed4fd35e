"""Counts the posts of the last second by language, as they come and go: ``python lately.py [URL or recording]``."""

import sys
from datetime import timedelta
from typing import Literal

import skytide as kd
from skytide.windows import Trailing

where = sys.argv[1] if len(sys.argv) > 1 else "wss://bsky.network"
mode: Literal["once", "live"] = "live" if "://" in where else "once"

posts = kd.sources.Firehose(where).posts
languages = posts.with_key(posts.col("record").col("langs").index(0))
lately = languages.count(window=Trailing(timedelta(seconds=1)))
for row in lately.run_iter(kind="row", mode=mode):
    print(f"{row['_key']}: {row['result']} posts in the last second", flush=True)
