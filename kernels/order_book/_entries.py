"""Orders by id in a hash table of packed 16-byte entries: the parts `find`, `load_order` and so on.

The same table as `_columns` (linear probing, no tombstones, id 0 is empty), laid out so that a message touches one
cache line of it and not four: an entry is two words, the id and ::

    bits  0 .. 23   size          (MAX_ORDER_SIZE is 2**24 - 1)
    bits 24 .. 53   price in ticks (MAX_PRICE_TICKS is 2**30 - 1)
    bits 54 .. 63   row: side and the low 9 bits of the symbol

The 7 high bits of the symbol are cold: a column of bytes that only a book of more than 512 symbols has.

The fields that this part uses: `control`, `order_entry` uint64[2 * slots] aligned to a cache line, `order_high`
uint8[slots], or uint8[1] for up to 512 symbols.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.machine.hints import unlikely
from kernels.machine.memory import aligned
from kernels.machine.prefetch import prefetch_write
from kernels.order_book._apply import HASH_SHIFT, LINES_TOUCHED, LIVE, PROBES, SYMBOLS, cold, entry, hot
from kernels.order_book._columns import GOLDEN, ONE, set_capacity, slots_for
from kernels.order_book._lines import ENTRIES, LINE_BYTES, WORDS, count_apart, count_begun
from kernels.probe import count

SIZE_BITS, PRICE_BITS = 24, 30
PRICE_AT, ROW_AT = SIZE_BITS, SIZE_BITS + PRICE_BITS
SIZE_MASK, PRICE_MASK = (1 << SIZE_BITS) - 1, (1 << PRICE_BITS) - 1
ROW_BITS = 64 - ROW_AT
NARROW_SYMBOLS = 1 << (ROW_BITS - 1)


def allocate(slots: int, control: np.ndarray) -> dict[str, np.ndarray]:
    """Return the empty table."""
    set_capacity(control, slots)
    return {
        "order_entry": aligned(2 * slots, np.uint64),
        "order_high": np.zeros(slots if control[SYMBOLS] > NARROW_SYMBOLS else 1, np.uint8),
    }


def reset(state: Any) -> None:
    """Empty the table."""
    state.order_entry[:] = 0
    state.control[LIVE] = 0


def grown(state: Any) -> Any:
    """Return the state with a table of twice the slots and the same orders."""
    larger = state._replace(**allocate(len(state.order_entry), state.control))
    rehash(state, larger)
    return larger


def extract(state: Any) -> tuple[np.ndarray, ...]:
    """Return ``(id, size, price, row)`` of every order, in no particular order."""
    used = np.flatnonzero(state.order_entry[0::2])
    packed = state.order_entry[2 * used + 1]
    row = (packed >> np.uint64(ROW_AT)).astype(np.int64)
    if len(state.order_high) > 1:
        row |= state.order_high[used].astype(np.int64) << ROW_BITS
    size = (packed & np.uint64(SIZE_MASK)).astype(np.int64)
    price = (packed >> np.uint64(PRICE_AT) & np.uint64(PRICE_MASK)).astype(np.int64)
    return state.order_entry[2 * used], size, price, row


@entry
def rehash(old, new):
    """Copy the orders of `old` into the empty table of `new`."""
    for slot in range(old.order_entry.shape[0] >> 1):
        order_id = old.order_entry[2 * slot]
        if order_id != 0:
            place = find(new, order_id, np.uint64(0), None)
            new.order_entry[place << ONE] = order_id
            new.order_entry[(place << ONE) + ONE] = old.order_entry[2 * slot + 1]
            if new.order_high.shape[0] > 1:
                new.order_high[place] = old.order_high[slot]


@hot
def home(state, order_id):
    """Return the slot where the search for an id begins."""
    return (order_id * GOLDEN) >> np.uint64(state.control[HASH_SHIFT])


@hot
def find(state, order_id, guess, probe):
    """Return the slot of `order_id`, or the empty slot where it would go; `guess` as in `_apply.find`."""
    slot = home(state, order_id)
    count(probe, PROBES, 1)
    count(probe, LINES_TOUCHED, 1)
    if unlikely(state.order_entry[slot << ONE] != guess):
        slot = _search(state.order_entry, order_id, slot, probe)
    return slot


@cold
def _search(order_entry, order_id, slot, probe):
    """Go on from `slot` to the order or the next empty slot."""
    mask = np.uint64((order_entry.shape[0] >> 1) - 1)
    while (order_entry[slot << ONE] != order_id) & (order_entry[slot << ONE] != 0):
        slot = (slot + ONE) & mask
        count(probe, PROBES, 1)
        count_begun(probe, slot, ENTRIES)
    return slot


@hot
def load_order(state, slot):
    """Return ``(size, price, row)`` of a slot; size 0 when it is empty."""
    packed = state.order_entry[(slot << ONE) + ONE]
    row = np.int64(packed >> np.uint64(ROW_AT))
    if unlikely(state.order_high.shape[0] > 1):
        row |= np.int64(state.order_high[slot]) << ROW_BITS
    price = np.int64((packed >> np.uint64(PRICE_AT)) & np.uint64(PRICE_MASK))
    return np.int64(packed & np.uint64(SIZE_MASK)), price, row


@hot
def store_order(state, slot, order_id, size, price, row, probe):
    """Write an order into the slot that `find` gave; size 0 empties the slot and closes the gap."""
    at = slot << ONE
    packed = np.uint64(size | (price << PRICE_AT)) | (np.uint64(row) << np.uint64(ROW_AT))
    state.order_entry[at] = order_id if size != 0 else np.uint64(0)
    state.order_entry[at + ONE] = packed
    if unlikely(state.order_high.shape[0] > 1):
        state.order_high[slot] = row >> ROW_BITS
        count(probe, LINES_TOUCHED, 1)
    after = (at + ONE + ONE) & np.uint64(state.order_entry.shape[0] - 1)
    count_begun(probe, after, WORDS)  # the entry itself was counted by `find`
    if unlikely((size == 0) & (state.order_entry[after] != 0)):
        _close_gap(state.control, state.order_entry, state.order_high, slot, probe)


@cold
def _close_gap(control, order_entry, order_high, gap, probe):
    """Move up the orders behind the empty slot `gap` that may stand nearer to their home."""
    mask = np.uint64((order_entry.shape[0] >> 1) - 1)
    shift = np.uint64(control[HASH_SHIFT])
    slot = (gap + ONE) & mask
    while order_entry[slot << ONE] != 0:
        count(probe, PROBES, 1)
        wanted = (order_entry[slot << ONE] * GOLDEN) >> shift
        if ((slot - wanted) & mask) >= ((slot - gap) & mask):  # its home is not after the gap: it may move there
            order_entry[gap << ONE] = order_entry[slot << ONE]
            order_entry[(gap << ONE) + ONE] = order_entry[(slot << ONE) + ONE]
            if order_high.shape[0] > 1:
                order_high[gap] = order_high[slot]
                count_apart(probe, slot, gap, LINE_BYTES, 1)
            gap = slot
        slot = (slot + ONE) & mask
        count_begun(probe, slot, ENTRIES)
    order_entry[gap << ONE] = 0
    order_entry[(gap << ONE) + ONE] = 0


@cold
def clear_orders(state, symbol):
    """Take every order of `symbol` out; return how many there were. Reads the whole table."""
    taken = 0
    for i in range(state.order_entry.shape[0] >> 1):
        slot = np.uint64(i)
        while True:  # another order may move into the gap
            order_id = state.order_entry[slot << ONE]
            held, _price, row = load_order(state, slot)
            if order_id == 0 or held == 0 or row >> 1 != symbol:
                break
            store_order(state, slot, order_id, 0, 0, 0, None)
            taken += 1
    return taken


@hot
def prefetch_order(state, order_id):
    """Ask for the cache line of the slot where the search for `order_id` begins."""
    prefetch_write(state.order_entry, home(state, order_id) << ONE)


__all__ = ["allocate", "clear_orders", "find", "load_order", "slots_for", "store_order"]
