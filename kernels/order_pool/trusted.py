"""The pool of `aligned` without marks: it trusts whoever gives back, as `malloc` and ``boost::pool`` do.

Nothing is told of a number that is no slot, or of a slot given back twice: the first writes outside the cache's slots
later, the second hands a slot out twice. Right where the code around cannot do either, as in a book whose orders each
have one slot, checked when the order is. `take`, `give_back` and the rest are those of `aligned`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine.stack import stack_zeros
from kernels.order_pool import _slots, aligned
from kernels.order_pool._bundles import BUNDLE, INNER, link_bundles
from kernels.order_pool._churn import GROUP
from kernels.order_pool._slots import SLOT_WORDS, read, write
from kernels.order_pool._told import TOLD_LENGTH
from kernels.order_pool._treiber import FRESH, LINK, TAG, TOP
from kernels.order_pool.aligned import (
    LEFT_LENGTH,
    PAIR_OF_LINES,
    easy_steps,
    for_lane,
    give_back,
    provide,
    scarce_steps,
    take,
)
from kernels.probe import start, stop

__all__ = ["VARIANT", "empty", "for_lane", "give_back", "read", "replay", "take", "write"]


class TrustedState(NamedTuple):
    """As `aligned.AlignedState`, without ages."""

    slots: np.ndarray
    ends: np.ndarray
    told: np.ndarray
    caches: np.ndarray
    free: np.ndarray
    left: np.ndarray


def allocate(parameters: Mapping[str, int]) -> TrustedState:
    """Return a pool whose slots are all free, as the first thread uses it."""
    state = aligned.allocate(parameters)
    return TrustedState(**{name: array for name, array in state._asdict().items() if name != "ages"})


def reset(state: TrustedState) -> None:
    """Make every slot free at once, without touching one; forget what was told."""
    empty(state)
    state.told[:] = 0


@kernel_jit(_nrt=False)
def empty(state):
    """Make every slot free at once, without touching one (an arena's reset). Not while other threads use the pool."""
    state.ends[TOP] &= ~(TAG - 1)  # the tag stays: a thread that is late must not find the old one
    state.ends[FRESH] = 0
    for lane in range(state.caches.shape[0]):
        state.caches[lane, 0] = 0
    state.left[0] = 0


@kernel_jit(_nrt=False)
def replay(state, churn, out, begin, probe):
    """Do the steps from `begin` on, write to `out` what each did, and return their number. For many threads at once."""
    steps, row = churn.gives.shape[0], state.caches[churn.lane[0]]
    lane = TrustedState(state.slots, state.ends, state.told, state.caches, row[PAIR_OF_LINES:], row[:LEFT_LENGTH])
    left = stack_zeros(LEFT_LENGTH, np.int64)  # the only pointer to it stays here, so LLVM keeps it in a register
    left[0] = lane.left[0]
    own = TrustedState(lane.slots, lane.ends, lane.told, lane.caches, lane.free, left)
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


def _free_slots(state: TrustedState) -> np.ndarray:
    """Return the numbers of the free slots, found by following every list."""
    table = state.slots.reshape(-1, SLOT_WORDS)
    found = list(range(int(state.ends[FRESH]), len(table)))
    for lane in state.caches:
        found += lane[PAIR_OF_LINES : PAIR_OF_LINES + lane[0]].tolist()
    head = int(state.ends[TOP]) & (TAG - 1)
    while head:
        slot = head - 1
        for _ in range(BUNDLE):
            found.append(slot)
            slot = int(table[slot, INNER])
        head = int(table[head - 1, LINK])
    return np.array(found, np.int64)


def export_state(state: TrustedState) -> Canonical:
    """Return the canonical form, as `_slots.export_state`."""
    slots = len(state.slots) // SLOT_WORDS
    taken = np.setdiff1d(np.arange(slots), _free_slots(state))
    return _slots.canonical(slots, taken, state.slots.reshape(-1, SLOT_WORDS), state)


def import_state(state: TrustedState, canonical: Canonical) -> Any:
    """Take over the slots of `canonical`. Raises ValueError, changing nothing, when they do not fit."""
    slots = len(state.slots) // SLOT_WORDS
    taken = _slots.check(canonical, slots)
    reset(state)
    state.slots.reshape(-1, SLOT_WORDS)[taken, : _slots.MARK] = canonical["words"]
    state.told[:TOLD_LENGTH] = canonical["told"]
    rest = link_bundles(state, np.setdiff1d(np.arange(slots), taken))
    state.caches[0, PAIR_OF_LINES : PAIR_OF_LINES + len(rest)] = rest
    state.caches[0, 0] = len(rest)
    state.ends[FRESH] = slots
    return state


VARIANT = Variant(
    name="trusted",
    parent="aligned",
    idea="No marks: nothing is written or compared to tell misuse, as malloc and boost::pool do; two stores, a load "
    "and two branches less for each pair.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
)
