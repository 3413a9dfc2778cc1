"""The combined book, with its best bid and offer and its depth published for reading threads, without a lock.

One thread writes. `read_best`, `follow` and `read_depth` may be called by any number of others at any time, in compiled
code that runs without the GIL or from Python; what they return is one state of the book as it was between two events.
It lies apart from the book (`_published`), so that a reader costs the writer only the cache line that both use, and
keeps its place when the book grows. Not for readers: `best` and `depth`, which read the book itself and belong to the
writer's thread. `Instance.restore` copies over the published words: do it while nobody reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.machine.memory import aligned
from kernels.messages import BAD_KINDS
from kernels.order_book import _apply, _entries, _published, _state, _straight, _watched_levels, _wide_levels, features
from kernels.order_book._apply import best_level, copy_levels
from kernels.order_book._published import follow, read_best, read_depth

__all__ = ["VARIANT", "allocate", "best", "depth", "follow", "read_best", "read_depth", "replay"]


class LockFreeState(NamedTuple):
    """The fields are described where they are used: `_apply`, `_entries`, `_wide_levels`, `_sorted`, `_published`."""

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
    published: np.ndarray
    depth_floor: np.ndarray
    touched: np.ndarray
    depth_scratch: np.ndarray


_apply.assemble(LockFreeState, _entries, _watched_levels)
features.give_sums(LockFreeState, _wide_levels.sum_levels)


def allocate(parameters: Mapping[str, int]) -> LockFreeState:
    """Return an empty book."""
    symbols = parameters["symbols"]
    slots = _entries.slots_for(parameters["orders"])
    control = _state.new_control(symbols)
    return LockFreeState(
        control=control,
        bad=np.zeros(BAD_KINDS, np.int64),
        halted=np.zeros(symbols, np.uint8),
        **_entries.allocate(slots, control),
        **_watched_levels.allocate(2 * symbols, parameters["levels"], parameters["window_ticks"], control, aligned),
        **_published.allocate(symbols),
    )


@kernel_jit(_nrt=False)
def replay(state, events, out, begin, probe):
    """Apply ``events[begin:]``, write the best bid and offer after each into `out`; return where the room ended.

    Readers see each event as a whole or not at all; not each state between two events (`_straight.TURN`).
    """
    return _straight.replay(state, state.published, events, out, begin, probe)


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
    name="lock_free",
    parent="combined",
    idea="What readers want is published by a sequence lock on cache lines of its own: any number of threads read "
    "consistent snapshots, and the writer never waits; it shows a symbol at the latest after 16 messages.",
    allocate=allocate,
    reset=partial(_state.reset, orders=_entries, levels=_watched_levels),
    replay_from=replay,
    export_state=partial(_state.export_state, orders=_entries),
    import_state=partial(_state.import_state, replay=replay, orders=_entries, levels=_watched_levels),
    grow=partial(_state.grow, orders=_entries, levels=_watched_levels),
    read=read_best,
)
