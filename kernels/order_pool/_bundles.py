"""Free slots in bundles of 64, handed between the caches of threads and one shared stack.

A bundle is a stack's element (`_treiber`): its first slot carries the link to the next bundle in word 0, and each of
its slots the number of the next one of the bundle in word 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.machine import atomics
from kernels.order_pool._slots import SLOT_WORDS, cold, inline
from kernels.order_pool._treiber import FRESH, LINK, TAG, TOP, never_taken, pop, push_chain

BUNDLE = 64
ROOM = (
    3 * BUNDLE
)  # of a thread's cache: with a bundle in it and room for one, a batch of that many steps needs no check
INNER = 1  # the word of a free slot that says which is the next one of its bundle


class Shared(NamedTuple):
    """What all threads share."""

    slots: np.ndarray
    ends: np.ndarray


@cold
def fetch(shared, free, left, probe, pauses):
    """Put a bundle, or slots that were never taken, below the `left` slots in the cache `free`; return how many it has.

    As many as before when none are free elsewhere. As `_treiber.take_shared`, a bundle at a time.
    """
    while True:
        # ACQUIRE: read before the top is
        some_left = atomics.load(shared.ends, FRESH, atomics.ACQUIRE) < shared.slots.shape[0] // SLOT_WORDS
        slot = pop(shared, TAG, probe, pauses)
        if slot >= 0:
            raise_by(free, left, BUNDLE)
            for i in range(BUNDLE):
                free[BUNDLE - 1 - i] = slot
                slot = shared.slots[slot * SLOT_WORDS + INNER]  # in order by the exchange that took the bundle
            return left + BUNDLE
        if not some_left:
            return left
        first, got = never_taken(shared, BUNDLE)
        if got:
            raise_by(free, left, got)
            for i in range(got):
                free[got - 1 - i] = first + i
            return left + got


@inline
def raise_by(free, left, by):
    """Move the `left` slots of a cache up: those that came back last stay on top."""
    for i in range(left - 1, -1, -1):
        free[i + by] = free[i]


@cold
def hand_over(shared, free, left, probe, pauses):
    """Move the bundle at the bottom of the cache `free`, of `left` slots, to the shared stack; return how many stay."""
    for i in range(BUNDLE):
        shared.slots[free[i] * SLOT_WORDS + INNER] = free[i + 1]  # the last one's is not read
    push_chain(shared, free[0], free[0], probe, pauses)
    for i in range(BUNDLE, left):
        free[i - BUNDLE] = free[i]
    return left - BUNDLE


def link_bundles(state: Any, free: np.ndarray) -> np.ndarray:
    """Put all whole bundles of `free` on the empty shared stack; return the slots that are left over."""
    table = state.slots.reshape(-1, SLOT_WORDS)
    whole = len(free) // BUNDLE
    bundles = free[: whole * BUNDLE].reshape(whole, BUNDLE)
    table[bundles[:, :-1], INNER] = bundles[:, 1:]
    heads = bundles[:, 0]
    if whole:
        table[heads, LINK] = np.append(heads[1:] + 1, 0)
        state.ends[TOP] |= int(heads[0]) + 1
    return free[whole * BUNDLE :]
