"""What the variants for one producer and one consumer have in common."""

from __future__ import annotations

from collections.abc import Mapping


def refuses(parameters: Mapping[str, int]) -> str | None:
    """Return why a queue with one producer and one consumer cannot take these parameters, or None."""
    threads = parameters["threads"]
    return f"it is for one producer and one consumer, not for {threads} threads: see mpmc" if threads > 2 else None
