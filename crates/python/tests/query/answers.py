"""Answers of small queries, as the tests compare them."""

from __future__ import annotations

from typing import Any

import skytide as kd


def results(stream: kd.Timestream) -> list[Any]:
    """Return the values of a stream's points, in order."""
    return [row["result"] for row in stream.to_rows()]
