"""Reads NASDAQ TotalView-ITCH 5.0 files: `kernels.feeds.itch_parser` says what becomes of a message.

What the parser leaves to a book is filled in here: the price and side of events that only name an order. Symbols are
numbered from 0 as their first event comes, and each has the tick that its prices need.
"""

from __future__ import annotations

import numpy as np

from kernels.feeds.itch import ItchError, ItchFeed
from kernels.feeds.itch_parser import PREFIX_BYTES, SIZE_OF_TYPE
from kernels.messages import EVENT
from workbench.errors import InputError
from workbench.workloads.loaded import Parsed
from workbench.workloads.survey import as_ticks, off_tick_notes, survey

_INT32_MAX = 2**31 - 1
_BLOCK_EVENTS = 1 << 14
_USUAL_BYTES = 24  # of a message: few files have shorter ones in the mean, and for these the array of events grows


def looks_like_itch(data: np.ndarray) -> bool:
    """Return whether the first two messages of `data` (uint8) could be ITCH: prefix and type agree with the sizes."""
    at = 0
    for _ in range(2):
        if data.size - at <= PREFIX_BYTES:
            return at > 0  # one message, and nothing behind it but a part of a prefix
        prefix, size = int(data[at]) << 8 | int(data[at + 1]), int(SIZE_OF_TYPE[data[at + PREFIX_BYTES]])
        if not size or prefix not in (0, size):
            return False
        at += PREFIX_BYTES + size
    return True


def parse(data: np.ndarray, path: str) -> Parsed:
    """Parse the ITCH messages in `data` (uint8). Raises InputError with the byte offset where it stops being ITCH."""
    feed = ItchFeed(_BLOCK_EVENTS, cents=False)
    try:
        events = _gather(feed, data)
        feed.finish()
    except ItchError as error:
        raise InputError(f"{path}: {error}") from None
    if not events.size:
        raise InputError(f"{path} is ITCH 5.0 but holds no order, trade or halt: give a file with trading in it")
    prices = events["price_ticks"].view(np.uint32).astype(np.int64)  # as 1/10,000 dollars they have 32 bits
    ticks, off_tick = as_ticks(events, prices)
    notes = off_tick_notes(off_tick)
    big = events["size"] < 0
    if big.any():
        events["size"][big] = 0
        notes += (f"{int(big.sum()):,} sizes are above {_INT32_MAX:,}: they became 0, refused",)
    return Parsed("itch", events, notes + survey(events), feed.symbol_names, tuple(ticks))


def _gather(feed: ItchFeed, data: np.ndarray) -> np.ndarray:
    """Return all events of `data` in one array."""
    events, done = np.zeros(data.size // _USUAL_BYTES + _BLOCK_EVENTS, EVENT), 0
    feed.push(data)
    while count := feed.pull():
        if done + count > events.size:
            larger = np.zeros(2 * events.size, EVENT)
            larger[:done] = events[:done]
            events = larger
        events[done : done + count] = feed.events[:count]
        done += count
    return events[:done]
