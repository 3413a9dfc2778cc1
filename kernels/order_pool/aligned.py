"""Slots of one cache line each, and a cache of free ones for each thread: the shared stack is met once in 64 times.

A thread takes from its own cache and gives back to it. When that is empty it fetches a *bundle* of 64 slots at once,
and when it is full it hands one over: one exchange of the shared top moves 64 slots (J. Bonwick, "Magazines and Vmem",
2001). Each cache begins on a pair of lines of its own, and no slot shares a line with another: what one thread writes
never takes a line away from another.

`take` and `give_back` use the cache that the state names: the first thread's, until `for_lane` gives the state of
another thread. While free slots lie in the caches of others, a thread may find none: up to 192 for each other thread.

`replay` sees to it once in 64 steps that the cache has what so many may need, and room for what they may bring; the
steps then ask no more. And the count of the cache lies in a local array meanwhile, which LLVM turns into a register:
else each take would wait for the count that the return before it stored. A loop of one's own may do the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine.hints import unlikely
from kernels.machine.memory import CACHE_LINE_BYTES, aligned
from kernels.machine.stack import stack_zeros
from kernels.order_pool import _slots
from kernels.order_pool._bundles import BUNDLE, ROOM, Shared, fetch, hand_over, link_bundles
from kernels.order_pool._churn import GIVEN, GROUP, TAKEN
from kernels.order_pool._slots import SLOT_WORDS, cold, inline, read, set_free, set_taken, tell_exhausted, write
from kernels.order_pool._told import LINES_TOUCHED, REFILLS, REFUSED
from kernels.order_pool._treiber import ENDS_LENGTH, FRESH, TAG, TOP
from kernels.probe import count, start, stop

__all__ = ["VARIANT", "empty", "for_lane", "give_back", "read", "replay", "take", "write"]

PAIR_OF_LINES = 16  # elements: what the processor fetches together
ROW = PAIR_OF_LINES + ROOM  # elements of a thread's cache: the count on a pair of lines, then the slots
LEFT_LENGTH = 8


class AlignedState(NamedTuple):
    """A pool for as many threads as it was built for. `free` and `left` are those of one lane."""

    slots: np.ndarray  # int64[8 * slots], on cache lines
    ends: np.ndarray  # int64[ENDS_LENGTH]: the top of the stack of bundles, and the first slot never handed out
    ages: np.ndarray  # int64[8]: the age; only `empty` writes here
    told: np.ndarray  # int64[8]: by `Told`
    caches: np.ndarray  # int64[threads, ROW]: the free slots of each thread
    free: np.ndarray  # int64[ROOM]: this lane's free slots, a part of `caches`
    left: np.ndarray  # int64[LEFT_LENGTH]: how many they are, a part of `caches`


def allocate(parameters: Mapping[str, int]) -> AlignedState:
    """Return a pool whose slots are all free, as the first thread uses it."""
    caches = aligned((parameters["threads"], ROW), np.int64, 2 * CACHE_LINE_BYTES)
    return AlignedState(
        slots=aligned(parameters["slots"] * SLOT_WORDS, np.int64),
        ends=aligned(ENDS_LENGTH, np.int64, 2 * CACHE_LINE_BYTES),
        ages=_slots.first_ages(),
        told=aligned(8, np.int64),
        caches=caches,
        free=caches[0, PAIR_OF_LINES:],
        left=caches[0, :LEFT_LENGTH],
    )


def reset(state: AlignedState) -> None:
    """Make every slot free at once, without touching one; forget what was told."""
    empty(state)
    state.told[:] = 0


def for_lane(state: Any, lane: int) -> Any:
    """Return the state as the thread number `lane` uses it, from 0 to the parameter ``threads`` less one.

    For Python: a compiled function without reference counts must not return arrays to one that has them.
    """
    own = state.caches[lane]
    return state._replace(free=own[PAIR_OF_LINES:], left=own[:LEFT_LENGTH])


@inline
def provide(state, probe):
    """Let the cache have at least a bundle, and room for one; return False where so many are not to be had.

    Then up to BUNDLE calls of `take_provided` and `give_back_provided` may follow.
    """
    left = state.left[0]
    shared = Shared(state.slots, state.ends)
    if unlikely(left < BUNDLE):
        count(probe, REFILLS, 1)
        left = fetch(shared, state.free, left, probe, None)
    elif unlikely(left > ROOM - BUNDLE):
        count(probe, REFILLS, 1)
        left = hand_over(shared, state.free, left, probe, None)
    state.left[0] = left
    return left >= BUNDLE


@inline
def take_provided(state, probe):
    """Take a slot out of the cache, which has one."""
    count(probe, LINES_TOUCHED, 3)
    left = state.left[0] - 1
    slot = state.free[np.uint64(left)]
    state.left[0] = left
    set_taken(state, slot)
    return slot


@inline
def give_back_provided(state, slot, probe):
    """Give `slot` back to the cache, which has room for it; False when it is no slot or not taken."""
    count(probe, LINES_TOUCHED, 3)
    if unlikely(not set_free(state, slot)):  # always true in a pool without marks
        count(probe, REFUSED, 1)
        return False
    left = state.left[0]
    state.free[np.uint64(left)] = slot
    state.left[0] = left + 1
    return True


@inline
def take_marked(state, probe, pauses):
    """Do as `take`, counting what an instrumented pool counts, and waiting at the marked points."""
    if unlikely(state.left[0] == 0):
        count(probe, REFILLS, 1)
        left = fetch(Shared(state.slots, state.ends), state.free, np.int64(0), probe, pauses)
        if left == 0:
            return tell_exhausted(state.told)
        state.left[0] = left
    return take_provided(state, probe)


@inline
def give_back_marked(state, slot, probe, pauses):
    """Do as `give_back`, counting what an instrumented pool counts, and waiting at the marked points."""
    if unlikely(state.left[0] == ROOM):
        count(probe, REFILLS, 1)
        state.left[0] = hand_over(Shared(state.slots, state.ends), state.free, np.int64(ROOM), probe, pauses)
    return give_back_provided(state, slot, probe)


@inline
def take(state):
    """Return a slot that was free, a number from 0 on; or -1, counted in ``state.told``, when there is none."""
    return take_marked(state, None, None)


@inline
def give_back(state, slot):
    """Make a taken slot free again; return False, counted in ``state.told``, when it is no slot or not taken."""
    return give_back_marked(state, slot, None, None)


@kernel_jit(_nrt=False)
def empty(state):
    """Make every slot free at once, without touching one (an arena's reset). Not while other threads use the pool."""
    state.ages[_slots.AGE] += 1
    state.ends[TOP] &= ~(TAG - 1)  # the tag stays: a thread that is late must not find the old one
    state.ends[FRESH] = 0
    for lane in range(state.caches.shape[0]):
        state.caches[lane, 0] = 0
    state.left[0] = 0  # the same memory, but after a restore from a snapshot of another size


@inline
def easy_steps(state, churn, out, first, last, probe):
    """Do the steps from `first` to `last`, at most BUNDLE, of a pool that has provided for them."""
    gives, takes, held = churn.gives, churn.takes, churn.held
    for i in range(np.uint64(first), np.uint64(last)):
        did = np.int64(0)
        leaving, arriving = np.int64(gives[i]), np.int64(takes[i])
        if leaving >= 0 and held[np.uint64(leaving)] >= 0:
            slot = held[np.uint64(leaving)]
            own = read(state, slot, 0) == leaving
            did = GIVEN if give_back_provided(state, slot, probe) and own else 0
        if arriving >= 0:
            slot = take_provided(state, probe)
            held[np.uint64(arriving)] = slot
            write(state, slot, 0, arriving)
            did |= TAKEN
        out[i] = did


@cold
def scarce_steps(state, churn, out, first, last, probe):
    """Do the steps from `first` to `last` of a pool that may have no slot left."""
    gives, takes, held = churn.gives, churn.takes, churn.held
    for i in range(first, last):
        did = np.int64(0)
        leaving, arriving = np.int64(gives[i]), np.int64(takes[i])
        if leaving >= 0 and held[leaving] >= 0:
            slot = held[leaving]
            own = read(state, slot, 0) == leaving
            did = GIVEN if give_back_marked(state, slot, probe, None) and own else 0
        if arriving >= 0:
            slot = take_marked(state, probe, None)
            held[arriving] = slot
            if slot >= 0:
                write(state, slot, 0, arriving)
                did |= TAKEN
        out[i] = did


@kernel_jit(_nrt=False)
def replay(state, churn, out, begin, probe):
    """Do the steps from `begin` on, write to `out` what each did, and return their number. For many threads at once."""
    steps, row = churn.gives.shape[0], state.caches[churn.lane[0]]
    lane = AlignedState(
        state.slots, state.ends, state.ages, state.told, state.caches, row[PAIR_OF_LINES:], row[:LEFT_LENGTH]
    )
    # The only pointers to these stay here, so LLVM keeps what they hold in registers.
    left, ages = stack_zeros(LEFT_LENGTH, np.int64), stack_zeros(LEFT_LENGTH, np.int64)
    left[0], ages[_slots.AGE] = lane.left[0], lane.ages[_slots.AGE]
    own = AlignedState(lane.slots, lane.ends, ages, lane.told, lane.caches, lane.free, left)
    for first in range(begin, steps, GROUP):
        stamp = start(probe)
        last = min(first + GROUP, steps)
        if provide(own, probe):
            easy_steps(own, churn, out, first, last, probe)
        else:
            lane.left[0] = left[0]
            scarce_steps(lane, churn, out, first, last, probe)
            left[0] = lane.left[0]
        stop(probe, stamp)
    lane.left[0] = left[0]
    return steps


assert GROUP <= BUNDLE


def import_state(state: AlignedState, canonical: Canonical) -> Any:
    """Take over the slots of `canonical`. Raises ValueError, changing nothing, when they do not fit."""
    slots = len(state.slots) // SLOT_WORDS
    _slots.check(canonical, slots)
    reset(state)
    rest = link_bundles(state, _slots.put_back(state, canonical))
    state.caches[0, PAIR_OF_LINES : PAIR_OF_LINES + len(rest)] = rest
    state.caches[0, 0] = len(rest)
    state.ends[FRESH] = slots
    return state


VARIANT = Variant(
    name="aligned",
    parent="lock_free",
    idea="A slot is a cache line, and each thread has a cache of free slots on lines of its own, whose count stays in "
    "a register during a batch: the shared stack is met once in 64 times.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=_slots.export_state,
    import_state=import_state,
)
