"""Orders by id in an open-addressing hash table of parallel columns: the part `find`, `load_order` and so on.

Linear probing from a multiplicative hash. An order that goes leaves no tombstone: the entries behind it move up
(Knuth, The Art of Computer Programming 3, 6.4, algorithm R), so that probes stay short however long the day. Id 0 marks
an empty slot. The ids of a feed are near each other; multiplying by the golden ratio spreads them evenly. The hash is
not secret: who chooses ids against it makes the table slow, never wrong.

The fields that this part uses: `control`, `order_id` uint64[slots], `order_size` int32[slots], `order_price`
int32[slots], `order_row` int32[slots].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.machine.hints import unlikely
from kernels.order_book._apply import HASH_SHIFT, LIMIT, LINES_TOUCHED, LIVE, PROBES, cold, entry, hot
from kernels.order_book._lines import HALVES, WORDS, count_apart, count_begun
from kernels.probe import count

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio, made odd
ONE = np.uint64(1)
MINIMUM_SLOTS = 64
# Whether a search goes on beyond its first slot cannot be guessed, and a wrong guess costs as much as the search: so a
# table stays three quarters empty. In a large one memory counts more.
QUARTER_FULL_SLOTS, HALF_FULL_SLOTS = 1 << 19, 1 << 20


def slots_for(orders: int) -> int:
    """Return how many slots (a power of two) a table for that many orders has."""
    slots = MINIMUM_SLOTS
    while limit_of(slots) < orders:
        slots *= 2
    return slots


def limit_of(slots: int) -> int:
    """Return how many orders a table of that many slots takes: a quarter of them, 70 % in a large one."""
    if slots <= QUARTER_FULL_SLOTS:
        return slots // 4
    return slots // 2 if slots <= HALF_FULL_SLOTS else slots * 7 // 10


def set_capacity(control: np.ndarray, slots: int) -> None:
    """Write into `control` what the compiled code must know of a table of that many slots."""
    control[HASH_SHIFT] = 64 - (slots.bit_length() - 1)
    control[LIMIT] = limit_of(slots)


def allocate(slots: int, control: np.ndarray) -> dict[str, np.ndarray]:
    """Return the empty columns."""
    set_capacity(control, slots)
    return {
        "order_id": np.zeros(slots, np.uint64),
        "order_size": np.zeros(slots, np.int32),
        "order_price": np.zeros(slots, np.int32),
        "order_row": np.zeros(slots, np.int32),
    }


def reset(state: Any) -> None:
    """Empty the table."""
    state.order_id[:] = 0
    state.order_size[:] = 0
    state.control[LIVE] = 0


def grown(state: Any) -> Any:
    """Return the state with a table of twice the slots and the same orders."""
    slots = 2 * len(state.order_id)
    larger = state._replace(**allocate(slots, state.control))
    rehash(state, larger)
    return larger


def extract(state: Any) -> tuple[np.ndarray, ...]:
    """Return ``(id, size, price, row)`` of every order, in no particular order."""
    used = np.flatnonzero(state.order_id)
    return state.order_id[used], state.order_size[used], state.order_price[used], state.order_row[used]


@entry
def rehash(old, new):
    """Copy the orders of `old` into the empty table of `new`."""
    for slot in range(old.order_id.shape[0]):
        if old.order_id[slot] != 0:
            place = find(new, old.order_id[slot], np.uint64(0), None)
            new.order_id[place] = old.order_id[slot]
            new.order_size[place] = old.order_size[slot]
            new.order_price[place] = old.order_price[slot]
            new.order_row[place] = old.order_row[slot]


@hot
def home(state, order_id):
    """Return the slot where the search for an id begins."""
    return (order_id * GOLDEN) >> np.uint64(state.control[HASH_SHIFT])


@hot
def find(state, order_id, guess, probe):
    """Return the slot of `order_id`, or the empty slot where it would go; `guess` as in `_apply.find`."""
    slot = home(state, order_id)
    count(probe, PROBES, 1)
    count(probe, LINES_TOUCHED, 4)  # the id here, and size, price and row of the slot that is found
    if unlikely(state.order_id[slot] != guess):
        slot = _search(state.order_id, order_id, slot, probe)
    return slot


@cold
def _search(ids, order_id, slot, probe):
    """Go on from `slot` to the order or the next empty slot."""
    mask = np.uint64(ids.shape[0] - 1)
    while (ids[slot] != order_id) & (ids[slot] != 0):
        slot = (slot + ONE) & mask
        count(probe, PROBES, 1)
        count_begun(probe, slot, WORDS)
    return slot


@hot
def load_order(state, slot):
    """Return ``(size, price, row)`` of a slot; size 0 when it is empty."""
    return np.int64(state.order_size[slot]), np.int64(state.order_price[slot]), np.int64(state.order_row[slot])


@hot
def store_order(state, slot, order_id, size, price, row, probe):
    """Write an order into the slot that `find` gave; size 0 empties the slot and closes the gap."""
    state.order_id[slot] = order_id if size != 0 else np.uint64(0)
    state.order_size[slot] = size
    state.order_price[slot] = price
    state.order_row[slot] = row
    after = (slot + ONE) & np.uint64(state.order_id.shape[0] - 1)
    count_begun(probe, after, WORDS)  # the slot itself was counted by `find`
    if unlikely((size == 0) & (state.order_id[after] != 0)):
        _close_gap(state.control, state.order_id, state.order_size, state.order_price, state.order_row, slot, probe)


@cold
def _close_gap(control, order_id, order_size, order_price, order_row, gap, probe):
    """Move up the orders behind the empty slot `gap` that may stand nearer to their home."""
    mask = np.uint64(order_id.shape[0] - 1)
    shift = np.uint64(control[HASH_SHIFT])
    slot = (gap + ONE) & mask
    while order_id[slot] != 0:
        count(probe, PROBES, 1)
        wanted = (order_id[slot] * GOLDEN) >> shift
        if ((slot - wanted) & mask) >= ((slot - gap) & mask):  # its home is not after the gap: it may move there
            order_id[gap], order_size[gap] = order_id[slot], order_size[slot]
            order_price[gap], order_row[gap] = order_price[slot], order_row[slot]
            count_apart(probe, slot, gap, HALVES, 3)  # size, price and row
            gap = slot
        slot = (slot + ONE) & mask
        count_begun(probe, slot, WORDS)
    order_id[gap] = 0
    order_size[gap] = 0


@cold
def clear_orders(state, symbol):
    """Take every order of `symbol` out; return how many there were. Reads the whole table."""
    taken = 0
    for i in range(state.order_id.shape[0]):
        slot = np.uint64(i)
        while state.order_id[slot] != 0 and state.order_row[slot] >> 1 == symbol:
            store_order(state, slot, state.order_id[slot], 0, 0, 0, None)  # another order may move into the gap
            taken += 1
    return taken
