"""A ring of slots that any number of threads share: claim one, encode in place, publish; decode in place, release.

A slot is a cache line: the first seven words of an ORDER, or an EVENT, and a *sequence* in the last word, which says
whose turn it is (D. Vyukov, "Bounded MPMC queue", 2010). For the position `p` that a slot stands for in this round:

============  ======================================================================
``p``         free: the producer that claims position `p` may write
``p + 1``     published: the consumer that claims position `p` may read
``p + slots``  released: free for the next round
============  ======================================================================

Nobody waits for a lock, and a message is never copied between the one who encodes it and the one who decodes it.
A thread that stops between claim and publish holds up the consumers at its slot, and the producers one round later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels.machine import atomics
from kernels.machine.hints import pause
from kernels.machine.memory import aligned
from kernels.marked import marked_point
from kernels.order_codec import _state
from kernels.order_codec._words import cold, inline

SLOT_SHIFT = 6  # a slot is 64 bytes
SEQUENCE = 7  # the word of a slot that holds its sequence
TAIL, HEAD = 0, 16  # of `ends`: the next position to claim and to take, on lines (and pairs of lines) of their own
ENDS_LENGTH = 32


class RingState(NamedTuple):
    """A codec that encodes into a shared ring. The first three are the same memory."""

    ring: np.ndarray  # uint8[64 * slots]: the `buffer` of `encode` and `decode`
    words: np.ndarray  # uint64[8 * slots], the messages
    sequences: np.ndarray  # int64[8 * slots], of which every eighth is a sequence
    ends: np.ndarray  # int64[ENDS_LENGTH]
    bad: np.ndarray  # int64[threads, BAD_LENGTH]: refusals by `Refusal`
    batch: np.ndarray  # int64[1]: slots that a thread claims at once in a replay


def allocate(parameters: Mapping[str, int]) -> RingState:
    """Return a codec with an empty ring, with room for two batches of every thread, a power of two."""
    slots = 1 << (2 * parameters["threads"] * parameters["batch"] - 1).bit_length()
    wire = _state.allocate(parameters)
    ring = aligned(slots << SLOT_SHIFT, np.uint8)
    state = RingState(
        ring=ring,
        words=ring.view(np.uint64),
        sequences=ring.view(np.int64),
        ends=aligned(ENDS_LENGTH, np.int64),
        bad=wire.bad,
        batch=wire.batch,
    )
    reset(state)
    return state


def reset(state: RingState) -> None:
    """Empty the ring, and forget what was refused."""
    state.bad[:] = 0
    state.ends[:] = 0
    state.words[:] = 0
    state.sequences[SEQUENCE::8] = np.arange(len(state.words) // 8)


def import_state(state: RingState, canonical: Any) -> RingState:
    """Put the refusals of another codec into `state`, as `_state.import_state`; the ring is left as it is."""
    return _state.import_state(state, canonical)


@inline
def _word_of(state, position):
    """Return where the first word of the slot of `position` lies."""
    return (position << 3) & (state.words.shape[0] - 1)


@inline
def claim(state):
    """Claim the next free slot; return where it begins in ``state.ring``, or -1 when the ring is full.

    Then `encode` there, and `publish`.
    """
    return claim_marked(state, None)


@inline
def claim_marked(state, pauses):
    """Do as `claim`, waiting at the marked points where a test wants it."""
    position = atomics.load(state.ends, TAIL, atomics.RELAXED)  # only a guess, which the exchange below proves
    while True:
        word = _word_of(state, position)
        # ACQUIRE, with the RELEASE of `release`: the consumer has read the slot before it is written again
        turn = atomics.load(state.sequences, word + SEQUENCE, atomics.ACQUIRE) - position
        marked_point(pauses)
        if turn == 0:
            # RELAXED: the position alone is shared here; what is in the slot is ordered by its sequence
            seen, done = atomics.compare_exchange(state.ends, TAIL, position, position + 1, atomics.RELAXED)
            if done:
                return word << 3
            position = seen
        elif turn < 0:
            return np.int64(-1)
        else:
            position = atomics.load(state.ends, TAIL, atomics.RELAXED)


@inline
def publish(state, at):
    """Let the consumers see the slot that `claim` gave."""
    word = (at >> 3) + SEQUENCE
    position = atomics.load(state.sequences, word, atomics.RELAXED)  # this thread's own since the claim
    # RELEASE: whoever sees the new sequence sees the message
    atomics.store(state.sequences, word, position + 1, atomics.RELEASE)


@inline
def take_next(state):
    """Take the next published slot; return where it begins in ``state.ring``, or -1 when there is none.

    Then `decode` there, and `release`.
    """
    return take_next_marked(state, None)


@inline
def take_next_marked(state, pauses):
    """Do as `take_next`, waiting at the marked points where a test wants it."""
    position = atomics.load(state.ends, HEAD, atomics.RELAXED)  # only a guess, as in `claim`
    while True:
        word = _word_of(state, position)
        # ACQUIRE, with the RELEASE of `publish`: the message is there
        turn = atomics.load(state.sequences, word + SEQUENCE, atomics.ACQUIRE) - (position + 1)
        marked_point(pauses)
        if turn == 0:
            seen, done = atomics.compare_exchange(state.ends, HEAD, position, position + 1, atomics.RELAXED)
            if done:
                return word << 3
            position = seen
        elif turn < 0:
            return np.int64(-1)
        else:
            position = atomics.load(state.ends, HEAD, atomics.RELAXED)


@inline
def release(state, at):
    """Give back the slot that `take_next` gave, for the next round of the ring."""
    word = (at >> 3) + SEQUENCE
    sequence = atomics.load(state.sequences, word, atomics.RELAXED)  # this thread's own since it was taken
    # RELEASE: what this thread has read was read before the slot is written again
    atomics.store(state.sequences, word, sequence + state.words.shape[0] // 8 - 1, atomics.RELEASE)


@inline
def claim_run(state, count):
    """Claim `count` slots in a row, free or not yet; return the first position. `wait_until_free` before each is used.

    One atomic addition for all of them, which cannot fail. RELAXED: as in `claim`.
    """
    return atomics.add(state.ends, TAIL, count, atomics.RELAXED)


@cold
def wait_until_free(state, position):
    """Wait until the slot of `position`, claimed by this thread, was released; return how many looks that took."""
    looks, word = 0, _word_of(state, position) + SEQUENCE
    while atomics.load(state.sequences, word, atomics.ACQUIRE) != position:  # ACQUIRE: as in `claim`
        looks += 1
        pause()
    return looks
