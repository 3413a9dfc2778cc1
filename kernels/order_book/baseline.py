"""The order book that a competent engineer writes first: a hash table of orders, sorted levels, one mutex."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.machine.locks import mutex_lock, mutex_unlock, new_mutex
from kernels.messages import BAD_KINDS
from kernels.order_book import _apply, _columns, _sorted, _state
from kernels.order_book._apply import apply, best_level, copy_levels, write_best
from kernels.order_book._public import public
from kernels.probe import start, stop


class BaselineState(NamedTuple):
    """The fields are described where they are used: `_apply`, `_columns`, `_sorted`."""

    control: np.ndarray
    bad: np.ndarray  # int64[BAD_KINDS]
    halted: np.ndarray  # uint8[symbols]
    order_id: np.ndarray
    order_size: np.ndarray
    order_price: np.ndarray
    order_row: np.ndarray
    level_key: np.ndarray
    level_total: np.ndarray
    level_at: np.ndarray
    level_length: np.ndarray
    level_room: np.ndarray
    best: np.ndarray
    mutex: np.ndarray  # uint8[64]: a pthread_mutex_t


_apply.assemble(BaselineState, _columns, _sorted)


def allocate(parameters: Mapping[str, int]) -> BaselineState:
    """Return an empty book."""
    symbols = parameters["symbols"]
    slots = _columns.slots_for(parameters["orders"])
    control = _state.new_control(symbols)
    return BaselineState(
        control=control,
        bad=np.zeros(BAD_KINDS, np.int64),
        halted=np.zeros(symbols, np.uint8),
        best=np.zeros(2 * symbols, np.int64),
        mutex=new_mutex(),
        **_columns.allocate(slots, control),
        **_sorted.allocate(2 * symbols, parameters["levels"], control),
    )


@kernel_jit(_nrt=False)
def replay(state, events, out, begin, probe):
    """Apply ``events[begin:]``, write the best bid and offer after each into `out`; return where the room ended."""
    for i in range(begin, events.shape[0]):
        event = events[np.uint64(i)]
        stamp = start(probe)
        mutex_lock(state.mutex)
        if not apply(state, event, probe):
            mutex_unlock(state.mutex)
            return i
        write_best(state, event, out, i, probe)
        mutex_unlock(state.mutex)
        stop(probe, stamp)
    return events.shape[0]


@kernel_jit
def best(state, symbol):
    """Return ``(bid_ticks, bid_size, ask_ticks, ask_size)`` of a symbol; 0 and 0 for an empty side."""
    bid, ask = best_level(state, 2 * symbol), best_level(state, 2 * symbol + 1)
    return bid & 0x7FFFFFFF, bid >> 32, ask & 0x7FFFFFFF, ask >> 32


@public
def read_best(state, symbol):
    """Return ``(bid_ticks, bid_size, ask_ticks, ask_size, 0)`` of one moment. For any thread: it takes the mutex."""
    mutex_lock(state.mutex)
    bid, ask = best_level(state, 2 * symbol), best_level(state, 2 * symbol + 1)
    mutex_unlock(state.mutex)
    return bid & 0x7FFFFFFF, bid >> 32, ask & 0x7FFFFFFF, ask >> 32, 0


@kernel_jit
def depth(state, symbol, side, n):
    """Return the best `n` levels of one side, best first, as int64[levels, 2] of price and size."""
    levels = np.empty((2, n), np.int64)
    written = copy_levels(state, 2 * symbol + side, levels[0], levels[1])
    return levels[:, :written].T


VARIANT = Variant(
    name="baseline",
    parent=None,
    idea="Sorted arrays of levels with binary search and shift, a hash table of orders, a pthread mutex at each event.",
    allocate=allocate,
    reset=partial(_state.reset, orders=_columns, levels=_sorted),
    replay_from=replay,
    export_state=partial(_state.export_state, orders=_columns),
    import_state=partial(_state.import_state, replay=replay, orders=_columns, levels=_sorted),
    grow=partial(_state.grow, orders=_columns, levels=_sorted),
    read=read_best,
)
