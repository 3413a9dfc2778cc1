"""Slots made once, the free ones on a stack of numbers: the last one given back is the next one taken, still warm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine.hints import unlikely
from kernels.order_pool import _slots
from kernels.order_pool._churn import GIVEN, GROUP, TAKEN
from kernels.order_pool._slots import SLOT_WORDS, inline, read, set_free, set_taken, tell_exhausted, write
from kernels.order_pool._told import LINES_TOUCHED, REFUSED
from kernels.probe import count, start, stop

__all__ = ["VARIANT", "empty", "give_back", "read", "replay", "take", "write"]

FREE, FRESH = 1, 2  # of `ages`: how many numbers are on the stack; the first slot that was never taken at this age


class StackState(NamedTuple):
    """A pool for one thread."""

    slots: np.ndarray  # int64[8 * slots]
    free: np.ndarray  # int64[slots]: the stack
    ages: np.ndarray  # int64[8]: the age, FREE, FRESH
    told: np.ndarray  # int64[8]: by `Told`


def allocate(parameters: Mapping[str, int]) -> StackState:
    """Return a pool whose slots are all free."""
    slots = parameters["slots"]
    return StackState(
        slots=np.zeros(slots * SLOT_WORDS, np.int64),
        free=np.zeros(slots, np.int64),
        ages=_slots.first_ages(),
        told=np.zeros(8, np.int64),
    )


def reset(state: StackState) -> None:
    """Make every slot free at once, without touching one; forget what was told."""
    empty(state)
    state.told[:] = 0


@inline
def take_counted(state, probe):
    """Do as `take`, counting what an instrumented pool counts."""
    ages = state.ages
    count(probe, LINES_TOUCHED, 3)
    if unlikely(ages[FREE] == 0):
        slot = ages[FRESH]
        if slot == state.free.shape[0]:
            return tell_exhausted(state.told)
        ages[FRESH] = slot + 1
    else:
        ages[FREE] -= 1
        slot = state.free[np.uint64(ages[FREE])]
    set_taken(state, slot)
    return slot


@inline
def give_back_counted(state, slot, probe):
    """Do as `give_back`, counting what an instrumented pool counts."""
    count(probe, LINES_TOUCHED, 3)
    if unlikely(not set_free(state, slot)):
        count(probe, REFUSED, 1)
        return False
    state.free[np.uint64(state.ages[FREE])] = slot
    state.ages[FREE] += 1
    return True


@inline
def take(state):
    """Return a slot that was free, a number from 0 on; or -1, counted in ``state.told``, when there is none."""
    return take_counted(state, None)


@inline
def give_back(state, slot):
    """Make a taken slot free again; return False, counted in ``state.told``, when it is no slot or not taken."""
    return give_back_counted(state, slot, None)


@kernel_jit(_nrt=False)
def empty(state):
    """Make every slot free at once, without touching one (an arena's reset)."""
    state.ages[_slots.AGE] += 1
    state.ages[FREE] = 0
    state.ages[FRESH] = 0


@kernel_jit(_nrt=False)
def replay(state, churn, out, begin, probe):
    """Do the steps from `begin` on, write to `out` what each did, and return their number."""
    gives, takes, held = churn.gives, churn.takes, churn.held
    for first in range(begin, gives.shape[0], GROUP):
        stamp = start(probe)
        for i in range(np.uint64(first), np.uint64(min(first + GROUP, gives.shape[0]))):
            did = np.int64(0)
            leaving, arriving = np.int64(gives[i]), np.int64(takes[i])
            if leaving >= 0 and held[np.uint64(leaving)] >= 0:
                slot = held[np.uint64(leaving)]
                own = read(state, slot, 0) == leaving
                did = GIVEN if give_back_counted(state, slot, probe) and own else 0
            if arriving >= 0:
                slot = take_counted(state, probe)
                held[np.uint64(arriving)] = slot
                if slot >= 0:
                    write(state, slot, 0, arriving)
                    did |= TAKEN
            out[i] = did
        stop(probe, stamp)
    return gives.shape[0]


def import_state(state: StackState, canonical: Canonical) -> Any:
    """Take over the slots of `canonical`. Raises ValueError, changing nothing, when they do not fit."""
    _slots.check(canonical, len(state.free))
    reset(state)
    free = _slots.put_back(state, canonical)
    state.free[: len(free)] = free[::-1]
    state.ages[FREE], state.ages[FRESH] = len(free), len(state.free)
    return state


VARIANT = Variant(
    name="stack",
    parent="baseline",
    idea="All slots are made once; the free ones are numbers on a stack, so taking one is a load and a subtraction, "
    "and the slot that was given back last, still in the cache, is taken first.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=_slots.export_state,
    import_state=import_state,
    refuses=lambda parameters: "its stack belongs to one thread" if parameters["threads"] > 1 else None,
)
