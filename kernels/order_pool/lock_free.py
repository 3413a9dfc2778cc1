"""One stack of free slots for all threads, without a lock: a take or a return is one exchange of the top.

A thread that loses an exchange steps back for some pauses, so that the other does several in a row on its own cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine.hints import unlikely
from kernels.machine.memory import aligned
from kernels.order_pool import _slots
from kernels.order_pool._churn import GIVEN, GROUP, TAKEN
from kernels.order_pool._slots import SLOT_WORDS, inline, read, set_free, set_taken, tell_exhausted, write
from kernels.order_pool._told import REFUSED
from kernels.order_pool._treiber import ENDS_LENGTH, FRESH, LINK, TAG, TOP, push_chain, take_shared
from kernels.probe import count, start, stop

__all__ = ["VARIANT", "empty", "give_back", "read", "replay", "take", "write"]


class LockFreeState(NamedTuple):
    """A pool for any number of threads."""

    slots: np.ndarray  # int64[8 * slots]
    ends: np.ndarray  # int64[ENDS_LENGTH]: the top of the stack, and the first slot that was never on it
    ages: np.ndarray  # int64[8]: the age; only `empty` writes here
    told: np.ndarray  # int64[8]: by `Told`


def allocate(parameters: Mapping[str, int]) -> LockFreeState:
    """Return a pool whose slots are all free."""
    return LockFreeState(
        slots=np.zeros(parameters["slots"] * SLOT_WORDS, np.int64),
        ends=aligned(ENDS_LENGTH, np.int64),
        ages=_slots.first_ages(),
        told=np.zeros(8, np.int64),
    )


def reset(state: LockFreeState) -> None:
    """Make every slot free at once, without touching one; forget what was told."""
    empty(state)
    state.told[:] = 0


@inline
def take_marked(state, probe, pauses):
    """Do as `take`, counting what an instrumented pool counts, and waiting at the marked points."""
    slot = take_shared(state, TAG, probe, pauses)
    if unlikely(slot < 0):
        return tell_exhausted(state.told)
    set_taken(state, slot)
    return slot


@inline
def give_back_marked(state, slot, probe, pauses):
    """Do as `give_back`, counting what an instrumented pool counts, and waiting at the marked points."""
    if unlikely(not set_free(state, slot)):
        count(probe, REFUSED, 1)
        return False
    push_chain(state, slot, slot, probe, pauses)
    return True


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


@kernel_jit(_nrt=False)
def replay(state, churn, out, begin, probe):
    """Do the steps from `begin` on, write to `out` what each did, and return their number. For many threads at once."""
    gives, takes, held = churn.gives, churn.takes, churn.held
    for first in range(begin, gives.shape[0], GROUP):
        stamp = start(probe)
        for i in range(np.uint64(first), np.uint64(min(first + GROUP, gives.shape[0]))):
            did = np.int64(0)
            leaving, arriving = np.int64(gives[i]), np.int64(takes[i])
            if leaving >= 0 and held[np.uint64(leaving)] >= 0:
                slot = held[np.uint64(leaving)]
                own = read(state, slot, 0) == leaving
                did = GIVEN if give_back_marked(state, slot, probe, None) and own else 0
            if arriving >= 0:
                slot = take_marked(state, probe, None)
                held[np.uint64(arriving)] = slot
                if slot >= 0:
                    write(state, slot, 0, arriving)
                    did |= TAKEN
            out[i] = did
        stop(probe, stamp)
    return gives.shape[0]


def import_state(state: LockFreeState, canonical: Canonical) -> Any:
    """Take over the slots of `canonical`. Raises ValueError, changing nothing, when they do not fit."""
    slots = len(state.slots) // SLOT_WORDS
    _slots.check(canonical, slots)
    reset(state)
    free = _slots.put_back(state, canonical)
    link_up(state, free)
    state.ends[FRESH] = slots
    return state


def link_up(state: Any, free: np.ndarray) -> None:
    """Make a stack of `free`, its first element on top."""
    links = np.append(free[1:] + 1, 0) if len(free) else free
    state.slots.reshape(-1, SLOT_WORDS)[free, LINK] = links
    state.ends[TOP] |= int(free[0]) + 1 if len(free) else 0


VARIANT = Variant(
    name="lock_free",
    parent="stack",
    idea="The free slots are a linked stack whose top is swung by one compare-exchange, with a tag against ABA: any "
    "number of threads take and give back, and none ever waits for another.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=_slots.export_state,
    import_state=import_state,
)
