"""The ladder without its bitmap: wide compares find the next best level, vectors sum the depth."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.messages import BAD_KINDS
from kernels.order_book import _apply, _columns, _state, _wide_levels, features
from kernels.order_book._apply import apply, best_level, copy_levels, write_best
from kernels.probe import start, stop


class SimdState(NamedTuple):
    """The fields are described where they are used: `_apply`, `_columns`, `_wide_levels`, `_sorted`."""

    control: np.ndarray
    bad: np.ndarray  # int64[BAD_KINDS]
    halted: np.ndarray  # uint8[symbols]
    order_id: np.ndarray
    order_size: np.ndarray
    order_price: np.ndarray
    order_row: np.ndarray
    row_hot: np.ndarray
    row_misses: np.ndarray
    window_total: np.ndarray
    level_key: np.ndarray
    level_total: np.ndarray
    level_at: np.ndarray
    level_length: np.ndarray
    level_room: np.ndarray


_apply.assemble(SimdState, _columns, _wide_levels)
features.give_sums(SimdState, _wide_levels.sum_levels)


def allocate(parameters: Mapping[str, int]) -> SimdState:
    """Return an empty book."""
    symbols = parameters["symbols"]
    slots = _columns.slots_for(parameters["orders"])
    control = _state.new_control(symbols)
    return SimdState(
        control=control,
        bad=np.zeros(BAD_KINDS, np.int64),
        halted=np.zeros(symbols, np.uint8),
        **_columns.allocate(slots, control),
        **_wide_levels.allocate(2 * symbols, parameters["levels"], parameters["window_ticks"], control, np.zeros),
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


VARIANT = Variant(
    name="simd",
    parent="ladder",
    idea="Of the bitmap only the word around the best level is kept, in the row's own line; the others are computed by "
    "wide compares of the sizes when the best level moves there. Depth is summed by vectors.",
    allocate=allocate,
    reset=partial(_state.reset, orders=_columns, levels=_wide_levels),
    replay_from=replay,
    export_state=partial(_state.export_state, orders=_columns),
    import_state=partial(_state.import_state, replay=replay, orders=_columns, levels=_wide_levels),
    grow=partial(_state.grow, orders=_columns, levels=_wide_levels),
)
