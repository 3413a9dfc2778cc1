"""What an event does to a book, written once for every variant.

A variant is a state class, a way to keep orders and a way to keep price levels. The functions below marked as parts
are only names here; `assemble` tells Numba which module gives them a body for which state class, at compile time, so
that no call is left in the machine code. The four kinds that make up nearly all of a feed share one path without
branches on the kind, because the kind of the next message cannot be predicted; the others take the slow path.

A *row* is one side of one symbol: ``2 * symbol + side``. A *key* is the price mirrored so that higher is always
better: ``price`` for bids, ``~price`` for asks. One code path then serves both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from kernels._jit import kernel_jit
from kernels.machine.hints import unlikely
from kernels.messages import MAX_LEVEL_SIZE, MAX_ORDER_SIZE, MAX_PRICE_TICKS, Bad, Kind
from kernels.probe import count

# Counters, in the order of the card.
LEVELS_MOVED, PROBES, WORDS_SCANNED, RECENTRED, SPILLED, REFUSED, RETRIES, LINES_TOUCHED = range(8)

# What `state.control` holds (int64 each).
LIVE = 0  # orders in the book
LIMIT = 1  # how many orders the table takes before it has to grow
HASH_SHIFT = 2  # 64 minus the binary logarithm of the table's slots
SYMBOLS = 3
WANTED_ROW = 4  # a row that has no room for a level, plus one; 0: none
WANTED_LEVELS = 5  # how many levels that row must hold
POOL_END = 6  # where the unused end of the level pool begins
WINDOW_SHIFT = 7  # binary logarithm of the ticks of a window
CONTROL_LENGTH = 8

# What a change of a level may answer.
DONE, LEVEL_FULL, NO_ROOM = 0, 1, 2

# A call hands over every array of the state, 7 words each: what runs for every event is therefore inlined, and what
# rarely runs is kept out of the way. Numba's own rule would be to inline whatever an inlined function calls. Without
# `_nrt` no reference is counted, which is an atomic instruction for each array at each use; nothing can be allocated.
hot = kernel_jit(inner=True, forceinline=True, _nrt=False)
cold = kernel_jit(inner=True, forceinline=False, _nrt=False)
entry = kernel_jit(forceinline=False, _nrt=False)  # cold, and called from Python too

ADD, CANCEL, DELETE, EXECUTE = int(Kind.ADD), int(Kind.CANCEL), int(Kind.DELETE), int(Kind.EXECUTE)
REPLACE, MODIFY, CLEAR = int(Kind.REPLACE), int(Kind.MODIFY), int(Kind.CLEAR)
TRADE, HALT, RESUME = int(Kind.TRADE), int(Kind.HALT), int(Kind.RESUME)
BAD_KIND, BAD_SYMBOL, BAD_SIDE = int(Bad.KIND), int(Bad.SYMBOL), int(Bad.SIDE)
BAD_PRICE, BAD_SIZE, UNKNOWN_ID = int(Bad.PRICE), int(Bad.SIZE), int(Bad.UNKNOWN_ID)
DUPLICATE_ID, OVER_SIZE, BAD_LEVEL = int(Bad.DUPLICATE_ID), int(Bad.OVER_SIZE), int(Bad.LEVEL_FULL)


# ---- the parts that a variant gives a body -----------------------------------------------------------------------


def find(state: Any, order_id: Any, guess: Any, probe: Any) -> Any:
    """Return the slot of `order_id`, or the empty slot where it would go.

    `guess` is the id that the first slot looked at is expected to hold: `order_id` itself, or 0 when it is new. A
    guess that holds saves a comparison; one that does not costs a little and changes nothing.
    """


def load_order(state: Any, slot: Any) -> Any:
    """Return ``(size, price, row)`` of a slot; size 0 when it is empty."""


def store_order(state: Any, slot: Any, order_id: Any, size: Any, price: Any, row: Any, probe: Any) -> Any:
    """Write an order into the slot that `find` gave; size 0 empties the slot and closes the gap."""


def clear_orders(state: Any, symbol: Any) -> Any:
    """Take every order of `symbol` out; return how many there were."""


def settle(state: Any, row: Any, probe: Any) -> Any:
    """Do what `row` has postponed; return whether it can take one more level."""


def change_level(state: Any, row: Any, key: Any, change: Any, probe: Any) -> Any:
    """Add `change` to the size of the level `key`: DONE, or LEVEL_FULL or NO_ROOM with nothing changed."""


def change_settled(state: Any, row: Any, key: Any, change: Any, probe: Any) -> Any:
    """Do as `change_level` where `settle` has made room and the sum is known to fit: always done."""


def level_size(state: Any, row: Any, key: Any, probe: Any) -> Any:
    """Return the size of the level `key`, 0 when there is none."""


def clear_levels(state: Any, row: Any, probe: Any) -> Any:
    """Take every level of `row` out."""


def best_level(state: Any, row: Any, probe: Any = None) -> Any:
    """Return the best level as ``size << 32 | price``, 0 when the row is empty."""


def copy_levels(state: Any, row: Any, prices: Any, sizes: Any) -> Any:
    """Write the best levels of `row`, best first, until the arrays are full; return how many were written."""


ORDER_PARTS: tuple[Callable[..., Any], ...] = (find, load_order, store_order, clear_orders)
LEVEL_PARTS: tuple[Callable[..., Any], ...] = (
    settle,
    change_level,
    change_settled,
    level_size,
    clear_levels,
    best_level,
    copy_levels,
)
INLINED = {find, load_order, store_order, change_level, best_level}  # the ones on the fast path


def assemble(state_class: type, orders: ModuleType, levels: ModuleType) -> None:
    """Give the parts of `state_class` their bodies: the functions of the same names in `orders` and `levels`."""
    for parts, module in ((ORDER_PARTS, orders), (LEVEL_PARTS, levels)):
        for part in parts:
            _give_body(part, state_class, getattr(module, part.__name__).py_func)


def _give_body(part: Callable[..., Any], state_class: type, body: Callable[..., Any]) -> None:
    """Make compiled calls of `part` with a `state_class` run `body`."""

    def choose(state, *rest):
        mine = isinstance(state, types.NamedTuple) and state.instance_class is state_class
        return body if mine else None

    choose.__wrapped__ = body  # type: ignore[attr-defined]  # Numba reads the argument names from here
    options: Any = {"nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": part in INLINED}
    overload(part, jit_options=options)(choose)


# ---- the event ---------------------------------------------------------------------------------------------------


@hot
def level_key(price, row):
    """Return the key of a price: higher is better on both sides. Its own inverse."""
    return price ^ -(row & 1)


@hot
def refuse(state, bad, probe):
    """Count a refused event under its kind."""
    state.bad[bad] += 1
    count(probe, REFUSED, 1)


@hot
def _within(value, highest):
    """Return whether ``1 <= value <= highest``, as one unsigned compare."""
    return np.uint64(value - 1) < np.uint64(highest)


@hot
def apply(state, event, probe):
    """Apply one event; False when the state has no room for it, with nothing changed.

    `event` is a record of `kernels.messages.EVENT`. A bad event is counted and changes nothing else.
    """
    control = state.control
    if unlikely(control[LIVE] >= control[LIMIT]):
        return False
    kind = np.int64(event.kind)
    symbol = np.int64(event.symbol)
    if unlikely(np.uint64(kind - ADD) > np.uint64(EXECUTE - ADD)) or unlikely(symbol >= control[SYMBOLS]):
        return _apply_rare(state, event, probe)

    order_id = event.order_id
    adding = kind == ADD
    slot = find(state, order_id, np.uint64(0) if adding else order_id, probe)
    held, price_held, row_held = load_order(state, slot)
    size, new_price = np.int64(event.size), np.int64(event.price_ticks)
    new_row = (symbol << 1) + np.int64(event.side)
    # Both cases are computed and one is chosen, so that the processor has no branch on the kind to guess, and one chain
    # of checks serves both: what is put in must be within 1 .. MAX_ORDER_SIZE, what is taken out within 1 .. held.
    row = new_row if adding else row_held
    price = new_price if adding else price_held
    amount = held if kind == DELETE else size
    free = MAX_ORDER_SIZE if (held == 0) & (order_id != 0) else 0
    most = free if adding else held
    good = (row >> 1 == symbol) & _within(price, MAX_PRICE_TICKS) & _within(amount, most)
    if unlikely(not good):
        refuse(state, _why_refused(kind, event, held if row_held >> 1 == symbol else 0), probe)
        return True
    change = amount if adding else -amount

    status = change_level(state, row, level_key(price, row), change, probe)
    if unlikely(status != DONE):
        if status == NO_ROOM:
            return False
        refuse(state, BAD_LEVEL, probe)
        return True
    store_order(state, slot, order_id, held + change, price, row, probe)
    control[LIVE] += np.int64(adding) - np.int64(held + change == 0)
    return True


@cold
def _why_refused(kind, event, held):
    """Return the first check that an event fails; `held` is 0 for an order that is not of its symbol."""
    size = np.int64(event.size)
    if kind == ADD:
        if event.side > 1:
            return BAD_SIDE
        if not _within(np.int64(event.price_ticks), MAX_PRICE_TICKS):
            return BAD_PRICE
    if kind != DELETE and not _within(size, MAX_ORDER_SIZE):
        return BAD_SIZE
    if kind == ADD:
        return DUPLICATE_ID
    if held == 0:
        return UNKNOWN_ID
    return OVER_SIZE


@cold
def _apply_rare(state, event, probe):
    """Apply an event that is not ADD, CANCEL, DELETE or EXECUTE of a known symbol. Answers as `apply`."""
    kind = np.int64(event.kind)
    symbol = np.int64(event.symbol)
    if kind < ADD or kind > CLEAR:
        refuse(state, BAD_KIND, probe)
    elif symbol >= state.control[SYMBOLS]:
        refuse(state, BAD_SYMBOL, probe)
    elif kind in (HALT, RESUME):
        state.halted[symbol] = kind == HALT
    elif kind == CLEAR:
        clear_levels(state, 2 * symbol, probe)
        clear_levels(state, 2 * symbol + 1, probe)
        state.control[LIVE] -= clear_orders(state, symbol)
    elif kind in (REPLACE, MODIFY):
        return _reprice(state, event, probe)
    return True


@cold
def _reprice(state, event, probe):
    """Apply a REPLACE or a MODIFY: the order leaves its level and comes to another, or to the same. As `apply`."""
    symbol, size, price = np.int64(event.symbol), np.int64(event.size), np.int64(event.price_ticks)
    replacing = np.int64(event.kind) == REPLACE
    slot = find(state, event.order_id, event.order_id, probe)
    held, price_held, row = load_order(state, slot)
    bad = -1
    if not _within(price, MAX_PRICE_TICKS):
        bad = BAD_PRICE
    elif not _within(size, MAX_ORDER_SIZE):
        bad = BAD_SIZE
    elif held == 0 or row >> 1 != symbol:
        bad = UNKNOWN_ID
    elif replacing and (event.new_order_id == 0 or _is_known(state, event.new_order_id, probe)):
        bad = DUPLICATE_ID
    else:
        stays = held if price == price_held else 0
        if level_size(state, row, level_key(price, row), probe) - stays + size > MAX_LEVEL_SIZE:
            bad = BAD_LEVEL
    if bad >= 0:
        refuse(state, bad, probe)
        return True
    if not settle(state, row, probe):
        return False
    change_settled(state, row, level_key(price_held, row), -held, probe)
    change_settled(state, row, level_key(price, row), size, probe)
    if replacing:
        store_order(state, slot, event.order_id, 0, price, row, probe)
        slot = find(state, event.new_order_id, np.uint64(0), probe)
        store_order(state, slot, event.new_order_id, size, price, row, probe)
    else:
        store_order(state, slot, event.order_id, size, price, row, probe)
    return True


@cold
def _is_known(state, order_id, probe):
    """Return whether an order of that id is in the book, of whatever symbol."""
    held, _price, _row = load_order(state, find(state, order_id, np.uint64(0), probe))
    return held != 0


@hot
def write_best(state, event, out, i, probe):
    """Write best bid and offer of the event's symbol into ``out[i]``; zeros for a symbol that is not in the book."""
    symbol = np.int64(event.symbol)
    bid, ask = 0, 0
    if symbol < state.control[SYMBOLS]:
        bid, ask = best_level(state, 2 * symbol, probe), best_level(state, 2 * symbol + 1, probe)
    row = out[np.uint64(i)]  # an unsigned index is not looked at for being negative
    row.bid_ticks = np.int32(bid)
    row.bid_size = np.int32(bid >> 32)
    row.ask_ticks = np.int32(ask)
    row.ask_size = np.int32(ask >> 32)
