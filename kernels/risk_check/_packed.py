"""An account's exposure in three words, so that three compare-exchanges reserve it: shared by the lock-free variants.

===========  =======================================================================================================
sides        long and short, 32 bits each (`_state.packed_sides`)
open         notional of the open orders above 20 bits of how many there are
next_ns      when the account is back at its rate
===========  =======================================================================================================

The limits are packed alike, so that one word answers for two of them.
"""

from __future__ import annotations

import numpy as np

from kernels.risk_check._rules import hot
from kernels.risk_check._state import OPEN_BITS, OPEN_MASK, unpacked_sides

# Where a row has what; `aligned` has the same words at the same places of its lines.
SWITCH, SIDES, OPEN, NEXT_NS, SIZES, LIMITS, BURST_NS = range(7)
FIELDS = 7
LOCKED_BIT, KILLED_BIT = 1, 2  # of the word SWITCH


@hot
def room(sides, side, position_limit):
    """Return how many shares more the worst case of `side` has room for."""
    long, short = unpacked_sides(sides)
    return position_limit - (short if side != 0 else long)


@hot
def step_of(side, size):
    """Return what is added to `sides` for `size` shares on one side."""
    return size if side != 0 else size << 32


def pack(rows: np.ndarray, words: np.ndarray) -> None:
    """Write `rows`, int64[accounts, 11] of the canonical form, into `words`, int64[accounts, at least FIELDS]."""
    long, short, notional, orders, next_ns, killed, size, position, most_notional, most_open, burst = rows.T
    words[:, SWITCH] = killed * KILLED_BIT
    words[:, SIDES] = (long << 32) + short
    words[:, OPEN] = (notional << OPEN_BITS) | orders
    words[:, NEXT_NS] = next_ns
    words[:, SIZES] = (size << 32) | position
    words[:, LIMITS] = (most_notional << OPEN_BITS) | most_open
    words[:, BURST_NS] = burst


def unpacked(words: np.ndarray) -> np.ndarray:
    """Return the rows of the canonical form, int64[accounts, 11]."""
    short = (words[:, SIDES] & 0xFFFFFFFF).astype(np.uint32).astype(np.int32).astype(np.int64)
    columns = (
        (words[:, SIDES] - short) >> 32,
        short,
        words[:, OPEN] >> OPEN_BITS,
        words[:, OPEN] & OPEN_MASK,
        words[:, NEXT_NS],
        (words[:, SWITCH] & KILLED_BIT) // KILLED_BIT,
        words[:, SIZES] >> 32,
        words[:, SIZES] & 0xFFFFFFFF,
        words[:, LIMITS] >> OPEN_BITS,
        words[:, LIMITS] & OPEN_MASK,
        words[:, BURST_NS],
    )
    return np.stack(columns, axis=1)
