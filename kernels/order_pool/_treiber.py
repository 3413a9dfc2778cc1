"""A stack that any number of threads share without a lock: one word says which slot is on top, each slot which is next.

R. K. Treiber, "Systems Programming: Coping with Parallelism", IBM RJ 5118 (1986). A thread that takes the top reads
which slot comes next and then swings the top to it, if the top is still the same. *The same* is the trap (ABA): while
the thread was held up, others may have taken the top, and the one below, and given the first back. The top is the same
slot, but what was next is in use by now. So the top carries a tag beside the slot's number, one higher after each slot
that is taken; a tag comes again after 2**32 takes, while one thread is held up between two of its instructions.

The link to the next slot lies in the first word of a free slot, where its user's data are while it is taken. A thread
that is late may read that word while its user writes it: what it reads is nonsense then, and its exchange fails.
"""

from __future__ import annotations

import numpy as np

from kernels.machine import atomics
from kernels.machine.hints import pause, unlikely
from kernels.marked import marked_point
from kernels.order_pool._slots import SLOT_WORDS, inline
from kernels.order_pool._told import CAS_RETRIES, LINES_TOUCHED
from kernels.probe import count

# What `ends` holds, each on a pair of cache lines of its own (int64 elements).
TOP = 0  # tag << 32 | slot + 1; the lower half 0: nothing on the stack
FRESH = 16  # the first slot that was never on the stack
ENDS_LENGTH = 32

LINK = 0  # the word of a free slot that says which is next, plus one
TAG = 1 << 32  # what a take adds to the top
_NUMBER = TAG - 1
# What a thread that lost an exchange leaves to the one that won: it then takes and gives back several slots while the
# top's cache line is its own. Without it the line changes the core at nearly every exchange.
_PAUSES_AFTER_LOSS = 16


@inline
def step_back(probe):
    """Count a lost exchange, and leave the top to others for a moment: nobody is waited for."""
    count(probe, CAS_RETRIES, 1)
    for _ in range(_PAUSES_AFTER_LOSS):
        pause()


@inline
def look(state):
    """Return the top, and the link of its slot: what a take begins with."""
    # ACQUIRE, with the RELEASE of `push`: the link of the slot is there
    top = atomics.load(state.ends, TOP, atomics.ACQUIRE)
    number = top & _NUMBER
    if number == 0:
        return top, np.int64(0)
    # RELAXED: the exchange proves that the top, and with it its link, has not changed since
    return top, atomics.load(state.slots, (number - 1) * SLOT_WORDS + LINK, atomics.RELAXED)


@inline
def swing(state, top, link, tag):
    """Take the slot on top if it is still `top`; return the top that is there now, and whether it was done.

    `tag` is TAG. A stack whose tags stand still, with 0, is only good to show what tags are for.
    """
    # ACQUIRE: what the one who gave the slot back did to it happened before; nothing is published here
    return atomics.compare_exchange(state.ends, TOP, top, ((top & ~_NUMBER) + tag) | (link & _NUMBER), atomics.ACQUIRE)


@inline
def pop(state, tag, probe, pauses):
    """Take the slot on top; return its number, or -1 when the stack is empty."""
    while True:
        top, link = look(state)
        if top & _NUMBER == 0:
            return np.int64(-1)
        marked_point(pauses)
        _seen, done = swing(state, top, link, tag)
        count(probe, LINES_TOUCHED, 2)
        if done:
            return (top & _NUMBER) - 1
        step_back(probe)


@inline
def push_chain(state, first, last, probe, pauses):
    """Put the slots from `first` to `last`, linked already, on the stack; one slot when they are the same."""
    top = atomics.load(state.ends, TOP, atomics.RELAXED)  # only a guess, which the exchange proves
    while True:
        # RELAXED: published by the exchange below
        atomics.store(state.slots, last * SLOT_WORDS + LINK, top & _NUMBER, atomics.RELAXED)
        marked_point(pauses)
        # RELEASE: whoever takes these slots sees their links, and all that was done with them before
        _seen, done = atomics.compare_exchange(state.ends, TOP, top, (top & ~_NUMBER) | (first + 1), atomics.RELEASE)
        count(probe, LINES_TOUCHED, 2)
        if done:
            return
        step_back(probe)
        top = atomics.load(state.ends, TOP, atomics.RELAXED)  # what was seen is old by now


@inline
def never_taken(state, most):
    """Take up to `most` slots that were never on the stack; return the first, and how many (0: there are none left)."""
    slots = state.slots.shape[0] // SLOT_WORDS
    # ACQUIRE: a stack that is looked at afterwards is not older than this
    if unlikely(atomics.load(state.ends, FRESH, atomics.ACQUIRE) >= slots):
        return np.int64(slots), np.int64(0)
    first = atomics.add(state.ends, FRESH, most, atomics.ACQ_REL)  # may run over the end, once for each thread
    return first, max(np.int64(0), min(np.int64(most), slots - first))


@inline
def take_shared(state, tag, probe, pauses):
    """Take a slot from the stack, or else one that was never on it; -1 when none was free at some moment of the call.

    The slots that were never taken only become fewer. So if there were none before the stack was seen empty, then at
    that moment every slot was taken.
    """
    while True:
        # ACQUIRE: read before the top is
        some_left = atomics.load(state.ends, FRESH, atomics.ACQUIRE) < state.slots.shape[0] // SLOT_WORDS
        slot = pop(state, tag, probe, pauses)
        if slot >= 0:
            return slot
        if not some_left:
            return np.int64(-1)
        first, got = never_taken(state, 1)
        if got:
            return first
