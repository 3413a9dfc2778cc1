"""An allocation for each order: what one writes first, with a table that finds an order by its number, and a mutex."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine.hints import unlikely
from kernels.machine.locks import mutex_lock, mutex_unlock, new_mutex
from kernels.order_pool import _slots
from kernels.order_pool._churn import GIVEN, GROUP, TAKEN
from kernels.order_pool._objects import keep, let_go, set_word_at, word_at
from kernels.order_pool._slots import MARK, SLOT_WORDS, inline, tell, tell_exhausted
from kernels.order_pool._told import FOREIGN, FREE_ALREADY, LINES_TOUCHED, REFUSED
from kernels.probe import count, start, stop

__all__ = ["VARIANT", "empty", "give_back", "read", "replay", "take", "write"]

FREE = 0  # of `ends`: how many numbers are on the stack
BLOCK, DATA = 0, 1  # what the table says of an order: its memory, and where its words begin
_tables: dict[int, np.ndarray] = {}  # by address


class ObjectState(NamedTuple):
    """A pool for any number of threads.

    The table lies outside: a copy of the state must not hold addresses, which may be those of freed memory by the time
    that it is put back. What is in the table and what `free` and `taken` say may then differ, and nothing relies on it.
    """

    home: np.ndarray  # int64[1]: where the table is, int64[slots, 2] of BLOCK and DATA; 0: no memory now
    free: np.ndarray  # int64[slots]: numbers that no order has, a stack
    taken: np.ndarray  # uint8[slots]
    ends: np.ndarray  # int64[8]: FREE
    told: np.ndarray  # int64[8]: by `Told`
    mutex: np.ndarray  # uint8[64]: a pthread_mutex_t


def allocate(parameters: Mapping[str, int]) -> ObjectState:
    """Return a pool without any order; its table and their memory go when the state goes."""
    slots = parameters["slots"]
    table = np.zeros((slots, 2), np.int64)
    home = np.array([table.ctypes.data])
    _tables[table.ctypes.data] = table
    weakref.finalize(home, _forget, table.ctypes.data)
    state = ObjectState(
        home=home,
        free=np.arange(slots - 1, -1, -1),
        taken=np.zeros(slots, np.uint8),
        ends=np.zeros(8, np.int64),
        told=np.zeros(8, np.int64),
        mutex=new_mutex(),
    )
    state.ends[FREE] = slots
    return state


def _forget(address: int) -> None:
    table = _tables.pop(address)
    drop_all(table)


def reset(state: ObjectState) -> None:
    """Free every order's memory; forget what was told."""
    empty(state)
    state.told[:] = 0


@kernel_jit(forceinline=False, _nrt=True)
def drop(table, slot):
    """Free the memory of one order, if it has any."""
    block = word_at(table, 2 * slot + BLOCK)
    if block != 0:
        set_word_at(table, 2 * slot + BLOCK, 0)
        set_word_at(table, 2 * slot + DATA, 0)
        let_go(block)


@kernel_jit(forceinline=False, _nrt=True)
def drop_all(table):
    """Free the memory of all orders of a table that goes."""
    for slot in range(table.shape[0]):
        if table[slot, BLOCK] != 0:
            let_go(table[slot, BLOCK])


@inline
def data_of(state, slot):
    """Return where the words of an order are, with new memory for one that came back with an older state."""
    table = state.home[0]
    if unlikely(word_at(table, 2 * slot + DATA) == 0):
        furnish(table, slot)
    return word_at(table, 2 * slot + DATA)


@kernel_jit(forceinline=False, _nrt=True)
def furnish(table, slot):
    """Allocate the memory of one order."""
    words = np.empty(MARK, np.int64)
    block, data = keep(words)
    set_word_at(table, 2 * slot + BLOCK, block)
    set_word_at(table, 2 * slot + DATA, data)


@inline
def read(state, slot, word):
    """Return word number `word`, 0 to 6, of a slot that was taken."""
    return word_at(data_of(state, slot), word)


@inline
def write(state, slot, word, value):
    """Set word number `word`, 0 to 6, of a slot that was taken."""
    set_word_at(data_of(state, slot), word, value)


@inline
def take_counted(state, probe):
    """Do as `take`, counting what an instrumented pool counts."""
    count(probe, LINES_TOUCHED, 4)
    mutex_lock(state.mutex)
    if unlikely(state.ends[FREE] == 0):
        mutex_unlock(state.mutex)
        return tell_exhausted(state.told)
    state.ends[FREE] -= 1
    slot = state.free[state.ends[FREE]]
    state.taken[slot] = 1
    drop(state.home[0], slot)  # what an older state left behind; as a rule there is nothing
    furnish(state.home[0], slot)
    mutex_unlock(state.mutex)
    return slot


@inline
def give_back_counted(state, slot, probe):
    """Do as `give_back`, counting what an instrumented pool counts."""
    count(probe, LINES_TOUCHED, 4)
    if unlikely(slot < 0 or slot >= state.taken.shape[0]):
        count(probe, REFUSED, 1)
        return tell(state.told, FOREIGN)
    mutex_lock(state.mutex)
    if unlikely(state.taken[slot] == 0):
        mutex_unlock(state.mutex)
        count(probe, REFUSED, 1)
        return tell(state.told, FREE_ALREADY)
    drop(state.home[0], slot)
    state.taken[slot] = 0
    state.free[state.ends[FREE]] = slot
    state.ends[FREE] += 1
    mutex_unlock(state.mutex)
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
    """Free every order's memory. Not while other threads use the pool."""
    slots = state.taken.shape[0]
    for slot in range(slots):
        drop(state.home[0], slot)
        state.taken[slot] = 0
        state.free[slot] = slots - 1 - slot
    state.ends[FREE] = slots


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


def export_state(state: ObjectState) -> Canonical:
    """Return the canonical form, as `_slots.export_state`."""
    taken = np.flatnonzero(state.taken)
    words = np.zeros((len(state.taken), SLOT_WORDS), np.int64)
    for slot in taken.tolist():
        words[slot, :MARK] = [read(state, slot, word) for word in range(MARK)]
    return _slots.canonical(len(words), taken, words, state)


def import_state(state: ObjectState, canonical: Canonical) -> Any:
    """Take over the slots of `canonical`. Raises ValueError, changing nothing, when they do not fit."""
    taken = _slots.check(canonical, len(state.taken))
    reset(state)
    state.taken[taken] = 1
    free = np.flatnonzero(state.taken == 0)
    state.free[: len(free)] = free[::-1]
    state.ends[FREE] = len(free)
    for slot, words in zip(taken.tolist(), canonical["words"].tolist(), strict=True):
        for word, value in enumerate(words):
            write(state, slot, word, value)
    state.told[: len(canonical["told"])] = canonical["told"]
    return state


VARIANT = Variant(
    name="baseline",
    parent=None,
    idea="An allocation for each order, freed when it goes, and a list of free numbers behind a mutex.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
)
