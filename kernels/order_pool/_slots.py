"""The slots themselves, and what every pool tells of misuse.

A slot is 64 bytes, 8 words: the first 7 belong to whoever has taken it (an ORDER ends in the seventh), the last one to
the pool. It holds the number of the pool's *age* while the slot is taken. Emptying the whole pool makes it one year
older: then no slot is taken any more, and none of them had to be touched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from kernels._jit import kernel_jit
from kernels.catalog import Canonical
from kernels.machine import atomics
from kernels.order_pool._told import EXHAUSTED, FOREIGN, FREE_ALREADY, TOLD_LENGTH

SLOT_WORDS = 8
MARK = 7  # the word that belongs to the pool
AGE = 0  # of `state.ages`

inline = kernel_jit(forceinline=True, _nrt=False)
cold = kernel_jit(forceinline=False, _nrt=False)


@inline
def read(state, slot, word):
    """Return word number `word`, 0 to 6, of a slot that was taken."""
    return state.slots[np.uint64(slot * SLOT_WORDS + word)]


@inline
def write(state, slot, word, value):
    """Set word number `word`, 0 to 6, of a slot that was taken."""
    state.slots[np.uint64(slot * SLOT_WORDS + word)] = value


def set_taken(state: Any, slot: Any) -> Any:
    """Note that the pool has handed out `slot`, in a state with marks. For compiled code only."""


def set_free(state: Any, slot: Any) -> Any:
    """Note that `slot` came back; return False, changing nothing, when it is no slot or was free already.

    Two threads that give back the same slot at the very same moment may both hear True: that is not detected. A state
    without ``ages`` has no marks: it trusts whoever gives back, and always says True. For compiled code only.
    """


_OPTIONS: Any = {"nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": True}


@overload(set_taken, jit_options=_OPTIONS)
def _set_taken(state, slot):
    if "ages" not in state.fields:
        return lambda state, slot: None

    def mark(state, slot):
        state.slots[np.uint64(slot * SLOT_WORDS + MARK)] = state.ages[AGE]

    return mark


@overload(set_free, jit_options=_OPTIONS)
def _set_free(state, slot):
    if "ages" not in state.fields:
        return lambda state, slot: True

    def unmark(state, slot):
        if np.uint64(slot) >= np.uint64(state.slots.shape[0] // SLOT_WORDS):
            return tell(state.told, FOREIGN)
        place = np.uint64(slot * SLOT_WORDS + MARK)
        if state.slots[place] != state.ages[AGE]:
            return tell(state.told, FREE_ALREADY)
        state.slots[place] = 0
        return True

    return unmark


@cold
def tell(told, what):
    """Count what went wrong, and return False. Takes one array, so that the rest of a state may lie in registers."""
    atomics.add(told, what, 1, atomics.RELAXED)  # a count, which orders nothing
    return False


@cold
def tell_exhausted(told):
    """Count that there was no free slot, and return -1."""
    atomics.add(told, EXHAUSTED, 1, atomics.RELAXED)  # a count, which orders nothing
    return np.int64(-1)


def taken_slots(state: Any) -> np.ndarray:
    """Return the numbers of the slots that are taken, in order."""
    marks = state.slots.reshape(-1, SLOT_WORDS)[:, MARK]
    return np.flatnonzero(marks == state.ages[AGE])


def export_state(state: Any) -> Canonical:
    """Return the canonical form: which slots are taken, what their owners wrote, and what was told."""
    return canonical(len(state.slots) // SLOT_WORDS, taken_slots(state), state.slots.reshape(-1, SLOT_WORDS), state)


def canonical(slots: int, taken: np.ndarray, words: np.ndarray, state: Any) -> Canonical:
    """Return the canonical form: ``slots`` int64[1], ``taken`` int64[n], ``words`` int64[n, 7], ``told`` int64[3]."""
    return {
        "slots": np.array([slots]),
        "taken": taken.astype(np.int64),
        "words": words[taken, :MARK].astype(np.int64),
        "told": state.told[:TOLD_LENGTH].copy(),
    }


def check(canonical: Canonical, slots: int) -> np.ndarray:
    """Return the taken slots of a canonical state. Raises ValueError for what a pool of `slots` cannot hold."""
    for name in ("slots", "taken", "words", "told"):
        if name not in canonical:
            raise ValueError(f"order_pool: a canonical state has 'slots', 'taken', 'words', 'told'; {name!r} is absent")
    taken = canonical["taken"]
    if canonical["slots"].tolist() != [slots]:
        raise ValueError(f"order_pool: the canonical state is of {canonical['slots'].tolist()} slots, this of {slots}")
    fits = taken.ndim == 1 and canonical["words"].shape == (len(taken), MARK) and (np.diff(taken) > 0).all()
    if not fits or (len(taken) and not (taken[0] >= 0 and taken[-1] < slots)):
        raise ValueError("order_pool: the taken slots must be sorted, each once and with 7 words, within the pool")
    if canonical["told"].shape != (TOLD_LENGTH,) or (canonical["told"] < 0).any():
        raise ValueError(f"order_pool: 'told' must be {TOLD_LENGTH} counts")
    return taken


def put_back(state: Any, canonical: Canonical) -> np.ndarray:
    """Mark and fill the taken slots of a checked canonical state in a pool that was reset; return the free ones."""
    table, taken = state.slots.reshape(-1, SLOT_WORDS), canonical["taken"]
    table[taken, :MARK] = canonical["words"]
    table[taken, MARK] = state.ages[AGE]
    state.told[:TOLD_LENGTH] = canonical["told"]
    return np.setdiff1d(np.arange(len(table)), taken)


def grow_older(state: Any) -> None:
    """Make every slot free at once, without touching one; forget what was told."""
    state.ages[AGE] += 1
    state.told[:] = 0


def first_ages() -> np.ndarray:
    """Return the age of a new pool: 1, as the marks of new slots are 0."""
    ages = np.zeros(8, np.int64)
    ages[AGE] = 1
    return ages
