"""A bit for each slot, set while it is free: 64 slots a word, 512 a vector.

A slot is taken out of the word to which one was given back last; when that has none, the lowest one is searched. So low
slots stay in use and high ones untouched, and the slots of a short moment lie close together. The bit is also what
tells a slot that was given back twice, without reading the slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine import vector as v
from kernels.machine.bits import trailing_zeros
from kernels.machine.hints import unlikely
from kernels.machine.memory import aligned
from kernels.order_pool import _slots
from kernels.order_pool._churn import GIVEN, GROUP, TAKEN
from kernels.order_pool._slots import SLOT_WORDS, cold, inline, read, tell, tell_exhausted, write
from kernels.order_pool._told import FOREIGN, FREE_ALREADY, LINES_TOUCHED, REFUSED, WORDS_SCANNED
from kernels.probe import count, start, stop

__all__ = ["VARIANT", "empty", "give_back", "read", "replay", "take", "write"]

LANES = 8  # words of a cache line: a vector, or as many narrower ones as the target needs
_ALL = np.uint64(2**64 - 1)
_ONE = np.uint64(1)
# What `ends` holds: words of `free`.
WARM = 0  # the one that a slot was given back to last, or found by the last search
LOWEST = 1  # no word below this one has a free slot


class BitmapState(NamedTuple):
    """A pool for one thread."""

    slots: np.ndarray  # int64[8 * slots]
    free: np.ndarray  # uint64[words]: bit `i % 64` of word `i // 64` is set while slot `i` is free; whole lines
    ends: np.ndarray  # int64[8]: WARM, LOWEST
    told: np.ndarray  # int64[8]: by `Told`


def allocate(parameters: Mapping[str, int]) -> BitmapState:
    """Return a pool whose slots are all free."""
    slots = parameters["slots"]
    state = BitmapState(
        slots=np.zeros(slots * SLOT_WORDS, np.int64),
        free=aligned(-(-slots // (64 * LANES)) * LANES, np.uint64),
        ends=np.zeros(8, np.int64),
        told=np.zeros(8, np.int64),
    )
    empty(state)
    return state


def reset(state: BitmapState) -> None:
    """Make every slot free, 64 at a time; forget what was told."""
    empty(state)
    state.told[:] = 0


@cold
def find_word(state, probe):
    """Return the lowest word with a free slot, and note it; -1 when there is none."""
    begin = state.ends[LOWEST] & -LANES
    for word in range(begin, state.free.shape[0], LANES):
        found = v.bits(v.load(state.free, np.uint64(word), LANES) != np.uint64(0))
        count(probe, WORDS_SCANNED, LANES)
        if found:
            state.ends[LOWEST] = state.ends[WARM] = word + trailing_zeros(found)
            return state.ends[WARM]
    state.ends[LOWEST] = state.free.shape[0] - 1
    return np.int64(-1)


@inline
def take_counted(state, probe):
    """Do as `take`, counting what an instrumented pool counts."""
    count(probe, LINES_TOUCHED, 2)
    place = state.ends[WARM]
    word = state.free[np.uint64(place)]
    if unlikely(word == np.uint64(0)):
        place = find_word(state, probe)
        if place < 0:
            return tell_exhausted(state.told)
        word = state.free[np.uint64(place)]
    state.free[np.uint64(place)] = word & (word - _ONE)
    return (place << 6) + trailing_zeros(word)


@inline
def give_back_counted(state, slot, probe):
    """Do as `give_back`, counting what an instrumented pool counts."""
    count(probe, LINES_TOUCHED, 2)
    if unlikely(np.uint64(slot) >= np.uint64(state.slots.shape[0] // SLOT_WORDS)):
        count(probe, REFUSED, 1)
        return tell(state.told, FOREIGN)
    place = np.int64(slot) >> 6
    word, bit = state.free[np.uint64(place)], _ONE << np.uint64(slot & 63)
    if unlikely(word & bit != np.uint64(0)):
        count(probe, REFUSED, 1)
        return tell(state.told, FREE_ALREADY)
    state.free[np.uint64(place)] = word | bit
    state.ends[WARM] = place
    state.ends[LOWEST] = min(state.ends[LOWEST], place)
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
    """Make every slot free, 64 at a time (an arena's reset)."""
    slots = state.slots.shape[0] // SLOT_WORDS
    for word in range(state.free.shape[0]):
        left = min(max(slots - 64 * word, 0), 64)
        state.free[word] = np.uint64(0) if left == 0 else _ALL >> np.uint64(64 - left)
    state.ends[WARM] = state.ends[LOWEST] = 0


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


def _is_free(state: BitmapState) -> np.ndarray:
    """Return a boolean for each slot."""
    bits = np.unpackbits(state.free.view(np.uint8), bitorder="little")
    return bits[: len(state.slots) // SLOT_WORDS].astype(bool)


def export_state(state: BitmapState) -> Canonical:
    """Return the canonical form, as `_slots.export_state`."""
    free = _is_free(state)
    return _slots.canonical(len(free), np.flatnonzero(~free), state.slots.reshape(-1, SLOT_WORDS), state)


def import_state(state: BitmapState, canonical: Canonical) -> Any:
    """Take over the slots of `canonical`. Raises ValueError, changing nothing, when they do not fit."""
    taken = _slots.check(canonical, len(state.slots) // SLOT_WORDS)
    reset(state)
    state.slots.reshape(-1, SLOT_WORDS)[taken, : _slots.MARK] = canonical["words"]
    bits = np.unpackbits(state.free.view(np.uint8), bitorder="little")
    bits[taken] = 0
    state.free[:] = np.packbits(bits, bitorder="little").view(np.uint64)
    state.told[: len(canonical["told"])] = canonical["told"]
    return state


VARIANT = Variant(
    name="simd",
    parent="stack",
    idea="A bit for each slot in place of a stack: a free slot is found by wide compares, 512 slots a time, "
    "and a slot given back twice is known from its bit.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
    refuses=lambda parameters: "its bitmap belongs to one thread" if parameters["threads"] > 1 else None,
)
