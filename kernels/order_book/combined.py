"""The packed orders of `aligned` and the levels of `simd`, in one straight loop for the ordinary messages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.machine.memory import aligned
from kernels.messages import BAD_KINDS
from kernels.order_book import _apply, _entries, _state, _straight, _wide_levels, features
from kernels.order_book._apply import best_level, copy_levels


class CombinedState(NamedTuple):
    """The fields are described where they are used: `_apply`, `_entries`, `_wide_levels`, `_sorted`."""

    control: np.ndarray
    bad: np.ndarray  # int64[BAD_KINDS]
    halted: np.ndarray  # uint8[symbols]
    order_entry: np.ndarray
    order_high: np.ndarray
    row_hot: np.ndarray
    row_misses: np.ndarray
    window_total: np.ndarray
    level_key: np.ndarray
    level_total: np.ndarray
    level_at: np.ndarray
    level_length: np.ndarray
    level_room: np.ndarray


_apply.assemble(CombinedState, _entries, _wide_levels)
features.give_sums(CombinedState, _wide_levels.sum_levels)


def allocate(parameters: Mapping[str, int]) -> CombinedState:
    """Return an empty book."""
    symbols = parameters["symbols"]
    slots = _entries.slots_for(parameters["orders"])
    control = _state.new_control(symbols)
    return CombinedState(
        control=control,
        bad=np.zeros(BAD_KINDS, np.int64),
        halted=np.zeros(symbols, np.uint8),
        **_entries.allocate(slots, control),
        **_wide_levels.allocate(2 * symbols, parameters["levels"], parameters["window_ticks"], control, aligned),
    )


@kernel_jit(_nrt=False)
def replay(state, events, out, begin, probe):
    """Apply ``events[begin:]``, write the best bid and offer after each into `out`; return where the room ended."""
    return _straight.replay(state, None, events, out, begin, probe)


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
    name="combined",
    parent="aligned",
    idea="The orders of `aligned` and the levels of `simd` in a loop without a call for the ordinary messages, which "
    "chooses where others branch and computes the place of the next message's order one message ahead.",
    allocate=allocate,
    reset=partial(_state.reset, orders=_entries, levels=_wide_levels),
    replay_from=replay,
    export_state=partial(_state.export_state, orders=_entries),
    import_state=partial(_state.import_state, replay=replay, orders=_entries, levels=_wide_levels),
    grow=partial(_state.grow, orders=_entries, levels=_wide_levels),
)
