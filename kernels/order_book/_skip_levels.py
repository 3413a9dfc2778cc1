"""The skip list as the levels of a book: the parts for the one thread that replays events, and its room.

The fields that this part uses: those of `_skip_list`.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from kernels.machine import atomics
from kernels.machine.atomics import RELAXED
from kernels.machine.memory import aligned
from kernels.order_book import _apply, _reclaim
from kernels.order_book._apply import LINES_TOUCHED, NO_ROOM, cold, hot
from kernels.order_book._reclaim import KEY, NODE_SHIFT, SPARE, has_free, pin, relieve, unpin, word_at
from kernels.order_book._skip_list import LAST_KEY, OWNER, TAIL, change, copy_row, first_level, size_of
from kernels.probe import count


def allocate(rows: int, levels: int) -> dict[str, np.ndarray]:
    """Return empty rows, with room for `levels` levels each, shared between the rows."""
    fields = {
        "nodes": aligned((1 + rows + rows * levels + SPARE) << NODE_SHIFT, np.int64),
        "rows": np.array([rows], np.int64),
        **_reclaim.allocate(),
    }
    _empty(SimpleNamespace(**fields))
    return fields


def reset(state: Any) -> None:
    """Empty every row. While no other thread is at work."""
    state.control[_apply.WANTED_ROW] = 0
    _empty(state)


def _empty(state: Any) -> None:
    """Make every link of a head lead to the tail, and every other node free."""
    records = state.nodes.reshape(-1, 1 << NODE_SHIFT)
    rows = int(state.rows[0])
    records[: 1 + rows] = 0  # links to node 0, the tail
    records[TAIL, KEY] = LAST_KEY
    _reclaim.forget(state)
    _reclaim.fill(state, 1 + rows, len(records))


def grown(state: Any) -> Any:
    """Return the state with twice the nodes. While no other thread is at work: readers must take the state anew."""
    before = len(state.nodes) >> NODE_SHIFT
    nodes = aligned(2 * len(state.nodes), np.int64)
    nodes[: len(state.nodes)] = state.nodes
    state.control[_apply.WANTED_ROW] = 0
    larger = state._replace(nodes=nodes)
    _reclaim.fill(larger, before, 2 * before)
    return larger


@hot
def change_level(state, row, key, change_by, probe):
    """Add to the size of the level `key`: DONE, or LEVEL_FULL or NO_ROOM with nothing changed."""
    status = change(state, row, key, change_by, OWNER, probe, None)
    if status == NO_ROOM:
        state.control[_apply.WANTED_ROW] = row + 1
    return status


change_settled = change_level


@cold
def settle(state, row, probe):
    """Return whether there is room for one more level."""
    if has_free(state):
        return True
    pin(state, OWNER)
    relieve(state, OWNER)
    unpin(state, OWNER)
    if has_free(state):
        return True
    state.control[_apply.WANTED_ROW] = row + 1
    return False


@cold
def level_size(state, row, key, probe):
    """Return the size of the level `key`, 0 when there is none."""
    return size_of(state, row, key, OWNER, probe, None)


@cold
def clear_levels(state, row, probe):
    """Take every level of `row` out. Looks at it unpinned, as `best_level` does."""
    node, total = first_level(state.nodes, row, None)
    while node != TAIL:
        key = atomics.load(state.nodes, word_at(node, KEY), RELAXED)  # RELAXED: written before the node was linked
        change(state, row, key, -total, OWNER, probe, None)
        node, total = first_level(state.nodes, row, None)


@hot
def best_level(state, row, probe=None):
    """Return the best level as ``size << 32 | price``, 0 when the row is empty.

    Unpinned: while one thread replays, no other gives nodes back.
    """
    count(probe, LINES_TOUCHED, 2)  # the head and the first node
    node, total = first_level(state.nodes, row, None)
    key = atomics.load(state.nodes, word_at(node, KEY), RELAXED)  # RELAXED: written before the node was linked
    return (total << 32) | _apply.level_key(key, row) if node != TAIL else 0


@cold
def copy_levels(state, row, prices, sizes):
    """Write the best levels of `row`, best first, until the arrays are full; return how many were written."""
    return copy_row(state.nodes, row, prices, sizes, None)
