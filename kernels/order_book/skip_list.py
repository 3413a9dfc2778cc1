"""The order book whose levels lie in a concurrent skip list: the classic lock-free design, for comparison.

One thread replays events, because the table of orders has one writer; `read_best` and `read_depth` may run in other
threads at any time, and `_skip_list.change` lets several threads change levels. A reader follows the links while they
change under it and never waits, but what it returns is not one moment of the book: each level is right when it is read.
A consistent snapshot of several levels is what a sequence lock gives and a skip list does not (`lock_free`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.machine import atomics
from kernels.machine.atomics import RELAXED
from kernels.messages import BAD_KINDS
from kernels.order_book import _apply, _columns, _skip_levels, _state
from kernels.order_book._apply import apply, best_level, copy_levels, hot, level_key, write_best
from kernels.order_book._public import public
from kernels.order_book._reclaim import KEY, pin, unpin, word_at
from kernels.order_book._skip_list import READER, TAIL, copy_row, first_level
from kernels.probe import start, stop


class SkipListState(NamedTuple):
    """The fields are described where they are used: `_apply`, `_columns`, `_skip_list`, `_reclaim`."""

    control: np.ndarray
    bad: np.ndarray  # int64[BAD_KINDS]
    halted: np.ndarray  # uint8[symbols]
    order_id: np.ndarray
    order_size: np.ndarray
    order_price: np.ndarray
    order_row: np.ndarray
    nodes: np.ndarray
    rows: np.ndarray
    epoch: np.ndarray
    slots: np.ndarray


_apply.assemble(SkipListState, _columns, _skip_levels)


def allocate(parameters: Mapping[str, int]) -> SkipListState:
    """Return an empty book."""
    symbols = parameters["symbols"]
    slots = _columns.slots_for(parameters["orders"])
    control = _state.new_control(symbols)
    return SkipListState(
        control=control,
        bad=np.zeros(BAD_KINDS, np.int64),
        halted=np.zeros(symbols, np.uint8),
        **_columns.allocate(slots, control),
        **_skip_levels.allocate(2 * symbols, parameters["levels"]),
    )


@kernel_jit(_nrt=False)
def replay(state, events, out, begin, probe):
    """Apply ``events[begin:]``, write the best bid and offer after each into `out`; return where the room ended."""
    for i in range(begin, events.shape[0]):
        event = events[np.uint64(i)]
        stamp = start(probe)
        if not apply(state, event, probe):
            return i
        write_best(state, event, out, i, probe)
        stop(probe, stamp)
    return events.shape[0]


@kernel_jit
def best(state, symbol):
    """Return ``(bid_ticks, bid_size, ask_ticks, ask_size)`` of a symbol; 0 and 0 for an empty side."""
    bid, ask = best_level(state, 2 * symbol), best_level(state, 2 * symbol + 1)
    return bid & 0x7FFFFFFF, bid >> 32, ask & 0x7FFFFFFF, ask >> 32


@kernel_jit
def depth(state, symbol, side, n):
    """Return the best `n` levels of one side, best first, as int64[levels, 2] of price and size."""
    levels = np.empty((2, n), np.int64)
    written = copy_levels(state, 2 * symbol + side, levels[0], levels[1])
    return levels[:, :written].T


@hot
def _read_level(state, row):
    """Return price and size of the best level of `row`, zeros when it is empty. The caller is pinned."""
    node, total = first_level(state.nodes, row, None)
    if node == TAIL:
        return 0, 0
    key = atomics.load(state.nodes, word_at(node, KEY), RELAXED)  # RELAXED: written before the node was linked
    return level_key(key, row), total


@public
def read_best(state, symbol, reader=READER):
    """Return ``(bid_ticks, bid_size, ask_ticks, ask_size, 0)``: each side as it was when it was read, bids first.

    For threads beside the writer, each with a number of its own as `reader` (1 .. 7). Never has to begin again.
    """
    pin(state, reader)
    bid_ticks, bid_size = _read_level(state, 2 * symbol)
    ask_ticks, ask_size = _read_level(state, 2 * symbol + 1)
    unpin(state, reader)
    return bid_ticks, bid_size, ask_ticks, ask_size, 0


@public
def read_depth(state, symbol, side, prices, sizes, reader=READER):
    """Write the best levels of one side, best first, until the arrays are full; return how many. As `read_best`."""
    pin(state, reader)
    written = copy_row(state.nodes, 2 * symbol + side, prices, sizes, None)
    unpin(state, reader)
    return written


VARIANT = Variant(
    name="skip_list",
    parent="baseline",
    idea="Levels in a concurrent lock-free skip list with epoch-based reuse of nodes instead of a mutex: readers never "
    "wait and several threads can change levels. Not faster with one thread: the classic design, for comparison.",
    allocate=allocate,
    reset=partial(_state.reset, orders=_columns, levels=_skip_levels),
    replay_from=replay,
    export_state=partial(_state.export_state, orders=_columns),
    import_state=partial(_state.import_state, replay=replay, orders=_columns, levels=_skip_levels),
    grow=partial(_state.grow, orders=_columns, levels=_skip_levels),
    read=read_best,
)
