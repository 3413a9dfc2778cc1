"""Hands the blocks of a feed to a variant: parse some messages, apply them while they are in the cache, and so on."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from kernels.catalog import Instance
from kernels.messages import EVENT


class Feed(Protocol):
    """What `replay_feed` needs of a feed; `kernels.feeds.itch.ItchFeed` is one."""

    events: np.ndarray  # EVENT: the block

    def push(self, data: Any) -> None:
        """Take the next chunk of bytes."""

    def pull(self) -> int:
        """Fill the block; return how many events there are, 0 at the end of the chunk."""


def replay_feed(instance: Instance, feed: Feed, data: Any, out: np.ndarray | None = None) -> int:
    """Parse the chunk `data` by `feed` and apply its events to `instance`; return how many there were.

    What `instance` answers to each event goes to `out` where that is given, an array as of ``kernel.output`` with room
    for all events of the chunk; else to a scratch of one block, which the next block overwrites. The state of
    `instance` grows where it must. Nothing but the block is written in between, so the events never leave the cache:
    parsing all first and applying then writes 40 bytes for each to memory and reads them back.

    Raises ValueError for a kernel whose input is not the events themselves, for an `out` that is too short, and what
    the feed raises; events before that place are applied.
    """
    kernel, variant = instance.variant.kernel, instance.variant
    events = kernel.prepare(feed.events, instance.parameters)
    if not isinstance(events, np.ndarray) or events.dtype != EVENT or not np.shares_memory(events, feed.events):
        raise ValueError(f"{variant.full_name} does not take events as a feed gives them: parse and prepare them first")
    scratch = kernel.output(events, instance.parameters) if out is None else None
    feed.push(data)
    done = 0
    while count := feed.pull():
        if out is not None and done + count > len(out):
            raise ValueError(f"{variant.full_name}: out has room for {len(out):,} events, the chunk holds more")
        block, answers = events[:count], scratch if out is None else out[done : done + count]
        position = 0
        while (position := variant.replay_from(instance.state, block, answers, position, instance.probe)) < count:
            if variant.grow is None:
                raise RuntimeError(f"{variant.full_name} stopped at event {done + position} and cannot grow")
            instance.state = variant.grow(instance.state)
        done += count
    return done
